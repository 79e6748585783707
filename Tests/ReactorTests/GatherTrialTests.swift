// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Reactor

/// A machine on which a packet has one price for one thread and another for all of them, and a clock that the test moves.
private struct Machine {
    var rule = GatherRule()
    /// Packets a millisecond, and nanoseconds for each.
    var rate: UInt64 = 20
    /// nil: the same.
    var rateAlone: UInt64?
    var alone: UInt64 = 30_000
    var together: UInt64 = 45_000
    var sums = GatherRule.Load()
    var now: UInt64 = 1_000
    /// Milliseconds by one thread, since the beginning.
    private var gathered: UInt64 = 0

    init() { _ = rule.gathers(sums, at: now) }

    /// So many milliseconds pass; returns during how many of them one thread was at work.
    @discardableResult
    mutating func run(_ milliseconds: UInt64) -> UInt64 {
        let before = gathered
        let end = now + milliseconds
        while now < end {
            let step = rule.step
            let rate = rule.isGathered ? rateAlone ?? rate : rate
            now += step
            sums.packets += rate * step
            sums.busy += rate * step * (rule.isGathered ? alone : together)
            sums.wakes += step
            sums.events += step * min(rate, 8)
            if rule.isGathered { gathered += step }
            _ = rule.gathers(sums, at: now)
        }
        return gathered - before
    }

    /// What so many tries of one thread take at most.
    static func tries(_ count: UInt64) -> UInt64 {
        count * (GatherTrial.length + GatherTrial.settling + GatherRule.longStep)
    }
}

@Suite("Whether it is worth its price that loops work side by side")
struct GatherTrialTests {
    /// The second as measured on two cores, 20,000 messages a second.
    @Test(
        "Where waking cores is dear, one thread does what it can",
        arguments: [(30_000, 45_000), (28_800, 34_600)] as [(UInt64, UInt64)])
    func dear(alone: UInt64, together: UInt64) {
        var machine = Machine()
        (machine.alone, machine.together) = (alone, together)
        machine.run(1_000)
        #expect(machine.rule.spreads == 1)
        let gathered = machine.run(100_000)
        #expect(gathered > 93_000)
        let later = machine.run(1_000_000)
        #expect(later > 990_000, "and is asked again ever more rarely")
    }

    @Test(
        "Where it is cheap, they work side by side, but for tries that grow rare",
        arguments: [(30_000, 33_000), (35_000, 42_000)] as [(UInt64, UInt64)])
    func cheap(alone: UInt64, together: UInt64) {
        var machine = Machine()
        (machine.alone, machine.together) = (alone, together)
        machine.run(1_000)
        let gathered = machine.run(100_000)
        #expect(gathered > 0 && gathered <= Machine.tries(6))
        let later = machine.run(1_000_000)
        #expect(later <= Machine.tries(10))
    }

    @Test("A dear price of little is no waste")
    func little() {
        var machine = Machine()
        (machine.alone, machine.together) = (12_600, 16_000)
        machine.run(100_000)
        #expect(machine.rule.spreads >= 1)
        let gathered = machine.run(100_000)
        #expect(gathered <= Machine.tries(2))
    }

    @Test("What one thread cannot do it is not given, or soon rid of", arguments: [44_000, 60_000] as [UInt64])
    func tooMuch(price: UInt64) {
        var machine = Machine()
        (machine.alone, machine.together) = (price, 70_000)
        machine.run(10_000)
        #expect(machine.rule.patience == GatherRule.leastPatience, "a try is no load that goes to and fro")
        let gathered = machine.run(100_000)
        #expect(gathered <= Machine.tries(6))
    }

    @Test("More to do ends the verdict at once; less, and it is tried again")
    func moreAndLess() {
        var machine = Machine()
        machine.run(5_000)
        #expect(machine.rule.isGathered)
        machine.rate = 60
        machine.run(GatherRule.longStep)
        #expect(!machine.rule.isGathered)
        machine.run(20_000)
        #expect(!machine.rule.isGathered)
        machine.rate = 20
        machine.run(5_000)
        #expect(machine.rule.isGathered)
    }

    @Test("Who spreads them for another reason is not contradicted for a while")
    func interrupted() {
        var machine = Machine()
        machine.run(5_000)
        machine.rule.spread(at: machine.now)
        machine.run(GatherTrial.leastRest.together - GatherRule.longStep)
        #expect(!machine.rule.isGathered)
        machine.run(2 * GatherRule.longStep)
        #expect(machine.rule.isGathered)
    }

    @Test("Clients that wait for answers, and are served less by one thread, are served by all")
    func lateAnswers() {
        var machine = Machine()
        (machine.together, machine.rateAlone) = (50_000, 18)
        let gathered = machine.run(100_000)
        #expect(gathered <= Machine.tries(6))
    }

    @Test("Few packets tell nothing")
    func few() {
        var machine = Machine()
        machine.rate = 1
        (machine.alone, machine.together) = (750_000, 1_200_000)
        machine.run(1_000)
        #expect(!machine.rule.isGathered)
        let gathered = machine.run(100_000)
        #expect(gathered == 0)
    }
}
