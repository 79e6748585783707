// SPDX-License-Identifier: Apache-2.0
import Reactor
import Schedules
import Testing

/// The slab against a list of what lies in each slot. Uses are counted as the shards count them: odd in use, even not.
final class SlabMachine: Machine {
    enum Command {
        case take(Int)
        case give(Int)
        case giveMost
        case trim
    }

    private struct Thing: SlabSlot {
        var generation: UInt32
        var value: Int
    }

    private var slab = Slab<Thing>()
    private var taken: [(slot: UInt32, pointer: UnsafeMutablePointer<Thing>, value: Int)] = []
    /// The highest a slot ever had: no later use may have it again.
    private var generations: [UInt32: UInt32] = [:]
    private var value = 0

    init(_ dice: inout Dice) {}

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(12) {
        case 0..<5: .take(1 + dice.below(dice.oneIn(5) ? 900 : 5))
        case 5..<9: .give(dice.below(1000))
        case 9: .giveMost
        default: .trim
        }
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .take(let n):
            let slots = Set(taken.map(\.slot))
            for _ in 0..<n {
                if let wrong = take(slots) { return wrong }
            }
        case .give(let k):
            if !taken.isEmpty { give(k % taken.count) }
        case .giveMost:
            while taken.count > 5 { give(taken.count / 2) }
        case .trim: slab.trim()
        }
        return compare()
    }

    private func take(_ slots: Set<UInt32>) -> String? {
        value += 1
        let (slot, pointer) = slab.take()
        if Int(slot) >= slab.capacity { return "slot \(slot) lies beyond the capacity" }
        if slots.contains(slot) { return "slot \(slot) is given out twice" }
        let generation = pointer.pointee.generation | 1
        if let last = generations[slot], generation <= last { return "slot \(slot) is in generation \(last) again" }
        generations[slot] = generation
        pointer.pointee = Thing(generation: generation, value: value)
        taken.append((slot, pointer, value))
        return nil
    }

    private func give(_ at: Int) {
        let one = taken.remove(at: at)
        one.pointer.pointee.generation += 1
        slab.give(one.slot)
    }

    private func compare() -> String? {
        if slab.count != taken.count { return "the count is \(slab.count)" }
        for one in taken {
            if slab[one.slot] != one.pointer || slab.find(one.slot) != one.pointer {
                return "slot \(one.slot) has moved"
            }
            if one.pointer.pointee.value != one.value || one.pointer.pointee.generation != generations[one.slot]! {
                return "slot \(one.slot) has changed"
            }
        }
        return slab.find(UInt32(slab.capacity)) == nil ? nil : "a slot beyond the capacity is found"
    }
}

@Suite("Slab")
struct SlabTests {
    @Test("Random schedules: stable addresses, no slot twice, no generation twice, with and without trim")
    func schedules() {
        let failure = firstFailure(SlabMachine.self, seeds: 0..<30, commands: 60)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("trim gives back what is free, and keeps what is used")
    func trim() {
        struct Thing: SlabSlot { var generation: UInt32 }
        var slab = Slab<Thing>()
        let slots = (0..<2560).map { _ in slab.take().slot }
        for slot in slots where slot != 700 { slab.give(slot) }
        slab.trim()
        let found = (0..<10).map { slab.find(UInt32($0 * 256)) != nil }
        #expect(found == [false, false, true, false, false, false, false, false, false, false])
        #expect(slab.count == 1)
    }
}
