// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Reactor

/// Gives memory back after a burst: every half minute each loop returns what it keeps for reuse, and if the allocator
/// then holds much that nobody uses, it returns that too.
final class MemoryKeeper {
    private static let period: UInt64 = 30_000
    /// Free bytes the allocator may keep.
    private static let slack = 16 << 20

    init(broker: Broker, loop: EventLoop) {
        _ = loop.after(Self.period, every: Self.period) {
            broker.giveMemoryBack()
            cr_blocks_trim()
            if cr_heap_free() > Self.slack { cr_heap_trim() }
        }
    }
}
