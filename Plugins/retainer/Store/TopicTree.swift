// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// All retained topics in key order: a B-tree whose leaves are arrays of item pointers.
///
/// It is a topic trie laid flat. In key order (`TopicKey`) every subtree of topics is one run, so walking a trie's
/// branch is reading on, and skipping a branch is one seek; what a trie pays for this, a node of 48 bytes or more for
/// each level of each topic, is about 12 bytes a topic here. Depth is bounded by the number of topics (5 for a
/// billion), not by their levels, so nothing recurses over a topic of 65,535 levels.
///
/// Not thread-safe: the store's lock guards it.
struct TopicTree {
    private(set) var root: NodeRef?
    private(set) var count = 0

    init() {}

    /// A place between two items. Valid until the tree changes.
    struct Position {
        var leaf: NodeRef
        var index: Int
        /// The lowest key that may be right of this leaf; nil at the last leaf.
        var fence: FenceRef?

        var item: ItemRef? { index < leaf.count ? leaf.items[index] : nil }

        /// Items and messages lie scattered in memory: a walk that takes one after the other asks for those it will come
        /// to, which halves its time.
        func prefetch() {
            if index + 8 < leaf.count { clmdb_prefetch(leaf.items[index + 8]) }
            if index + 4 < leaf.count { leaf.items[index + 4].prefetchMessage() }
        }
    }

    /// The first item whose key is not below `key`; the position may be the end of its leaf. Nil: the tree is empty.
    func lowerBound(_ key: UnsafeRawBufferPointer) -> Position? {
        guard var node = root else { return nil }
        var fence: FenceRef?
        while !node.isLeaf {
            let index = node.childIndex(key)
            if index + 1 < node.count { fence = node.fences[index + 1] }
            node = node.children[index]
        }
        return Position(leaf: node, index: node.lowerBound(key), fence: fence)
    }

    /// Moves `position` forward to the first item whose key is not below `key`, cheaply when that is near.
    func advance(_ position: inout Position, to key: UnsafeRawBufferPointer) -> Bool {
        if let fence = position.fence, TopicKey.compare(fence.key, key) <= 0 {
            guard let found = lowerBound(key) else { return false }
            position = found
            return true
        }
        position.index = position.leaf.lowerBound(key, from: position.index)
        return true
    }

    /// Moves from the end of a leaf to the next one. False: there is none.
    func nextLeaf(_ position: inout Position) -> Bool {
        guard let fence = position.fence, let found = lowerBound(fence.key) else { return false }
        position = found
        return true
    }

    // MARK: - Inserting

    /// `item`'s key must not be in the tree.
    mutating func insert(_ item: ItemRef) {
        count += 1
        guard let root else {
            let leaf = NodeRef.makeLeaf()
            leaf.insertItem(item, at: 0)
            self.root = leaf
            return
        }
        guard let split = insert(item, into: root, isLast: true) else { return }
        let branch = NodeRef.makeBranch()
        branch.children[0] = root
        branch.count = 1
        branch.insertChild(split.node, fence: split.fence, at: 1)
        self.root = branch
    }

    private struct Split {
        var node: NodeRef
        var fence: FenceRef
    }

    /// Depth is the tree's height. `isLast`: nothing is right of this node, where ascending inserts arrive; splitting
    /// there leaves the left part nearly full instead of half empty.
    private func insert(_ item: ItemRef, into node: NodeRef, isLast: Bool) -> Split? {
        if node.isLeaf { return insert(item, intoLeaf: node, isLast: isLast) }
        let index = node.childIndex(item.key)
        let childIsLast = isLast && index == node.count - 1
        guard let split = insert(item, into: node.children[index], isLast: childIsLast) else { return nil }
        guard node.count == TreeNode.capacity else {
            node.insertChild(split.node, fence: split.fence, at: index + 1)
            return nil
        }
        let upper = splitBranch(node, keeping: isLast && index == node.count - 1 ? node.count - 2 : node.count / 2)
        if index < node.count {
            node.insertChild(split.node, fence: split.fence, at: index + 1)
        } else {
            upper.node.insertChild(split.node, fence: split.fence, at: index - node.count + 1)
        }
        return upper
    }

