// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// Items that expire, soonest first: a binary heap. Each item knows its place, so a deleted message leaves in O(log n).
/// Items without a deadline cost nothing here.
///
/// A message may stand at an earlier time than its own: one in place of another that expires later stays where it is, so
/// that who replaces it shares the lock, and is put right when that time has come.
struct ExpiryHeap {
    private struct Slot {
        var deadline: Int64
        var item: ItemRef
    }

    private var slots: UnsafeMutablePointer<Slot>?
    private(set) var count = 0
    private var capacity = 0

    init() {}

    /// The item that stands first, and for when.
    var first: (item: ItemRef, deadline: Int64)? {
        guard count > 0, let slots else { return nil }
        return (slots[0].item, slots[0].deadline)
    }

    /// Whether an item may have this deadline, 0 for none, without `update`. [shared lock]
    func stays(_ item: ItemRef, at deadline: Int64) -> Bool {
        guard item.pointee.heapIndex != Item.noHeapIndex, let slots else { return deadline == 0 }
        return deadline != 0 && slots[Int(item.pointee.heapIndex)].deadline <= deadline
    }

    /// Puts an item where its deadline belongs; a deadline of 0 takes it out.
    mutating func update(_ item: ItemRef) {
        if item.pointee.deadline == 0 { return remove(item) }
        if item.pointee.heapIndex == Item.noHeapIndex {
            reserve()
            item.pointee.heapIndex = UInt32(truncatingIfNeeded: count)
            count += 1
        }
        let index = Int(item.pointee.heapIndex)
        slots?[index] = Slot(deadline: item.pointee.deadline, item: item)
        restore(index)
    }

    mutating func remove(_ item: ItemRef) {
        guard item.pointee.heapIndex != Item.noHeapIndex, let slots else { return }
        let index = Int(item.pointee.heapIndex)
        item.pointee.heapIndex = Item.noHeapIndex
        count -= 1
        if index != count {
            slots[index] = slots[count]
            slots[index].item.pointee.heapIndex = UInt32(truncatingIfNeeded: index)
            restore(index)
        }
        if capacity > 65_536, count < capacity / 4 { resize(capacity / 2) }
    }

    mutating func free() {
        CLMDB.free(slots)
        slots = nil
        count = 0
        capacity = 0
    }

    private mutating func reserve() { if count == capacity { resize(max(64, capacity * 2)) } }

    private mutating func resize(_ wanted: Int) {
        capacity = wanted
        guard let block = realloc(slots, capacity * MemoryLayout<Slot>.stride) else {
            fatalError("retainer: out of memory")
        }
        slots = block.assumingMemoryBound(to: Slot.self)
    }

    /// Moves the item at `start` up or down until the order holds again.
    private func restore(_ start: Int) {
        guard let slots else { return }
        var index = start
        while index > 0, slots[index].deadline < slots[(index - 1) / 2].deadline {
            swap(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
        while 2 * index + 1 < count {
            var child = 2 * index + 1
            if child + 1 < count, slots[child + 1].deadline < slots[child].deadline { child += 1 }
            guard slots[child].deadline < slots[index].deadline else { return }
            swap(index, child)
            index = child
        }
    }

    private func swap(_ a: Int, _ b: Int) {
        guard let slots else { return }
        let slot = slots[a]
        slots[a] = slots[b]
        slots[b] = slot
        slots[a].item.pointee.heapIndex = UInt32(truncatingIfNeeded: a)
        slots[b].item.pointee.heapIndex = UInt32(truncatingIfNeeded: b)
    }
}
