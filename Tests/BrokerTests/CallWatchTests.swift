// SPDX-License-Identifier: Apache-2.0
import Reactor
import Testing

@testable import Broker

@Suite struct CallWatchTests {
    /// Looks at these calls, 10 ms apart; between two of them the thread gets `used` milliseconds, 10 if it says nothing.
    private func look(_ calls: [UInt64], used: [UInt64] = [], isReady: Bool = true) -> [Bool] {
        let ms: UInt64 = 1_000_000
        var watch = CallWatch()
        var time = ThreadTime(used: 100 * ms, at: 0)
        return calls.enumerated().map { i, call in
            time.at += CallWatch.step * ms
            time.used += (i < used.count ? used[i] : CallWatch.step) * ms
            return watch.look(call, time: { time }, isReady: { isReady })
        }
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
    func aCallIsToldWhenNobodyKnowsWhatItsThreadHad(_ used: [UInt64?]) {
        var watch = CallWatch()
        var (used, at) = (used.makeIterator(), UInt64(0))
        let told = [7, 7, 7].map { call in
            watch.look(
                call,
                time: {
                    at += 10_000_000
                    return used.next().flatMap { $0 }.map { ThreadTime(used: $0, at: at) }
                }, isReady: { true })
        }
        #expect(told == [false, false, true])
    }
}
