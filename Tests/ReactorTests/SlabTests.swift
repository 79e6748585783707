// SPDX-License-Identifier: Apache-2.0
import Reactor
import Schedules
import Testing

/// The slab against a dictionary of what lies in each slot.
final class SlabMachine: Machine {
    enum Command {
        case take(Int)
        case give(Int)
    }

    private struct Thing: SlabSlot {
        var generation: UInt32
        var value: Int
    }

    private var slab = Slab<Thing>()
    private var taken: [(slot: UInt32, pointer: UnsafeMutablePointer<Thing>, value: Int)] = []
    private var generations: [UInt32: UInt32] = [:]
    private var value = 0

    init(_ dice: inout Dice) {}

    static func command(_ dice: inout Dice) -> Command {
        dice.oneIn(2) ? .take(1 + dice.below(dice.oneIn(20) ? 600 : 5)) : .give(dice.below(1000))
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .take(let n):
            for _ in 0..<n {
                if let wrong = take() { return wrong }
            }
        case .give(let k):
            guard !taken.isEmpty else { return nil }
            let one = taken.remove(at: k % taken.count)
            slab.give(one.slot)
        }
        if slab.count != taken.count { return "the count is \(slab.count)" }
        for one in taken where slab[one.slot] != one.pointer || one.pointer.pointee.value != one.value {
            return "slot \(one.slot) has moved or changed"
        }
        return nil
    }

    private func take() -> String? {
        value += 1
        let (slot, pointer) = slab.take()
        if Int(slot) >= slab.capacity { return "slot \(slot) lies beyond the capacity" }
        if taken.contains(where: { $0.slot == slot }) { return "slot \(slot) is given out twice" }
        if pointer.pointee.generation != generations[slot, default: 0] { return "the generation of \(slot) is lost" }
        generations[slot, default: 0] += 1
        pointer.pointee = Thing(generation: generations[slot]!, value: value)
        taken.append((slot, pointer, value))
        return nil
    }
}

@Suite("Slab")
struct SlabTests {
    @Test("Random schedules: stable addresses, no slot twice, generations survive")
    func schedules() {
        let failure = firstFailure(SlabMachine.self, seeds: 0..<30, commands: 60)
        #expect(failure == nil, "\(failure!)")
    }
}
