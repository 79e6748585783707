// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// The plugin's work on threads that may block: one writer at a time, and reads for storage disc_only.
final class Work {
    private let host: Host
    /// Tasks that are scheduled or running, and one for the plugin itself until `close`.
    private let open = Atomic<Int>(1)
    private let isClosing = Atomic<Bool>(false)
    private var whenIdle: () -> Void = {}
    /// Monotonic; before that the writer does not try again.
    private let retryAt = Atomic<Int64>(0)
    /// Changes written since pages were last given back. Only the writer touches it.
    private var written = 0

    /// After a failure, in ms.
    private static let retryDelay: Int64 = 1_000

    init(_ host: Host) { self.host = host }

    /// [any] Runs `body` on a thread that may block. False: not now.
    func blocking(_ body: @escaping () -> Void) -> Bool {
        open.add(1, ordering: .relaxed)
        let status = host.exec.blocking { [self] in
            body()
            leave()
        }
        if status != .ok { open.subtract(1, ordering: .relaxed) }
        return status == .ok
    }

    /// [main] No task is started after this, other than by tasks. True: all is at rest. False: `then` will be called by
    /// the last task.
    func close(_ then: @escaping () -> Void) -> Bool {
        whenIdle = then
        isClosing.store(true, ordering: .releasing)
        guard open.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return false }
        whenIdle = {}  // It holds the plugin, which holds this.
        return true
    }

    private func leave() {
        guard open.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
        let body = whenIdle
        whenIdle = {}
        body()
    }

    // MARK: - Writing

    /// [main] Starts the writer when there is something for it and none is at work, in this image or in the other one
    /// of a reload.
    func writeIfNeeded(_ store: Store, _ complaints: Complaints) {
        guard store.isDurable, store.counts().queued > 0, Clock.monotonic >= retryAt.load(ordering: .relaxed),
            store.state.pointee.writing.exchange(1, ordering: .acquiring) == 0
        else { return }
        let started = blocking { [self] in
            write(store, complaints)
            store.state.pointee.writing.store(0, ordering: .releasing)
        }
        if !started { store.state.pointee.writing.store(0, ordering: .releasing) }
    }

    /// Batch after batch until all is written that waited at the beginning, or the plugin is about to go. What came
    /// meanwhile has the next tick, unless that is over: a topic that changes all the time is written once a tick.
    private func write(_ store: Store, _ complaints: Complaints) {
        do throws(DiscFailure) {
            var began = Clock.monotonic
            var left = store.counts().queued
            while !isClosing.load(ordering: .acquiring), case let count = try store.writeBatch(), count > 0 {
                written += count
                left -= count
                if left > 0 { continue }
                if Clock.monotonic - began < Int64(Pace.fast) { break }
                began = Clock.monotonic
                left = store.counts().queued
            }
            complaints.discWorks()
        } catch {
            retryAt.store(Clock.monotonic + Self.retryDelay, ordering: .relaxed)
            complaints.discFailed(error.text)
        }
        guard written >= 10_000 else { return }
        written = 0
        store.disc?.forgetPages()
    }
}
