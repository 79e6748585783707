// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import Reactor

/// The wheel against the list of what is armed, each with the tick it is due at.
final class TimerWheelMachine: Machine {
    enum Command {
        /// A timer, and ms from now.
        case arm(Int, UInt64)
        /// At a time that has passed.
        case armLate(Int)
        /// As far away as time goes.
        case armLast(Int)
        case disarm(Int)
        /// What a timer does when it fires next: arm that one, so many ms from now.
        case armWhenFiring(Int, arms: Int, UInt64)
        case disarmWhenFiring(Int, disarms: Int)
        case advance(UInt64)
        /// To the time the wheel asks for.
        case advanceAsAsked
    }

    private enum Act {
        case arm(Int, UInt64)
        case disarm(Int)
    }

    private static let count = 10
    private let nodes: UnsafeMutablePointer<TimerNode>
    private let wheel: TimerWheel
    private let start: UInt64
    private var now: UInt64
    /// Of the firing under way, or of the last advance.
    private var tick: UInt64
    private var due: [Int: UInt64] = [:]
    private var acts: [Int: Act] = [:]
    private var wrong: String?

    init(_ dice: inout Dice) {
        // Also shortly before each of the wheel's levels comes round.
        let boundary = dice.pick([256, 65536, 1 << 24, 1 << 32] as [UInt64]) * UInt64(1 + dice.below(3)) * 10
        start = dice.oneIn(2) ? UInt64(dice.below(100_000)) : boundary - UInt64(dice.below(60))
        now = start
        tick = start / 10
        wheel = TimerWheel(now: start)
        nodes = .allocate(capacity: Self.count)
        nodes.initialize(repeating: TimerNode(), count: Self.count)
    }

    deinit { nodes.deallocate() }

    var setting: String { "from \(start) ms" }

    /// Milliseconds on every scale of the wheel, and beyond its 497 days.
    private static func span(_ dice: inout Dice) -> UInt64 {
        let scale: [Int] = [30, 3000, 5200, 660_000, 1_400_000, 168_000_000, 43_000_000_000, 200_000_000_000]
        let most = dice.pick(scale)
        return UInt64(dice.oneIn(3) ? max(0, most - dice.below(100)) : dice.below(most))
    }

    static func command(_ dice: inout Dice) -> Command {
        let (one, other) = (dice.below(count), dice.below(count))
        switch dice.below(20) {
        case 0..<7: return .arm(one, span(&dice))
        case 7: return .armLate(one)
        case 8: return dice.oneIn(5) ? .armLast(one) : .armLate(one)
        case 9, 10: return .disarm(one)
        case 11: return .armWhenFiring(one, arms: other, span(&dice))
        case 12: return .armWhenFiring(one, arms: one, span(&dice))
        case 13: return .disarmWhenFiring(one, disarms: other)
        case 14..<17: return .advance(span(&dice))
        default: return .advanceAsAsked
        }
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .arm(let timer, let ms): arm(timer, at: now + ms)
        case .armLate(let timer): arm(timer, at: now / 2)
        case .armLast(let timer): arm(timer, at: .max)
        case .disarm(let timer): disarm(timer)
        case .armWhenFiring(let timer, let other, let ms): acts[timer] = .arm(other, ms)
        case .disarmWhenFiring(let timer, let other): acts[timer] = .disarm(other)
        case .advance(let ms): advance(ms)
        case .advanceAsAsked: advance(wheel.untilNext(now: now) ?? 10)
        }
        return wrong ?? compare()
    }

    private func arm(_ timer: Int, at deadline: UInt64) {
        wheel.arm(nodes + timer, at: deadline)
        due[timer] = max(deadline / 10 + (deadline % 10 > 0 ? 1 : 0), tick + 1)
    }

    private func disarm(_ timer: Int) {
        wheel.disarm(nodes + timer)
        due[timer] = nil
    }

    private func advance(_ ms: UInt64) {
        now += ms
        wheel.advance(to: now) { node in fired(node - nodes) }
        tick = now / 10
        if let (timer, _) = due.first(where: { $0.value <= tick }) { wrong = wrong ?? "\(timer) has not fired" }
    }

    private func fired(_ timer: Int) {
        guard let at = due[timer] else {
            wrong = wrong ?? "\(timer) fires although it is not armed"
            return
        }
        let first = due.values.min()!
        if at != first { wrong = wrong ?? "\(timer), due at tick \(at), fires before one due at \(first)" }
        if at > now / 10 { wrong = wrong ?? "\(timer) fires too early" }
        if nodes[timer].isArmed { wrong = wrong ?? "\(timer) is armed while it fires" }
        due[timer] = nil
        tick = at
        switch acts.removeValue(forKey: timer) {
        case .arm(let other, let ms): arm(other, at: now + ms)
        case .disarm(let other): disarm(other)
        case nil: break
        }
    }

    private func compare() -> String? {
        if wheel.armed != due.count { return "\(wheel.armed) are armed and should be \(due.count)" }
        for timer in 0..<Self.count where nodes[timer].isArmed != (due[timer] != nil) { return "\(timer) is armed" }
        let wait = wheel.untilNext(now: now)
        guard let first = due.values.min() else { return wait == nil ? nil : "nothing is armed, but it waits" }
        guard let wait else { return "it waits for nothing" }
        if wait == 0 { return "it wants to be advanced again at once" }
        return (now + wait) / 10 > first ? "it sleeps past tick \(first)" : nil
    }
}

