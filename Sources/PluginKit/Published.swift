// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// An immutable object that loops read without a lock while the control thread replaces it: rules, routes, tables.
///
/// A reader pays one atomic load. The old object is freed when every loop has come round once, because no loop keeps
/// what it read beyond the callback it is in.
public final class Published<Value: AnyObject> {
    private let current: Atomic<UnsafeMutableRawPointer>
    private let host: Host

    public init(_ value: Value, _ host: Host) {
        current = Atomic(Unmanaged.passRetained(value).toOpaque())
        self.host = host
    }
    deinit { Unmanaged<Value>.fromOpaque(current.load(ordering: .relaxed)).release() }

    /// [loop], [main] Lends the value; it must not be kept beyond the callback.
    @inline(__always) public func read<R>(_ body: (Value) -> R) -> R {
        Unmanaged<Value>.fromOpaque(current.load(ordering: .acquiring))._withUnsafeGuaranteedRef(body)
    }
    /// [main] Readers see the new value from now on.
    public func replace(_ value: Value) {
        let old = current.exchange(Unmanaged.passRetained(value).toOpaque(), ordering: .acquiringAndReleasing)
        host.exec.afterEveryLoop { Unmanaged<Value>.fromOpaque(old).release() }
    }
}

extension Exec {
    /// [any] Runs `body` once, after every loop has finished the callback it is in now.
    public func afterEveryLoop(_ body: @escaping Task) {
        let round = Round(Int(loopCount), body)
        // One count is ours, so that the last loop cannot finish while others are not asked yet.
        for index in 0..<loopCount where onLoop(index, { round.passed() }) != .ok { round.passed() }
        round.passed()
    }
}

private final class Round {
    private let left: Atomic<Int>
    private let body: Exec.Task
    init(_ loops: Int, _ body: @escaping Exec.Task) {
        left = Atomic(loops + 1)
        self.body = body
    }
    func passed() { if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { body() } }
}
