// SPDX-License-Identifier: Apache-2.0

/// Structs at stable addresses, found again by slot number. Freed slots are used again, newest first.
///
/// Owned by one loop; nothing here is synchronised. `T` must be trivial: the slab never runs its deinitialiser.
@frozen
public struct Slab<T>: ~Copyable {
    @usableFromInline static var chunkSlots: Int { 256 }
    @usableFromInline var chunks: UnsafeMutablePointer<UnsafeMutablePointer<T>>
    @usableFromInline var chunkCount = 0
    @usableFromInline var chunkRoom = 8
    @usableFromInline var free: [UInt32] = []
    /// Slots in use.
    public private(set) var count = 0

    public init() {
        chunks = .allocate(capacity: 8)
    }

    deinit {
        for i in 0..<chunkCount { chunks[i].deallocate() }
        chunks.deallocate()
    }

    /// Slots ever made; every slot number is below this.
    @inlinable public var capacity: Int { chunkCount * Self.chunkSlots }

    /// An uninitialised slot.
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

    @inlinable public subscript(slot: UInt32) -> UnsafeMutablePointer<T> {
        chunks[Int(slot) / Self.chunkSlots] + Int(slot) % Self.chunkSlots
    }

    private mutating func grow() {
        if chunkCount == chunkRoom {
            let wider = UnsafeMutablePointer<UnsafeMutablePointer<T>>.allocate(capacity: chunkRoom * 2)
            wider.update(from: chunks, count: chunkCount)
            chunks.deallocate()
            chunks = wider
            chunkRoom *= 2
        }
        let base = UnsafeMutablePointer<T>.allocate(capacity: Self.chunkSlots)
        // Zeroed, so that a generation counter inside T starts at 0 and survives reuse of the slot.
        UnsafeMutableRawPointer(base).initializeMemory(
            as: UInt8.self, repeating: 0, count: Self.chunkSlots * MemoryLayout<T>.stride)
        chunks[chunkCount] = base
        let first = UInt32(chunkCount * Self.chunkSlots)
        chunkCount += 1
        free.append(contentsOf: (first..<(first + UInt32(Self.chunkSlots))).reversed())
    }
}