@Suite("Timer wheel")
struct TimerWheelModelTests {
    @Test("Random schedules against a list: order, never early, re-armed and disarmed while firing, beyond 497 days")
    func schedules() {
        let failure = firstFailure(TimerWheelMachine.self, seeds: 0..<400, commands: 120)
        #expect(failure == nil, "\(failure!)")
    }

    @Test(
        "A timer is not early and at most one tick late", arguments: [1, 9, 10, 11, 2559, 2560, 2561, 655_359, 655_361])
    func precision(ms: UInt64) {
        for start in [0, 3, 2559] as [UInt64] {
            let wheel = TimerWheel(now: start)
            var node = TimerNode()
            var firedAt: UInt64?
            withUnsafeMutablePointer(to: &node) { node in
                wheel.arm(node, at: start + ms)
                var now = start
                while firedAt == nil, now < start + ms + 100 {
                    now += ms > 10_000 ? wheel.untilNext(now: now)! : 1
                    wheel.advance(to: now) { _ in firedAt = now }
                }
            }
            #expect(firedAt! >= start + ms)
            #expect(firedAt! <= start + ms + 10)
        }
    }

    @Test("An idle loop with one timer a day away sleeps nearly all day")
    func wakeUps() {
        let day: UInt64 = 86_400_000
        let wheel = TimerWheel(now: 777)
        var node = TimerNode()
        withUnsafeMutablePointer(to: &node) { node in
            wheel.arm(node, at: 777 + day)
            var now: UInt64 = 777
            var wakeUps = 0
            while let wait = wheel.untilNext(now: now) {
                now += wait
                wheel.advance(to: now) { _ in }
                wakeUps += 1
            }
            #expect(wakeUps < 400)
            #expect(now >= 777 + day && now < 777 + day + 20)
        }
    }

    @Test("100,000 timers fire once each, in the order of their deadlines")
    func many() {
        let count = 100_000
        let nodes = UnsafeMutablePointer<TimerNode>.allocate(capacity: count)
        nodes.initialize(repeating: TimerNode(), count: count)
        defer { nodes.deallocate() }
        var dice = Dice(1)
        let wheel = TimerWheel(now: 0)
        for n in 0..<count { wheel.arm(nodes + n, at: UInt64(dice.below(3_600_000))) }
        for n in stride(from: 0, to: count, by: 3) { wheel.disarm(nodes + n) }
        var fired = 0
        var last: UInt64 = 0
        var early = 0
        wheel.advance(to: 3_600_010) { node in
            fired += 1
            let tick = max(1, (node.pointee.deadline + 9) / 10)
            if tick < last { early += 1 }
            last = tick
        }
        #expect(fired == count - (count + 2) / 3)
        #expect(early == 0)
        #expect(wheel.armed == 0)
    }
}
