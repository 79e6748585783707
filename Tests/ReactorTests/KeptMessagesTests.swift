// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Schedules
import Testing

/// On the test's own thread, which keeps only for the time of `keeping`.
@Suite("Kept memory of messages")
struct KeptMessagesTests {
    /// Not with an address sanitizer: there nothing is kept.
    private static func keeping(_ body: () -> Void) {
        guard cr_messages_keep(true) else { return }
        defer { cr_messages_keep(false) }
        body()
    }

    private struct Taken {
        let block: UnsafeMutableRawPointer
        let size: Int
        let mark: UInt8

        /// Each byte is as it was written.
        var isIntact: Bool { UnsafeRawBufferPointer(start: block, count: size).allSatisfy { $0 == mark } }
    }

    /// To be tried with other allocators, too (`LD_PRELOAD`): their sizes are not glibc's.
    @Test("Blocks of all sizes that come and go share no byte")
    func sizes() {
        var dice = Dice(1)
        var live: [Taken] = []
        Self.keeping {
            for round in 0..<40_000 {
                if live.count > 300 || !live.isEmpty && dice.oneIn(2) {
                    let one = live.remove(at: dice.below(live.count))
                    #expect(one.isIntact, "\(one.size) bytes")
                    cr_message_give(one.block)
                } else {
                    let size = 1 + dice.below(1_000)
                    let one = Taken(block: cr_message_take(size)!, size: size, mark: UInt8(truncatingIfNeeded: round))
                    memset(one.block, Int32(one.mark), size)
                    live.append(one)
                }
            }
            for one in live { cr_message_give(one.block) }
        }
    }

    @Test(
        "A thread keeps no more than its share, the first that it was given, and has all of it again once it has trimmed"
    )
    func bound() {
        let size = 200
        let share = Int(CR_KEPT_MESSAGES) / size
        Self.keeping {
            for _ in 0..<2 {
                let taken = (0..<4_000).map { _ in cr_message_take(size)! }
                for block in taken { cr_message_give(block) }
                let again = (0..<share - 50).map { _ in cr_message_take(size)! }
                let last = taken.firstIndex(of: again[0])!
                // The allocator may have given some of them sixteen bytes more.
                #expect((share - 50..<share).contains(last))
                #expect(
                    zip(again, again.dropFirst()).allSatisfy { taken.firstIndex(of: $0)! > taken.firstIndex(of: $1)! })
                for block in again { cr_message_give(block) }
                cr_messages_trim()
            }
        }
    }
}
