// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Reactor

/// Gives memory back after a burst: three times a minute each loop returns what it keeps for reuse, and if the allocator
/// then holds much that nobody uses, it returns that too.
final class MemoryKeeper {
    private static let period: UInt64 = 20_000
    /// Milliseconds after which the loops have given up what they had.
    private static let pause: UInt64 = 2000
    /// Free bytes the allocator may keep.
    private static let slack = 2 << 20
    /// The allocator looks at each of its free pieces, and a loop that needs memory waits meanwhile: it takes at most
    /// this part of the time.
    private static let share: UInt64 = 200
    /// Unless that would leave a burst's memory for more than a minute, ms.
    private static let longestRest: UInt64 = 30_000
    /// Longest wait, ms, before it is tried again where it was of no use.
    private static let longestWait: UInt64 = 600_000

    private var notBefore: UInt64 = 0
    private var wait: UInt64 = 0
    private var retryAt: UInt64 = 0
    /// Free bytes when it was tried last, and what was resident then. The allocator also counts as free what it has
    /// returned: a burst that takes and frees the same again shows in the second only.
    private var free = 0
    private var resident = 0

    private var hugePages = HugePages()
    /// Resident bytes when huge pages were looked for last, and whether more can be made.
    private var searched = 0
    private var hasMore = false

    init(broker: Broker, loop: EventLoop, makesHugePages: Bool) {
        if makesHugePages { _ = loop.after(1000, every: 1000) { self.makeHugePages() } }
        _ = loop.after(Self.period, every: Self.period) {
            broker.giveMemoryBack()
            cr_blocks_trim()
            _ = loop.after(Self.pause) { self.trim() }
        }
    }

    /// When there is new memory: connections and sessions come by the thousand.
    private func makeHugePages() {
        let now = Int(cr_resident())
        if now < searched { searched = now }
        guard hugePages.isSupported, hasMore || now > searched + 1 << 20 else { return }
        hasMore = hugePages.pass(resident: now)
        searched = now
    }

    private func trim() {
        let start = cr_clock_ms()
        guard start >= notBefore else { return }
        let heap = Int(cr_heap_free())
        let before = Int(cr_resident())
        let isOther = abs(heap - free) > max(Self.slack, heap / 8) || before > resident + Self.slack
        if heap > Self.slack, isOther || start >= retryAt {
            cr_heap_trim()
            resident = Int(cr_resident())
            let isOfUse = before - resident >= Self.slack
            wait = isOfUse ? 0 : min(max(wait * 2, Self.period), Self.longestWait)
            retryAt = start + wait
            free = heap
        }
        notBefore = start + min((cr_clock_ms() - start) * Self.share, Self.longestRest)
    }
}