    private func insert(_ item: ItemRef, intoLeaf leaf: NodeRef, isLast: Bool) -> Split? {
        let index = leaf.lowerBound(item.key)
        guard leaf.count == TreeNode.capacity else {
            leaf.insertItem(item, at: index)
            return nil
        }
        let upper = NodeRef.makeLeaf()
        let kept = isLast && index == leaf.count ? leaf.count - 2 : leaf.count / 2
        upper.count = leaf.count - kept
        memcpy(upper.items, leaf.items + kept, upper.count * MemoryLayout<ItemRef>.size)
        leaf.count = kept
        if index <= kept { leaf.insertItem(item, at: index) } else { upper.insertItem(item, at: index - kept) }
        return Split(
            node: upper, fence: Self.fence(between: leaf.items[leaf.count - 1].key, and: upper.items[0].key))
    }

    private func splitBranch(_ node: NodeRef, keeping kept: Int) -> Split {
        let upper = NodeRef.makeBranch()
        upper.count = node.count - kept
        memcpy(upper.children, node.children + kept, upper.count * MemoryLayout<NodeRef>.size)
        memcpy(upper.fences, node.fences + kept, upper.count * MemoryLayout<FenceRef>.size)
        node.count = kept
        return Split(node: upper, fence: upper.fences[0])
    }

    /// The shortest key above `left` and not above `right`.
    private static func fence(
        between left: UnsafeRawBufferPointer, and right: UnsafeRawBufferPointer
    ) -> FenceRef {
        var shared = 0
        while shared < left.count, shared < right.count, left[shared] == right[shared] { shared += 1 }
        return Fence.make(UnsafeRawBufferPointer(rebasing: right[0..<min(shared + 1, right.count)]))
    }

    // MARK: - Removing

    /// Takes an item out without freeing it. `item` must be in the tree.
    mutating func remove(_ item: ItemRef) {
        guard let root else { return }
        remove(item, from: root)
        count -= 1
        collapseRoot()
    }

    private func remove(_ item: ItemRef, from node: NodeRef) {
        if node.isLeaf {
            let index = node.lowerBound(item.key)
            if index < node.count, node.items[index] == item { node.removeItem(at: index) }
            return
        }
        let index = node.childIndex(item.key)
        let child = node.children[index]
        remove(item, from: child)
        guard child.count < TreeNode.sparse else { return }
        if index + 1 < node.count, mergeChildren(of: node, at: index) { return }
        if index > 0, mergeChildren(of: node, at: index - 1) { return }
        guard child.count == 0 else { return }
        node.removeChild(at: index)
        free(child)
    }

    /// Moves all of child `index + 1` into child `index`, when both fit well into one.
    private func mergeChildren(of node: NodeRef, at index: Int) -> Bool {
        let left = node.children[index]
        let right = node.children[index + 1]
        guard left.count + right.count <= TreeNode.mergeLimit else { return false }
        let word = MemoryLayout<NodeRef>.size
        if left.isLeaf {
            memcpy(left.items + left.count, right.items, right.count * word)
            left.count += right.count
            node.removeChild(at: index + 1)
            free(right)
            return true
        }
        // An empty branch on the left has no use for the fence; one on the right has no child to put behind it.
        guard left.count > 0, right.count > 0 else { return false }
        memcpy(left.children + left.count, right.children, right.count * word)
        memcpy(left.fences + left.count, right.fences, right.count * word)
        left.fences[left.count] = Fence.make(node.fences[index + 1].key)
        left.count += right.count
        node.removeChild(at: index + 1)
        free(right)
        return true
    }

    private mutating func collapseRoot() {
        while let node = root {
            if node.count == 0 {
                free(node)
                root = nil
            } else if !node.isLeaf, node.count == 1 {
                root = node.children[0]
                free(node)
            } else {
                return
            }
        }
    }

    /// Frees every node and fence, and gives each item to `body` on the way.
    mutating func removeAll(_ body: (ItemRef) -> Void) {
        if let root { Self.release(root, body) }
        root = nil
        count = 0
    }

    private static func release(_ node: NodeRef, _ body: (ItemRef) -> Void) {
        if node.isLeaf {
            for i in 0..<node.count { body(node.items[i]) }
        } else {
            for i in 0..<node.count { release(node.children[i], body) }
            for i in 1..<max(1, node.count) { free(node.fences[i]) }
        }
        free(node)
    }
}
