// SPDX-License-Identifier: Apache-2.0

/// A growable list of node ids. Reuse one per loop: ``removeAll()`` keeps the memory, so matching allocates nothing
/// once the list has reached its working size.
public struct NodeList: ~Copyable {
    @usableFromInline var elements: UnsafeMutablePointer<UInt32>
    @usableFromInline var capacity: Int
    @usableFromInline var length = 0
    /// Working space of ``FilterTrie/match(_:into:)``, kept here because the trie may be shared and the list is not.
    var frontier: UnsafeMutablePointer<UInt32>
    /// Ids in each of the two halves of `frontier`.
    var frontierCapacity: Int
    /// Of the last match.
    var scope = MatchScope()
    /// Of the last match: a hash over what was looked at. Topics with different patterns differ in it.
    public internal(set) var scopeKey: UInt64 = 0

    public init() {
        capacity = 32
        elements = .allocate(capacity: 32)
        frontierCapacity = 16
        frontier = .allocate(capacity: 32)
    }

    deinit {
        elements.deallocate()
        frontier.deallocate()
    }

    @inlinable public var count: Int { length }
    @inlinable public var isEmpty: Bool { length == 0 }

    @inlinable
    public subscript(index: Int) -> UInt32 {
        precondition(index >= 0 && index < length)
        return elements[index]
    }

    /// Valid until the list is next changed.
    @inlinable public var all: UnsafeBufferPointer<UInt32> { UnsafeBufferPointer(start: elements, count: length) }

    @inlinable @inline(__always)
    public mutating func append(_ node: UInt32) {
        if length == capacity { reserve(1) }
        elements[length] = node
        length += 1
    }

    @inlinable public mutating func removeAll() { length = 0 }

    @usableFromInline
    mutating func reserve(_ more: Int) {
        guard capacity - length < more else { return }
        let size = max(length + more, capacity * 2)
        let moved = UnsafeMutablePointer<UInt32>.allocate(capacity: size)
        moved.update(from: elements, count: length)
        elements.deallocate()
        elements = moved
        capacity = size
    }

    /// Makes each half hold `size` ids. The first `kept` of the half `current` (0 or 1) move along.
    mutating func growFrontier(_ size: Int, keeping kept: Int, ofHalf current: Int) {
        let half = max(size, frontierCapacity * 2)
        let moved = UnsafeMutablePointer<UInt32>.allocate(capacity: half * 2)
        (moved + current * half).update(from: frontier + current * frontierCapacity, count: kept)
        frontier.deallocate()
        frontier = moved
        frontierCapacity = half
    }
}
