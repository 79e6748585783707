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
    /// The allocator looks at each of its free pieces, and a loop that needs memory waits meanwhile: where that takes
    /// long, it is done the more seldom, at most this part of the time.
    private static let share: UInt64 = 2000

    private var notBefore: UInt64 = 0

    init(broker: Broker, loop: EventLoop) {
        _ = loop.after(Self.period, every: Self.period) {
            broker.giveMemoryBack()
            _ = loop.after(Self.pause) { self.trim() }
        }
    }

    private func trim() {
        let start = cr_clock_ms()
        guard start >= notBefore, cr_heap_free() > Self.slack else { return }
        cr_heap_trim()
        notBefore = start + (cr_clock_ms() - start) * Self.share
    }
}
