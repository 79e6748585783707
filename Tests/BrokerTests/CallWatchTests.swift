// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Broker

@Suite struct CallWatchTests {
    private let ms: UInt64 = 1_000_000

    @Test func aCallThatIsStillThereAtTheThirdLookIsToldOnce() {
        var watch = CallWatch()
        #expect([7, 7, 7, 7, 7].map { watch.look($0) { 0 } } == [false, false, true, false, false])
        #expect([8, 7, 7, 8, 8, 8].map { watch.look($0) { 0 } } == [false, false, false, false, false, true])
        #expect(watch.call == 8)
        #expect([0, 0, 0, 0].allSatisfy { !watch.look($0) { 0 } }, "no call is none that blocks")
    }

    @Test(arguments: [(0, true), (4, true), (5, false), (10, false)])
    func aThreadWithoutACoreIsNotToBlame(_ waited: UInt64, _ isBlamed: Bool) {
        var watch = CallWatch()
        var looks = [100 * ms, (100 + waited) * ms].makeIterator()
        #expect([7, 7, 7].map { watch.look($0) { looks.next() } } == [false, false, isBlamed])
    }

    /// The kernel's file cannot be read while clients have all descriptors, and may say 0 where it did not before.
    @Test(arguments: [[nil, nil], [100, nil], [nil, 100], [100, 0]] as [[UInt64?]])
    func aCallIsToldWhenNobodyKnowsHowLongItWaited(_ looks: [UInt64?]) {
        var watch = CallWatch()
        var looks = looks.makeIterator()
        #expect([7, 7, 7].map { watch.look($0) { looks.next() ?? nil } } == [false, false, true])
    }
}
