// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import Sessions

/// The identifiers that wait for PUBREL against a dictionary of times.
final class AwaitingReleaseMachine: Machine {
    enum Command {
        case insert(UInt16)
        /// So many identifiers from here on.
        case insertRun(UInt16, Int)
        case remove(UInt16)
        case removeRun(UInt16, Int)
        /// Some ms pass, less than the timeout, and what is too old goes.
        case expire(UInt64)
        case clear
    }

    private static let timeout: UInt64 = 100
    private var awaiting = AwaitingRelease()
    private var since: [UInt16: UInt64] = [:]
    private var now: UInt64 = 1000

    init(_ dice: inout Dice) {}

    static func command(_ dice: inout Dice) -> Command {
        let near = UInt16(1 + dice.below(200))
        switch dice.below(20) {
        case 0..<7: return .insert(dice.oneIn(5) ? UInt16(dice.below(65535) + 1) : near)
        case 7..<9: return .insertRun(near, dice.below(80))
        case 9..<14: return .remove(near)
        case 14: return .removeRun(near, dice.below(200))
        case 15..<19: return .expire(UInt64(dice.below(100)))
        default: return dice.oneIn(10) ? .clear : .remove(1)
        }
    }

    func run(_ command: Command) -> String? {
        let wrong: String? =
            switch command {
            case .insert(let id): insert(id)
            case .insertRun(let id, let n): (0..<n).lazy.compactMap { self.insert(id &+ UInt16($0)) }.first
            case .remove(let id): remove(id)
            case .removeRun(let id, let n): (0..<n).lazy.compactMap { self.remove(id &+ UInt16($0)) }.first
            case .expire(let ms): expire(ms)
            case .clear: clear()
            }
        if awaiting.count != since.count { return wrong ?? "the count is \(awaiting.count), not \(since.count)" }
        for id in 1...300 as ClosedRange<UInt16> where awaiting.contains(id) != (since[id] != nil) {
            return wrong ?? "\(id) is \(since[id] == nil ? "known" : "forgotten")"
        }
        return wrong
    }

    private func insert(_ id: UInt16) -> String? {
        awaiting.insert(id, now: now)
        if since[id] == nil { since[id] = now }
        return nil
    }

    private func remove(_ id: UInt16) -> String? {
        let known = since.removeValue(forKey: id) != nil
        return awaiting.remove(id) == known ? nil : "\(id) counts as \(known ? "unknown" : "known")"
    }

    private func expire(_ ms: UInt64) -> String? {
        now += ms
        let few = since.count <= 64
        let gone = awaiting.expire(now: now, timeout: Self.timeout)
        let before = since.count
        for (id, time) in since where !awaiting.contains(id) {
            if time + Self.timeout > now { return "\(id) is forgotten after \(now - time) ms" }
            since[id] = nil
        }
        if gone != before - since.count { return "\(gone) are said to be gone and \(before - since.count) are" }
        // The list is exact. The bitmaps, which a set that was larger once may still be in, take up to twice as long.
        let allowed = few && isExact ? Self.timeout : 2 * Self.timeout
        if let (id, time) = since.first(where: { $0.value + allowed <= now }) {
            return "\(id) is still there after \(now - time) ms"
        }
        return nil
    }

    private var isExact: Bool { !awaiting.usesBitmaps }

    private func clear() -> String? {
        awaiting.removeAll()
        since = [:]
        return nil
    }
}

@Suite("QoS 2 identifiers that wait for PUBREL")
struct AwaitingReleaseTests {
    @Test("Random schedules against a dictionary, as a list and as bitmaps [MQTT-4.3.3-10] [MQTT-4.3.3-11]")
    func schedules() {
        let failure = firstFailure(AwaitingReleaseMachine.self, seeds: 0..<100, commands: 80)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("All 65,535 identifiers: each known once, released once")
    func all() {
        var awaiting = AwaitingRelease()
        var wrong = 0
        for id in 1...UInt16.max {
            if awaiting.contains(id) { wrong += 1 }
            awaiting.insert(id, now: 0)
            awaiting.insert(id, now: 0)
        }
        #expect(awaiting.count == 65535)
        for id in (1...UInt16.max).reversed() {
            if !awaiting.remove(id) || awaiting.remove(id) { wrong += 1 }
        }
        #expect(wrong == 0)
        #expect(awaiting.count == 0)
        #expect(awaiting.usesBitmaps == false)
    }

    @Test("A timeout of 0 forgets nothing")
    func noTimeout() {
        var awaiting = AwaitingRelease()
        for id in 1...100 as ClosedRange<UInt16> {
            awaiting.insert(id, now: 0)
            let gone = awaiting.expire(now: 1_000_000, timeout: 0)
            #expect(gone == 0)
        }
        #expect(awaiting.count == 100)
    }

    @Test("When all are due, all are forgotten, however many")
    func allDue() {
        for n in [1, 64, 65, 5000] {
            var awaiting = AwaitingRelease()
            for id in 1...UInt16(n) { awaiting.insert(id, now: UInt64(id)) }
            let early = awaiting.expire(now: 1000, timeout: 1000)
            let late = awaiting.expire(now: UInt64(n) + 1000, timeout: 1000)
            #expect(early == 0)
            #expect(late == n)
            #expect(awaiting.count == 0)
        }
    }
}
