// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Reactor

@Suite struct TimerWheelTests {
    private func arm(_ wheel: borrowing TimerWheel, _ deadlines: [UInt64]) -> UnsafeMutablePointer<TimerNode> {
        let nodes = UnsafeMutablePointer<TimerNode>.allocate(capacity: deadlines.count)
        for (i, deadline) in deadlines.enumerated() {
            (nodes + i).initialize(to: TimerNode())
            wheel.arm(nodes + i, at: deadline)
        }
        return nodes
    }

    @Test("A timer that arms itself again while it fires fires each time")
    func periodic() {
        let wheel = TimerWheel(now: 0)
        let node = UnsafeMutablePointer<TimerNode>.allocate(capacity: 1)
        node.initialize(to: TimerNode())
        defer { node.deallocate() }
        wheel.arm(node, at: 50)
        var fired: [UInt64] = []
        for now in stride(from: UInt64(0), through: 10_000, by: 5) {
            wheel.advance(to: now) { due in
                #expect(due == node && !due.pointee.isArmed)
                fired.append(now)
                wheel.arm(due, at: now + 50)
            }
        }
        #expect(fired.count == 200)
        #expect(fired.first == 50 && wheel.armed == 1)
    }

    @Test("Timers of every level come in time, in order, once")
    func levels() {
        let wheel = TimerWheel(now: 123)
        let deadlines: [UInt64] = [130, 2_000, 2_690, 3_000, 60_000, 700_000, 3_000_000]
        let nodes = arm(wheel, deadlines)
        defer { nodes.deallocate() }
        var fired: [UInt64] = []
        var now: UInt64 = 123
        while let wait = wheel.untilNext(now: now) {
            now += max(1, wait)
            wheel.advance(to: now) { due in
                #expect(now >= due.pointee.deadline && now < due.pointee.deadline + 20)
                fired.append(due.pointee.deadline)
            }
        }
        #expect(fired == deadlines)
    }

    @Test("A limit spreads timers over several advances: each fires once, none early, the oldest first")
    func limit() {
        let wheel = TimerWheel(now: 0)
        // Also where the wheel's levels end.
        let deadlines: [UInt64] = [2_550, 2_560, 2_570, 655_360, 655_370].flatMap { Array(repeating: $0, count: 250) }
        let nodes = arm(wheel, deadlines)
        defer { nodes.deallocate() }
        var fired: [UInt64] = []
        var now: UInt64 = 0
        var again = 0
        while let wait = wheel.untilNext(now: now) {
            if wait == 0 { again += 1 }
            now += wait
            let before = fired.count
            wheel.advance(to: now, limit: 100) { due in
                #expect(now >= due.pointee.deadline)
                fired.append(due.pointee.deadline)
            }
            #expect(fired.count <= before + 100)
        }
        #expect(fired == deadlines)
        #expect(again >= 8 && wheel.armed == 0)
    }
}
