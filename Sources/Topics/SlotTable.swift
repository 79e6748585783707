// SPDX-License-Identifier: Apache-2.0

/// Open addressing from (parent, level name) to the child: eight bytes per slot, the key's tag above, the
/// node's id below, 0 = free. The home slot is the tag's upper bits, so growing walks both tables in order and needs no node.
struct SlotTable: ~Copyable {
    private static let smallestBits = 4

    private(set) var slots: UnsafeMutablePointer<UInt64>
    private var bits: Int
    private(set) var count = 0

    init() {
        bits = SlotTable.smallestBits
        slots = SlotTable.allocate(bits)
    }

    deinit { FlatMemory.free(slots, 8 << bits) }

    var memoryBytes: Int { 8 << bits }
    @inline(__always) var shift: UInt32 { UInt32(truncatingIfNeeded: 32 - bits) }
    @inline(__always) var mask: Int { (1 &<< bits) &- 1 }

    @inline(__always)
    static func tag(_ parent: UInt32, _ levelHash: UInt64, _ keys: LevelKeys) -> UInt32 {
        UInt32(truncatingIfNeeded: foldMultiply(levelHash ^ UInt64(parent) &* 0xff51_afd7_ed55_8ccd, keys.node) >> 32)
    }

    mutating func insert(_ tag: UInt32, _ id: UInt32) {
        // At most 5/8 full: a miss then looks at about four slots, half a cache line.
        if (count + 1) * 8 > 5 << bits { resize(to: bits + 1) }
        place(UInt64(tag) << 32 | UInt64(id))
        count += 1
    }

    /// The slot of `id` must exist. Later slots of its run move up, so that no tombstones slow the probes.
    mutating func remove(_ tag: UInt32, _ id: UInt32) {
        var hole = Int(tag >> shift)
        while UInt32(truncatingIfNeeded: slots[hole]) != id { hole = (hole + 1) & mask }
        var at = hole
        while true {
            at = (at + 1) & mask
            let slot = slots[at]
            if slot == 0 { break }
            let home = Int(UInt32(truncatingIfNeeded: slot >> 32) >> shift)
            if (at - home) & mask >= (at - hole) & mask {
                slots[hole] = slot
                hole = at
            }
        }
        slots[hole] = 0
        count -= 1
        if bits > SlotTable.smallestBits, count * 8 < 1 << bits { resize(to: bits - 1) }
    }

    private mutating func place(_ slot: UInt64) {
        var at = Int(UInt32(truncatingIfNeeded: slot >> 32) >> shift)
        while slots[at] != 0 { at = (at + 1) & mask }
        slots[at] = slot
    }

    private mutating func resize(to newBits: Int) {
        let old = slots
        let oldBits = bits
        bits = newBits
        slots = SlotTable.allocate(newBits)
        for index in 0..<1 << oldBits where old[index] != 0 { place(old[index]) }
        FlatMemory.free(old, 8 << oldBits)
    }

    private static func allocate(_ bits: Int) -> UnsafeMutablePointer<UInt64> {
        precondition(bits <= 32, "more than two thousand million filter levels")
        return FlatMemory.allocate(8 << bits).bindMemory(to: UInt64.self, capacity: 1 << bits)
    }
}
