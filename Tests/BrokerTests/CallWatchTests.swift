// SPDX-License-Identifier: Apache-2.0
import Reactor
import Testing

@testable import Broker

@Suite struct CallWatchTests {
    /// Looks at these calls, 10 ms apart, by which time the thread has had so much; nil: nobody knows.
    private func look(_ calls: [UInt64], _ had: [UInt64?], isReady: Bool = true) -> [Bool] {
        var watch = CallWatch()
        return zip(calls, had).enumerated().map { i, look in
            let time = look.1.map { ThreadTime(used: $0 * 1_000_000, at: UInt64(i) * CallWatch.step * 1_000_000) }
            return watch.look(look.0, time: { time }, isReady: { isReady })
        }
    }

    /// The thread gets so many milliseconds from look to look, 10 if it says nothing.
    private func look(_ calls: [UInt64], used: [UInt64] = [], isReady: Bool = true) -> [Bool] {
        var had: UInt64 = 100
        let all = calls.indices.map { i in
            had += i < used.count ? used[i] : CallWatch.step
            return Optional(had)
        }
        return look(calls, all, isReady: isReady)
    }

    @Test func aCallThatIsStillThereAtTheThirdLookIsToldOnce() {
        #expect(look([7, 7, 7, 7, 7]) == [false, false, true, false, false])
        #expect(
            look([7, 7, 7, 8, 7, 7, 8, 8, 8]) == [false, false, true, false, false, false, false, false, true])
        #expect(look([0, 0, 0, 0]) == [false, false, false, false], "no call is none that blocks")
    }

    @Test(arguments: [(0, false), (4, false), (5, true), (10, true)])
    func aThreadKeptFromItsCoreIsNotToBlame(_ used: UInt64, _ isBlamed: Bool) {
        #expect(look([7, 7, 7], used: [10, 10, used]) == [false, false, isBlamed])
    }

    @Test func aThreadThatWaitsForSomethingElseIsToBlame() {
        #expect(look([7, 7, 7], used: [10, 10, 0], isReady: false) == [false, false, true])
    }

    @Test func whoWasKeptAndThenBlocksIsToldLater() {
        #expect(look([7, 7, 7, 7, 7, 7], used: [10, 10, 0, 1, 9]) == [false, false, false, false, true, false])
    }

    /// The kernel's file cannot be read while clients have all descriptors, and may say 0 where it did not before.
    @Test(arguments: [[nil, nil], [100, nil], [nil, 100], [100, 0]] as [[UInt64?]])
    func aCallIsToldWhenNobodyKnowsWhatItsThreadHad(_ had: [UInt64?]) {
        #expect(look([7, 7, 7], [100] + had) == [false, false, true])
    }
}
