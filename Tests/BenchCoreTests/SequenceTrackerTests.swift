// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import BenchCore

@Suite struct SequenceTrackerTests {
    private func tracked(_ sequences: [UInt64], _ expectation: SequenceTracker.Expectation = .everyNumber)
        -> SequenceTracker
    {
        var tracker = SequenceTracker(expectation)
        for sequence in sequences { tracker.note(sequence) }
        return tracker
    }

    @Test func inOrderNothingIsWrong() {
        let t = tracked(Array(0..<1000))
        #expect((t.received, t.missing, t.duplicates, t.outOfOrder) == (1000, 0, 0, 0))
    }

    @Test func aGapIsMissingUntilItsMessagesArriveLate() {
        var t = tracked([0, 1, 5])
        #expect((t.received, t.missing) == (3, 3))
        for late in [3, 2, 4] as [UInt64] { t.note(late) }
        #expect((t.received, t.missing, t.duplicates, t.outOfOrder) == (6, 0, 0, 3))
    }

    @Test func aMessageSeenBeforeIsADuplicateEvenOutOfAGap() {
        let t = tracked([0, 0, 1, 4, 2, 2, 4, 1])
        #expect((t.received, t.missing, t.duplicates, t.outOfOrder) == (4, 1, 4, 1))
    }

    @Test func againstABruteForceModel() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let sequences = (0..<500).map { _ in UInt64.random(in: 0..<300, using: &random) }
            let t = tracked(sequences)
            var seen = Set<UInt64>()
            var highest: UInt64?
            var duplicates = 0
            var late = 0
            for sequence in sequences {
                if !seen.insert(sequence).inserted {
                    duplicates += 1
                } else if let highest, sequence < highest {
                    late += 1
                }
                highest = max(highest ?? 0, sequence)
            }
            #expect(t.received == UInt64(seen.count))
            #expect(t.duplicates == UInt64(duplicates))
            #expect(t.outOfOrder == UInt64(late))
            #expect(t.missing == highest! + 1 - UInt64(seen.count))
        }
    }

    @Test func aStrangersFirstMessageIsWhereCountingStarts() {
        let t = tracked([700, 701, 703], .fromFirstSeen)
        #expect((t.received, t.missing) == (3, 1))
    }

    @Test func risingStreamsMissNothingButNoticeRepeatsAndSwaps() {
        let t = tracked([3, 9, 9, 20, 10], .rising)
        #expect((t.received, t.missing, t.duplicates, t.outOfOrder) == (4, 0, 1, 1))
    }

    @Test func moreGapsThanTheLimitStayBounded() {
        let t = tracked((0..<10_000).map { $0 * 2 })
        #expect(t.received == 10_000)
        #expect(t.missing == 9_999)
    }
}
