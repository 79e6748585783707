// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// What goes wrong many times a second is said once a second, with the number of times it was not said.
final class Complaints {
    private let host: Host
    private let next = Atomic<Int64>(0)
    private let silent = Atomic<Int>(0)
    private let discIsBroken = Atomic<Bool>(false)

    private static let interval: Int64 = 1_000
    /// Bytes of a topic that a log line shows.
    private static let shown = 256
    private static var alarm: StaticString { "retainer_disc" }

    init(_ host: Host) { self.host = host }

    /// [any]
    func tableFull(_ topic: Bytes) {
        complain { "Cannot retain message(topic=\(cut(topic))) for table is full!" }
    }

    /// [any]
    func tooBig(_ topic: Bytes, _ size: Int) {
        complain { "Cannot retain message(topic=\(cut(topic)), payload_size=\(size)) for payload is too big!" }
    }

    private func cut(_ topic: Bytes) -> String {
        topic.count <= Self.shown ? String(topic) : String(topic.slice(0, Self.shown)) + "..."
    }

    private func complain(_ text: () -> String) {
        let now = Clock.monotonic
        let due = next.load(ordering: .relaxed)
        let isMine =
            now >= due
            && next.compareExchange(expected: due, desired: now + Self.interval, ordering: .relaxed).exchanged
        guard isMine else {
            silent.add(1, ordering: .relaxed)
            return
        }
        let missed = silent.exchange(0, ordering: .relaxed)
        host.log.error(missed == 0 ? text() : "\(text()) (\(missed) more like this were not logged)")
    }

    /// [any] Said at the first failure; an alarm stays until a batch succeeds.
    func discFailed(_ reason: String) {
        guard !discIsBroken.exchange(true, ordering: .relaxed) else { return }
        host.log.error("Retained messages cannot be written, they wait in memory: \(reason)")
        host.alarms.raise(
            Self.alarm, .error, title: "Retained messages cannot be written",
            summary: "They wait in memory and are lost when the broker ends: \(reason)")
    }

    /// [any]
    func discWorks() {
        guard discIsBroken.exchange(false, ordering: .relaxed) else { return }
        host.log.notice("Retained messages are written again.")
        host.alarms.clear(Self.alarm)
    }
}
