// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// A walk over all topics that match one filter, in slices.
///
/// Between slices a cursor holds nothing but a key: everything below `position` is done. Items may come, go and move
/// meanwhile. Invariant: a topic that is retained during the whole walk is visited exactly once; one that appears
/// or disappears meanwhile is visited once or not at all; none is visited twice.
struct Cursor {
    private(set) var filter = ByteBuffer()
    private(set) var isExact: Bool
    private let takesAll: Bool
    private(set) var isFinished = false
    private var position = ByteBuffer()
    private var target = ByteBuffer()
    private var behind = ByteBuffer()

    /// Work of one slice, in visited topics; a seek counts as `seekCost` of them.
    static let workLimit = 1024
    private static let seekCost = 4

    init(filter key: UnsafeRawBufferPointer) {
        filter.append(key)
        isExact = !TopicKey.hasWildcard(key)
        takesAll = false
    }

    /// All topics, those with `$` included, which no filter matches.
    init() {
        isExact = false
        takesAll = true
    }

    /// Everything before this key is done.
    var next: UnsafeRawBufferPointer { position.bytes }

    mutating func free() {
        filter.free()
        position.free()
        target.free()
        behind.free()
    }

    /// Goes back, or on, to `key`: the next slice begins with it if it is still there.
    mutating func move(to key: UnsafeRawBufferPointer) {
        isFinished = false
        position.removeAll()
        position.append(key)
    }

    /// Calls `body` for each item that matches, until it returns false or the slice has cost its work. The caller holds
    /// the lock; `body` must not change the tree. The item refused by `body` comes first in the next slice.
    mutating func walk(_ tree: borrowing TopicTree, _ index: TopicIndex, _ body: (ItemRef) -> Bool) {
        if isExact {
            isFinished = true
            guard let item = index.find(filter.bytes, index.hash(filter.bytes)), !body(item) else { return }
            isFinished = false
            return
        }
        guard var place = tree.lowerBound(position.bytes) else { return isFinished = true }
        var work = 0
        while true {
            guard let item = place.item else {
                if tree.nextLeaf(&place) { continue }
                return isFinished = true
            }
            guard work < Cursor.workLimit else { return move(to: item.key) }
            work += 1
            switch takesAll ? .match : FilterStep.take(item.key, filter: filter.bytes, target: &target) {
            case .match:
                place.prefetch()
                if !body(item) { return move(to: item.key) }
                place.index += 1
            case .seek:
                work += Cursor.seekCost
                if !tree.advance(&place, to: target.bytes) { return isFinished = true }
            case .probe(let branch):
                work += Cursor.seekCost
                // One look instead of a second way down the tree, and what it looks at arrives on the first.
                let hash = index.hash(target.bytes)
                index.prefetch(hash)
                FilterStep.behind(UnsafeRawBufferPointer(rebasing: item.key[..<branch]), &behind)
                let goesOn = tree.advance(&place, to: behind.bytes)
                if let found = index.find(target.bytes, hash), !body(found) { return move(to: found.key) }
                if !goesOn { return isFinished = true }
            case .end:
                return isFinished = true
            }
        }
    }
}
