// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

/// The runner itself: a machine with a known fault is found out, and its schedule shrinks to the fault.
@Suite("Random schedules")
struct ScheduleTests {
    /// Wrong as soon as three ups have come since the last reset and a reset was there before.
    private final class Faulty: Machine {
        enum Command { case up, down, reset }
        private var ups = 0
        private var resets = 0

        init(_ dice: inout Dice) {}
        static func command(_ dice: inout Dice) -> Command { dice.pick([.up, .down, .down, .reset]) }

        func run(_ command: Command) -> String? {
            switch command {
            case .up: ups += 1
            case .down: break
            case .reset:
                ups = 0
                resets += 1
            }
            return ups == 3 && resets > 0 ? "three ups" : nil
        }
    }

    private final class Leaking: Machine {
        private var held = 0
        init(_ dice: inout Dice) { _ = dice.next() }
        static func command(_ dice: inout Dice) -> Bool { dice.oneIn(2) }
        func run(_ command: Bool) -> String? {
            if command { held += 1 }
            return nil
        }
        func finish() -> String? { held > 1 ? "\(held) are still held" : nil }
    }

    @Test("A failing schedule shrinks to the commands that matter")
    func shrinks() throws {
        let failure = try #require(firstFailure(Faulty.self, seeds: 0..<100, commands: 200))
        #expect(failure.schedule == ["reset", "up", "up", "up"])
        #expect(failure.difference == "three ups")
        #expect(failure.description.contains("4 of 200 commands are enough"))
    }

    @Test("What only the end shows shrinks as well")
    func shrinksFinish() throws {
        let failure = try #require(firstFailure(Leaking.self, seeds: 7..<8, commands: 50))
        #expect(failure.schedule == ["true", "true"])
        #expect(failure.difference == "2 are still held")
    }

    @Test("The same seed gives the same schedule")
    func repeats() {
        let failures = (0..<2).map { _ in firstFailure(Faulty.self, seeds: 3..<40, commands: 100) }
        #expect(failures[0]?.seed == failures[1]?.seed)
        #expect(failures[0]?.schedule == failures[1]?.schedule)
    }
}
