// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// Finds the item of a whole topic with one look into a table and one at the item, where the tree has to compare its way
/// down. 64 tables of open addressing, of which each grows and shrinks by itself: a hold of the lock copies at most
/// one of them.
///
/// A slot holds an item's address and above it 16 bits of its hash. The place where a search begins is the first slot of a
/// cache line of eight, which those bits tell in tables of up to 512 Ki slots, so copying touches no item.
///
/// Not thread-safe: the store's lock guards it.
struct TopicIndex {
    private typealias Part = clmdb_slots

    static let partCount = 64
    static let firstCapacity = 8
    private static let tagShift: UInt64 = 48
    /// In tables above this size the tag does not tell the home of a slot.
    static let taggedCapacity = 8 << 16

    private let parts: UnsafeMutablePointer<Part>
    private let secret: TopicHash.Secret
    private let taggedCapacity: Int

    /// - Parameter taggedCapacity: for tests, at most the usual one.
    init(_ secret: TopicHash.Secret, taggedCapacity: Int = TopicIndex.taggedCapacity) {
        self.taggedCapacity = taggedCapacity
        parts = .allocate(capacity: Self.partCount)
        parts.initialize(repeating: Part(), count: Self.partCount)
        self.secret = secret
    }

    func free() {
        for i in 0..<Self.partCount { CLMDB.free(parts[i].slots) }
        parts.deallocate()
    }

    /// Slots of all tables.
    var capacity: Int { (0..<Self.partCount).reduce(0) { $0 + parts[$1].capacity } }

    func hash(_ key: UnsafeRawBufferPointer) -> TopicHash { TopicHash(key, secret) }

    /// Asks for the cache line where a search would begin. Needs no lock: the address is only a hint.
    @inline(__always)
    func prefetch(_ hash: TopicHash) {
        clmdb_prefetch_slot(part(hash), hash.bits &<< 3)
    }

    func find(_ key: UnsafeRawBufferPointer, _ hash: TopicHash) -> ItemRef? {
        let part = part(hash)
        guard let slots = part.pointee.slots else { return nil }
        let mask = part.pointee.mask
        let tag = hash.bits << Self.tagShift
        var at = Self.home(hash, mask)
        while slots[at] != 0 {
            if (slots[at] ^ tag) >> Self.tagShift == 0, let item = Self.item(slots[at]),
                TopicKey.isEqual(item.key, key)
            {
                return item
            }
            at = (at + 1) & mask
        }
        return nil
    }

    /// `item` must not be in the index.
    func insert(_ item: ItemRef, _ hash: TopicHash) {
        let part = part(hash)
        if part.pointee.count >= part.pointee.capacity / 8 * 7 {
            resize(part, max(Self.firstCapacity, part.pointee.capacity * 2))
        }
        let address = UInt64(UInt(bitPattern: item))
        guard address >> Self.tagShift == 0, let slots = part.pointee.slots else {
            fatalError("retainer: memory above 48 bits of address")
        }
        Self.place(address | hash.bits << Self.tagShift, Self.home(hash, part.pointee.mask), slots, part.pointee.mask)
        part.pointee.count += 1
    }

    /// `item` must be in the index.
    func remove(_ item: ItemRef, _ hash: TopicHash) {
        let part = part(hash)
        guard let slots = part.pointee.slots else { return }
        let mask = part.pointee.mask
        let slot = UInt64(UInt(bitPattern: item)) | hash.bits << Self.tagShift
        var hole = Self.home(hash, mask)
        while slots[hole] != slot {
            if slots[hole] == 0 { return }
            hole = (hole + 1) & mask
        }
        // What stands behind the hole moves up, unless its search begins behind the hole.
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let home = home(slots[next], mask)
            if (next &- home) & mask >= (next &- hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = 0
        part.pointee.count -= 1
        if part.pointee.count < part.pointee.capacity / 8 { resize(part, part.pointee.capacity / 2) }
    }

    private func resize(_ part: UnsafeMutablePointer<Part>, _ capacity: Int) {
        let (old, count) = (part.pointee.slots, part.pointee.capacity)
        part.pointee.capacity = capacity
        part.pointee.slots = capacity < Self.firstCapacity ? nil : Self.makeSlots(capacity)
        if capacity < Self.firstCapacity { part.pointee.capacity = 0 }
        if let old, let slots = part.pointee.slots {
            for i in 0..<count where old[i] != 0 { Self.place(old[i], home(old[i], capacity - 1), slots, capacity - 1) }
        }
        CLMDB.free(old)
    }

    @inline(__always)
    private func part(_ hash: TopicHash) -> UnsafeMutablePointer<Part> { parts + Int(hash.bits >> 58) }

    @inline(__always)
    private static func home(_ hash: TopicHash, _ mask: Int) -> Int {
        Int(truncatingIfNeeded: hash.bits &<< 3) & mask
    }

    private func home(_ slot: UInt64, _ mask: Int) -> Int {
        if mask < taggedCapacity { return Int((slot >> Self.tagShift) << 3) & mask }
        return Self.item(slot).map { Self.home(hash($0.key), mask) } ?? 0
    }

    private static func place(_ slot: UInt64, _ home: Int, _ slots: UnsafeMutablePointer<UInt64>, _ mask: Int) {
        var at = home
        while slots[at] != 0 { at = (at + 1) & mask }
        slots[at] = slot
    }

    @inline(__always)
    private static func item(_ slot: UInt64) -> ItemRef? {
        ItemRef(bitPattern: UInt(slot & (1 << tagShift - 1)))
    }

    private static func makeSlots(_ capacity: Int) -> UnsafeMutablePointer<UInt64> {
        let size = capacity * MemoryLayout<UInt64>.size
        guard let raw = aligned_alloc(64, size) else { fatalError("retainer: out of memory") }
        memset(raw, 0, size)
        return raw.bindMemory(to: UInt64.self, capacity: capacity)
    }
}

extension clmdb_slots {
    fileprivate var mask: Int { capacity - 1 }
}
