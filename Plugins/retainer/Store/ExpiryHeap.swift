// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// Items that expire, soonest first: a binary heap of item pointers. Each item knows its place, so a replaced or deleted
/// message leaves in O(log n). Items without a deadline cost nothing here.
struct ExpiryHeap {
    private var slots: UnsafeMutablePointer<ItemRef>?
    private(set) var count = 0
    private var capacity = 0

    init() {}

    var first: ItemRef? { count > 0 ? slots?[0] : nil }

    /// Puts an item where its deadline belongs; a deadline of 0 takes it out.
    mutating func update(_ item: ItemRef) {
        if item.pointee.deadline == 0 { return remove(item) }
        if item.pointee.heapIndex == Item.noHeapIndex {
            reserve()
            item.pointee.heapIndex = UInt32(truncatingIfNeeded: count)
            slots?[count] = item
            count += 1
        }
        restore(Int(item.pointee.heapIndex))
    }

    mutating func remove(_ item: ItemRef) {
        guard item.pointee.heapIndex != Item.noHeapIndex, let slots else { return }
        let index = Int(item.pointee.heapIndex)
        item.pointee.heapIndex = Item.noHeapIndex
        count -= 1
        if index == count { return }
        slots[index] = slots[count]
        slots[index].pointee.heapIndex = UInt32(truncatingIfNeeded: index)
        restore(index)
    }

    mutating func free() {
        CLMDB.free(slots)
        slots = nil
        count = 0
        capacity = 0
    }

    private mutating func reserve() {
        guard count == capacity else { return }
        capacity = max(64, capacity * 2)
        guard let grown = realloc(slots, capacity * MemoryLayout<ItemRef>.size) else {
            fatalError("retainer: out of memory")
        }
        slots = grown.assumingMemoryBound(to: ItemRef.self)
    }

    /// Moves the item at `start` up or down until the order holds again.
    private func restore(_ start: Int) {
        guard let slots else { return }
        var index = start
        while index > 0, slots[index].pointee.deadline < slots[(index - 1) / 2].pointee.deadline {
            swap(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
        while 2 * index + 1 < count {
            var child = 2 * index + 1
            if child + 1 < count, slots[child + 1].pointee.deadline < slots[child].pointee.deadline { child += 1 }
            guard slots[child].pointee.deadline < slots[index].pointee.deadline else { return }
            swap(index, child)
            index = child
        }
    }

    private func swap(_ a: Int, _ b: Int) {
        guard let slots else { return }
        let item = slots[a]
        slots[a] = slots[b]
        slots[b] = item
        slots[a].pointee.heapIndex = UInt32(truncatingIfNeeded: a)
        slots[b].pointee.heapIndex = UInt32(truncatingIfNeeded: b)
    }
}
