// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Broker

@Suite struct FlappingTests {
    private func table(_ count: Int, window: UInt64 = 1000) -> Flapping {
        Flapping(FlappingSettings(maxCount: count, window: window, banTime: 1))
    }

    /// A hash that falls into set `set` of the table.
    private func hash(_ set: Int, _ id: UInt64) -> UInt64 { UInt64(set) << 40 | id }

    @Test(arguments: [1, 2, 15, 1000])
    func oneMoreThanTheCountWithinTheWindow(_ count: Int) {
        let table = table(count)
        for i in 0..<count { #expect(!table.note(7, now: 5000 + UInt64(i % 1000))) }
        #expect(table.note(7, now: 6000))
        for i in 0..<count { #expect(!table.note(7, now: 6000 + UInt64(i % 900)), "the count begins anew") }
        #expect(table.note(7, now: 6950))
    }

    @Test func theWindowSlides() {
        let table = table(3)
        // Never more than three in any 1000 ms, although there are four in 1001.
        for now: UInt64 in [10_000, 10_500, 11_000, 11_001, 11_501, 12_001, 12_002] {
            #expect(!table.note(7, now: now))
        }
        #expect(table.note(7, now: 12_501))
    }

    /// Against all times written down.
    @Test func agreesWithAPlainCount() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<50 {
            let count = Int.random(in: 1...6, using: &random)
            let table = table(count, window: 100)
            var past: [Int: [UInt64]] = [:]
            var now: UInt64 = 1000
            for _ in 0..<400 {
                now += UInt64.random(in: 0...40, using: &random)
                let id = Int.random(in: 0..<4, using: &random)
                var times = past[id, default: []]
                times.append(now)
                let expected = times.filter { now - $0 <= 100 }.count > count
                past[id] = expected ? [] : times
                #expect(table.note(hash(9, UInt64(id) + 1), now: now) == expected)
            }
        }
    }

    /// Loops read the clock once a tick, and any of them may see the next end.
    @Test func anEndMayBeNotedByALoopWhoseClockIsBehind() {
        let table = table(1)
        #expect(!table.note(7, now: 5003))
        #expect(table.note(7, now: 5000))
    }

    @Test func theQuietestGivesWay() {
        let table = table(1)
        for id: UInt64 in 1...4 { #expect(!table.note(hash(3, id), now: 100 + id)) }
        #expect(!table.note(hash(3, 5), now: 200), "takes the place of 1")
        #expect(table.note(hash(3, 2), now: 300) && table.note(hash(3, 5), now: 300))
        #expect(!table.note(hash(3, 1), now: 301), "was forgotten")
        #expect(!table.note(hash(4, 1), now: 301), "another set")
    }

    @Test func manyIdsStayApart() {
        let table = table(2)
        for round in 0..<2 {
            for id in 0..<UInt64(Flapping.sets) { #expect(!table.note(hash(Int(id), id + 1), now: 10 + UInt64(round))) }
        }
        for id in 0..<UInt64(Flapping.sets) { #expect(table.note(hash(Int(id), id + 1), now: 20)) }
    }
}
