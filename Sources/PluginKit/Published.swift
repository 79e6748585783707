// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// An immutable object that loops read without a lock while the control thread replaces it: rules, routes, tables.
///
/// A reader pays one atomic load. The old object is freed when every loop has come round once, because no loop keeps
/// what it read beyond the callback it is in.
public final class Published<Value: AnyObject> {
    private let current: Atomic<UnsafeMutableRawPointer>
    private let host: Host
    /// Values for which a loop's queue had no room: they wait for the end, when nothing runs any more.
    private var retired: [Value] = []

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
        let pointer = current.exchange(Unmanaged.passRetained(value).toOpaque(), ordering: .acquiringAndReleasing)
        let old = Unmanaged<Value>.fromOpaque(pointer)
        if !host.exec.afterEveryLoop({ old.release() }) { retired.append(old.takeRetainedValue()) }
    }
}

extension Exec {
    /// [any] Runs `body` once, after every loop has finished the callback it is in now; on one of the loops, or here.
    /// False when a loop's queue is full: then the body never runs.
    @discardableResult public func afterEveryLoop(_ body: @escaping Task) -> Bool {
        let round = Round(Int(loopCount), body)
        var isComplete = true
        for index in 0..<loopCount where onLoop(index, { round.passed() }) != .ok {
            isComplete = false
            break
        }
        // The round holds one count more than there are loops: it cannot end before all have been asked, and without
        // this last one it never ends.
        if isComplete { round.passed() }
        return isComplete
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
