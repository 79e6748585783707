// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Reactor

/// Loops with a made-up load, and a clock that the test moves.
private struct Load {
    var rule = GatherRule()
    var sums = GatherRule.Load()
    var now: UInt64 = 1000

    init() { _ = rule.gathers(sums, at: now) }

    /// - Parameters:
    ///   - share: of one core that all loops use together.
    ///   - atOnce: events at a wake-up.
    mutating func run(_ milliseconds: UInt64, share: Double, atOnce: UInt64 = 1) {
        let end = now + milliseconds
        while now < end {
            let step = rule.step
            now += step
            sums.busy += UInt64(share * Double(step) * 1_000_000)
            sums.wakes += 100
            sums.events += 100 * atOnce
            _ = rule.gathers(sums, at: now)
        }
    }
}

@Suite("When one thread serves all loops")
struct GatherRuleTests {
    @Test("With nothing or little to do, from the beginning and for ever")
    func little() {
        var load = Load()
        #expect(load.rule.isGathered)
        load.run(60_000, share: 0.01)
        #expect(load.rule.isGathered)
        load.run(60_000, share: 0.6)
        #expect(load.rule.isGathered)
    }

    @Test("Not when that thread would be busy most of its time")
    func much() {
        var load = Load()
        load.run(GatherRule.step, share: 0.9)
        #expect(!load.rule.isGathered)
    }

    @Test("Not when much comes at once, even if it leaves time in between")
    func bursts() {
        var load = Load()
        load.run(1_000, share: 0.2, atOnce: 1)
        #expect(load.rule.isGathered)
        load.run(1_000, share: 0.4, atOnce: 4)
        #expect(load.rule.isGathered, "a beat that comes in fours now and then")
        load.run(GatherRule.step, share: 0.2, atOnce: 12)
        #expect(!load.rule.isGathered)
    }

    @Test("A single burst in a quiet time is no reason")
    func oneBurst() {
        var load = Load()
        load.now += 1_000
        load.sums.busy += 2_000_000
        load.sums.wakes += 1
        load.sums.events += 64
        let isGathered = load.rule.gathers(load.sums, at: load.now)
        #expect(isGathered)
    }

    @Test("Again after a quiet while, and not before: one moment of much begins it anew")
    func again() {
        var load = Load()
        load.run(100, share: 2)
        load.run(GatherRule.leastPatience, share: 0.1)
        #expect(!load.rule.isGathered)
        load.run(GatherRule.longStep, share: 2)
        load.run(GatherRule.leastPatience, share: 0.1)
        #expect(!load.rule.isGathered)
        load.run(GatherRule.longStep, share: 0.1)
        #expect(load.rule.isGathered)
    }

    @Test("What would be too much for one thread does not bring them together first")
    func between() {
        var load = Load()
        load.run(100, share: 2)
        load.run(60_000, share: 0.6)
        #expect(!load.rule.isGathered)
        load.run(60_000, share: 0.2, atOnce: 8)
        #expect(!load.rule.isGathered)
    }

    @Test("Who goes to and fro takes longer each time, up to eight seconds; a long quiet time forgets it")
    func patience() {
        var load = Load()
        var waits: [UInt64] = []
        for _ in 0..<7 {
            load.run(50, share: 2)
            let since = load.now
            while !load.rule.isGathered { load.run(1, share: 0.1) }
            waits.append(load.now - since - GatherRule.longStep)
        }
        #expect(waits == [500, 1000, 2000, 4000, 8000, 8000, 8000])
        #expect(load.rule.spreads == 7)
        load.run(400_000, share: 0.1)
        load.run(50, share: 2)
        #expect(load.rule.patience == GatherRule.leastPatience)
    }

    @Test("Looks that come too early, or from another loop with an older time, change nothing")
    func early() {
        var load = Load()
        load.sums.busy += 1_000_000_000
        let answers = [1, -1, Int(GatherRule.step)].map { late in
            load.rule.gathers(load.sums, at: UInt64(Int(load.now) + late))
        }
        #expect(answers == [true, true, false])
    }
}
