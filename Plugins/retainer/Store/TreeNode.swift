// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// A node of `TopicTree`: a header and an array of slots. Leaves hold items in key order. Branches hold children and,
/// from slot 1 on, the fence before each child: a key that is above everything left of it and not above anything in it.
struct TreeNode {
    var count: UInt16
    var isLeaf: Bool

    static let capacity = 62
    /// A node below this asks a neighbour to merge.
    static let sparse = 16
    /// Two neighbours merge when they fill no more than this, so that the next insert does not split them again.
    static let mergeLimit = 46
    static let slotsOffset = 8
    static let fencesOffset = slotsOffset + capacity * MemoryLayout<UnsafeMutableRawPointer>.size
}

typealias NodeRef = UnsafeMutablePointer<TreeNode>
typealias FenceRef = UnsafeMutablePointer<Fence>

/// A fence key: this header, directly followed by its bytes.
struct Fence {
    var count: UInt16

    static func make(_ bytes: UnsafeRawBufferPointer) -> FenceRef {
        let raw = obtain(MemoryLayout<Fence>.stride + bytes.count)
        let fence = raw.bindMemory(to: Fence.self, capacity: 1)
        fence.initialize(to: Fence(count: UInt16(truncatingIfNeeded: bytes.count)))
        if let from = bytes.baseAddress { memcpy(raw + MemoryLayout<Fence>.stride, from, bytes.count) }
        return fence
    }
}

extension UnsafeMutablePointer where Pointee == Fence {
    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: UnsafeRawPointer(self) + MemoryLayout<Fence>.stride, count: Int(pointee.count))
    }
}

/// malloc that ends the process with a sentence when there is nothing left, as Swift's own arrays do.
func obtain(_ size: Int) -> UnsafeMutableRawPointer {
    guard let raw = malloc(size) else { fatalError("retainer: out of memory") }
    return raw
}

extension UnsafeMutablePointer where Pointee == TreeNode {
    static func makeLeaf() -> NodeRef { make(isLeaf: true, size: TreeNode.fencesOffset) }

    static func makeBranch() -> NodeRef {
        make(isLeaf: false, size: TreeNode.fencesOffset + TreeNode.capacity * MemoryLayout<FenceRef>.size)
    }

    private static func make(isLeaf: Bool, size: Int) -> NodeRef {
        let node = obtain(size).bindMemory(to: TreeNode.self, capacity: 1)
        node.initialize(to: TreeNode(count: 0, isLeaf: isLeaf))
        return node
    }

    var count: Int {
        get { Int(pointee.count) }
        nonmutating set { pointee.count = UInt16(truncatingIfNeeded: newValue) }
    }

    var isLeaf: Bool { pointee.isLeaf }

    var items: UnsafeMutablePointer<ItemRef> {
        (UnsafeMutableRawPointer(self) + TreeNode.slotsOffset).assumingMemoryBound(to: ItemRef.self)
    }

    var children: UnsafeMutablePointer<NodeRef> {
        (UnsafeMutableRawPointer(self) + TreeNode.slotsOffset).assumingMemoryBound(to: NodeRef.self)
    }

    /// Slot 0 is never read.
    var fences: UnsafeMutablePointer<FenceRef> {
        (UnsafeMutableRawPointer(self) + TreeNode.fencesOffset).assumingMemoryBound(to: FenceRef.self)
    }

    /// The first place in a leaf whose key is not below `key`.
    func lowerBound(_ key: UnsafeRawBufferPointer, from start: Int = 0) -> Int {
        var low = start
        var high = count
        while low < high {
            let middle = (low + high) >> 1
            if TopicKey.compare(items[middle].key, key) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The child of a branch that holds `key`, or would.
    func childIndex(_ key: UnsafeRawBufferPointer) -> Int {
        var low = 0
        var high = count - 1
        while low < high {
            let middle = (low + high + 1) >> 1
            if TopicKey.compare(fences[middle].key, key) <= 0 { low = middle } else { high = middle - 1 }
        }
        return low
    }

    func insertItem(_ item: ItemRef, at index: Int) {
        let slots = items
        memmove(slots + index + 1, slots + index, (count - index) * MemoryLayout<ItemRef>.size)
        slots[index] = item
        count += 1
    }

    func removeItem(at index: Int) {
        let slots = items
        memmove(slots + index, slots + index + 1, (count - index - 1) * MemoryLayout<ItemRef>.size)
        count -= 1
    }

    /// `index` is above 0: the first child never comes later than its neighbours.
    func insertChild(_ child: NodeRef, fence: FenceRef, at index: Int) {
        let moved = (count - index) * MemoryLayout<NodeRef>.size
        memmove(children + index + 1, children + index, moved)
        memmove(fences + index + 1, fences + index, moved)
        children[index] = child
        fences[index] = fence
        count += 1
    }

    /// Takes the child out without freeing it; frees the fence that goes with it.
    func removeChild(at index: Int) {
        // Without its first child the second one has no fence either: nothing is left of it.
        let fence = max(index, 1)
        if count > 1 { free(fences[fence]) }
        let moved = MemoryLayout<NodeRef>.size
        memmove(children + index, children + index + 1, (count - index - 1) * moved)
        if fence < count - 1 { memmove(fences + fence, fences + fence + 1, (count - fence - 1) * moved) }
        count -= 1
    }
}
