// SPDX-License-Identifier: Apache-2.0

/// What a slab holds: a trivial struct that counts the uses of its slot.
public protocol SlabSlot {
    /// Survives reuse of the slot; handles carry it, so that a stale one is recognised.
    var generation: UInt32 { get set }
}

/// Structs at stable addresses, found again by slot number. Freed slots are used again, newest first; `trim` gives
/// chunks without a used slot back to the system.
///
/// Owned by one loop; nothing here is synchronised. `T` must be trivial: the slab never runs its deinitialiser.
@frozen
public struct Slab<T: SlabSlot>: ~Copyable {
    @usableFromInline static var chunkSlots: Int { 256 }
    @usableFromInline var chunks: UnsafeMutablePointer<UnsafeMutablePointer<T>?>
    @usableFromInline var chunkCount = 0
    @usableFromInline var chunkRoom = 8
    @usableFromInline var free: [UInt32] = []
    /// No slot of a chunk that was given back had a higher generation, so new chunks begin here.
    private var floor: UInt32 = 0
    /// Slots in use.
    public private(set) var count = 0

    public init() {
        chunks = .allocate(capacity: 8)
        chunks.initialize(repeating: nil, count: 8)
    }

    deinit {
        for i in 0..<chunkCount { chunks[i]?.deallocate() }
        chunks.deallocate()
    }

    /// Every slot number is below this.
    @inlinable public var capacity: Int { chunkCount * Self.chunkSlots }

    /// A slot whose content is left over from its last use.
    public mutating func take() -> (slot: UInt32, pointer: UnsafeMutablePointer<T>) {
        if free.isEmpty { grow() }
        let slot = free.removeLast()
        count += 1
        return (slot, self[slot])
    }

    public mutating func give(_ slot: UInt32) {
        free.append(slot)
        count -= 1
    }

    /// A slot that is in use, or was since the last `trim`.
    @inlinable public subscript(slot: UInt32) -> UnsafeMutablePointer<T> {
        chunks[Int(slot) / Self.chunkSlots]! + Int(slot) % Self.chunkSlots
    }

    /// The slot, unless there is no such slot or its chunk was given back.
    @inlinable public func find(_ slot: UInt32) -> UnsafeMutablePointer<T>? {
        let chunk = Int(slot) / Self.chunkSlots
        guard chunk < chunkCount, let base = chunks[chunk] else { return nil }
        return base + Int(slot) % Self.chunkSlots
    }

    /// Gives chunks back in which no slot is used, when more than half of all slots are free.
    public mutating func trim() {
        guard free.count > count, free.count >= 2 * Self.chunkSlots else { return }
        var unused = [Int](repeating: 0, count: chunkCount)
        for slot in free { unused[Int(slot) / Self.chunkSlots] += 1 }
        free.removeAll { unused[Int($0) / Self.chunkSlots] == Self.chunkSlots }
        free.reserveCapacity(0)
        for i in 0..<chunkCount where unused[i] == Self.chunkSlots {
            let base = chunks[i]!
            for slot in 0..<Self.chunkSlots { floor = max(floor, base[slot].generation) }
            base.deallocate()
            chunks[i] = nil
        }
        floor = (floor &+ 1) & ~1
    }

    private mutating func grow() {
        let index = (0..<chunkCount).first { chunks[$0] == nil } ?? newIndex()
        let bytes = Self.chunkSlots * MemoryLayout<T>.stride
        // A struct of whole cache lines is to lie on whole cache lines.
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
        let base = raw.bindMemory(to: T.self, capacity: Self.chunkSlots)
        if floor > 0 { for slot in 0..<Self.chunkSlots { base[slot].generation = floor } }
        chunks[index] = base
        let first = UInt32(index * Self.chunkSlots)
        free.append(contentsOf: (first..<(first + UInt32(Self.chunkSlots))).reversed())
    }

    private mutating func newIndex() -> Int {
        if chunkCount == chunkRoom {
            let wider = UnsafeMutablePointer<UnsafeMutablePointer<T>?>.allocate(capacity: chunkRoom * 2)
            wider.initialize(repeating: nil, count: chunkRoom * 2)
            wider.update(from: chunks, count: chunkCount)
            chunks.deallocate()
            chunks = wider
            chunkRoom *= 2
        }
        chunkCount += 1
        return chunkCount - 1
    }
}
