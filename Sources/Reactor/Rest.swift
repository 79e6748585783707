// SPDX-License-Identifier: Apache-2.0
import CReactor
import Synchronization

/// Lets whoever watches loops rest while they do: the first of them that has something to do calls it back. Costs
/// each tick a load.
public final class Rest: @unchecked Sendable {
    /// 1: somebody rests.
    let cell: UnsafeMutablePointer<UInt32>
    private let callBack = Mutex<(@Sendable () -> Void)?>(nil)

    public init() {
        cell = .allocate(capacity: 16)
        cell.initialize(repeating: 0, count: 16)
    }

    deinit { cell.deallocate() }

    /// - Parameter callBack: called once, from any thread, by the next `end`. A loop that stirs at this very moment may
    ///   miss it: look at what the loops do now and then.
    public func begin(_ callBack: @escaping @Sendable () -> Void) {
        self.callBack.withLock { $0 = callBack }
        cr_store_u32(cell, 1)
    }

    /// Nothing if nobody rests.
    @inline(never)
    public func end() {
        var resting: UInt32 = 1
        guard cr_cas_u32(cell, &resting, 0) else { return }
        let call = callBack.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        call?()
    }
}

extension EventLoop {
    /// Whoever watches it can rest: it waits, and nobody does its work.
    public var isAsleep: Bool {
        cr_load_seq_u32(sleeping) != 0 && cr_load_seq_u32(gate) != Gate.visitor
    }

    /// Events that it has seen. From any thread.
    public var eventCount: UInt64 { cr_load_relaxed_u64(wakes + 1) }

    /// It has something to do.
    @inline(__always)
    public final func stir() {
        if cr_load_relaxed_u32(rest._withUnsafeGuaranteedRef { $0.cell }) != 0 { endRest() }
    }

    @inline(never)
    private func endRest() { rest._withUnsafeGuaranteedRef { $0.end() } }
}
