// SPDX-License-Identifier: Apache-2.0
import CReactor

/// What the trimmer asks of the process, so that tests can be the process.
public struct HeapProbe {
    /// Monotonic, ms.
    var clock: () -> UInt64
    /// Bytes the allocator holds and nobody uses.
    var free: () -> Int
    /// Bytes in memory.
    var resident: () -> Int
    /// Asks the allocator to return what it can.
    var trim: () -> Void

    public static var process: HeapProbe {
        HeapProbe(
            clock: { cr_clock_ms() }, free: { Int(cr_heap_free()) }, resident: { Int(cr_resident()) },
            trim: { cr_heap_trim() })
    }
}

/// Asks the allocator to return memory after a burst: where it holds much that nobody uses, not longer than it is worth,
/// and less and less often where it was of no use.
public struct HeapTrimmer {
    /// Free bytes the allocator may keep.
    static let slack = 2 << 20
    /// The allocator looks at each of its free pieces, and a loop that needs memory waits meanwhile: it takes at most
    /// this part of the time.
    static let share: UInt64 = 200
    /// Unless that would leave a burst's memory for more than a minute, ms.
    static let longestRest: UInt64 = 30_000
    /// First and longest wait, ms, before it is tried again where it was of no use.
    static let firstWait: UInt64 = 20_000
    static let longestWait: UInt64 = 600_000

    private let heap: HeapProbe
    private var notBefore: UInt64 = 0
    private var wait: UInt64 = 0
    private var retryAt: UInt64 = 0
    /// Free bytes when it was tried last, and what was resident then. The allocator also counts as free what it has
    /// returned: a burst that takes and frees the same again shows in the second only.
    private var free = 0
    private var resident = 0

    public init(_ heap: HeapProbe = .process) { self.heap = heap }

    /// To be called every now and then.
    public mutating func look() {
        let start = heap.clock()
        guard start >= notBefore else { return }
        let held = heap.free()
        let before = heap.resident()
        let isOther = abs(held - free) > max(Self.slack, held / 8) || before > resident + Self.slack
        if held > Self.slack, isOther || start >= retryAt {
            heap.trim()
            resident = heap.resident()
            let isOfUse = before - resident >= Self.slack
            wait = isOfUse ? 0 : min(max(wait * 2, Self.firstWait), Self.longestWait)
            retryAt = start + wait
            free = held
        }
        notBefore = start + min((heap.clock() - start) * Self.share, Self.longestRest)
    }
}
