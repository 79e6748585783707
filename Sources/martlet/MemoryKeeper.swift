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

    private var heap = HeapTrimmer()
    private var hugePages = HugePages()
    /// Resident bytes when huge pages were looked for last, and whether more can be made.
    private var searched = 0
    private var hasMore = false

    init(broker: Broker, loop: EventLoop, makesHugePages: Bool) {
        if makesHugePages { _ = loop.after(1000, every: 1000) { self.makeHugePages() } }
        _ = loop.after(Self.period, every: Self.period) {
            broker.giveMemoryBack()
            cr_blocks_trim()
            _ = loop.after(Self.pause) { self.heap.look() }
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
}
