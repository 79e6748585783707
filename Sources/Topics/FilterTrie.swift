// SPDX-License-Identifier: Apache-2.0

/// Topic filters as a tree of levels: a topic finds all filters that match it in one walk over its bytes.
///
/// A match costs the branches it takes, whatever the number of filters. Nothing on that path allocates once the
/// ``NodeList`` has its working size; nothing recurses, so 65,536 levels are just a longer walk. One owner mutates;
/// several threads may match at a time if nobody mutates meanwhile.
public struct FilterTrie: ~Copyable {
    private static let root: UInt32 = 0

    private var nodes = NodeStore()
    private var table = SlotTable()
    private let keys: LevelKeys
    /// How many different filters have a reference.
    public private(set) var referencedCount = 0

    /// `seed`: secret and drawn per process; see ``hash(_:seed:)``.
    public init(seed: UInt64) {
        keys = LevelKeys(seed: seed)
        let nothing = UnsafeRawPointer(bitPattern: 8)!
        _ = nodes.add(Node(parent: 0, tag: 0, length: 0, kind: .literal), name: nothing)
    }

    /// Every node id is below this. It falls again when the trie shrinks far.
    public var nodeCapacity: Int { nodes.limit }
    /// Bytes taken from the system, long level names included.
    public var memoryBytes: Int { nodes.memoryBytes + table.memoryBytes }

    /// Bytes of nodes that are in memory, pages given back left out.
    public var residentBytes: Int { nodes.residentBytes }
    /// Ids lie in this many chunks, whose pages are given back one by one.
    public var chunkCount: Int { nodes.chunkLimit }

    /// Gives pages of a chunk back that have no node any more; `body` is told ids that are free.
    public mutating func givePagesBack(ofChunk index: Int, _ body: (Range<Int>) -> Void) {
        nodes.givePagesBack(ofChunk: index, body)
    }

    /// Adds one reference to the filter and returns its node id: small, dense, the same until the last release, then
    /// given to other filters. The filter must be valid (``isValidFilter(_:)``).
    public mutating func insert(_ filter: Bytes) -> UInt32 {
        assert(isValidFilter(filter))
        var scan = LevelScanner(filter, keys)
        var at = FilterTrie.root
        repeat {
            scan.advance()
            let next = child(of: at, scan)
            at = next != 0 ? next : addChild(of: at, scan)
        } while !scan.isLast
        let node = nodes[at]
        if node.pointee.references == 0 { referencedCount += 1 }
        node.pointee.references += 1
        return at
    }

    /// Drops one reference of a node that has some. True if it was the last: the id is then free for other filters.
    @discardableResult
    public mutating func release(_ node: UInt32) -> Bool {
        let place = nodes[node]
        precondition(
            node != FilterTrie.root && place.pointee.references > 0, "filter released more often than inserted")
        place.pointee.references -= 1
        guard place.pointee.references == 0 else { return false }
        referencedCount -= 1
        var at = node
        while at != FilterTrie.root, nodes[at].pointee.isUnused {
            let parent = nodes[at].pointee.parent
            unlink(at, from: nodes[parent])
            nodes.remove(at)
            at = parent
        }
        return true
    }

    /// The id of exactly this filter, if it is referenced.
    public func find(_ filter: Bytes) -> UInt32? {
        var scan = LevelScanner(filter, keys)
        var at = FilterTrie.root
        repeat {
            scan.advance()
            at = child(of: at, scan)
            if at == 0 { return nil }
        } while !scan.isLast
        return nodes[at].pointee.references > 0 ? at : nil
    }

    /// Appends the id of each referenced filter that matches the topic, in no particular order.
    /// A wildcard in the first level does not match a topic that starts with `$` [MQTT-4.7.2-1]; `a/#` matches `a`
    /// (MQTT 5 §4.7.1.2). Levels are compared byte by byte. [MQTT-4.7.3-4]
    public func match(_ topic: Bytes, into out: inout NodeList) {
        out.scope = MatchScope()
        guard let first = topic.first else { return }
        var scan = LevelScanner(topic, keys)
        var scope = MatchScope()
        var key: UInt64 = 0
        var mayUseWildcards = first != TopicByte.dollar
        var half = 0
        var active = 1
        out.frontier[0] = FilterTrie.root
        repeat {
            scan.advance()
            if active * 2 > out.frontierCapacity { out.growFrontier(active * 2, keeping: active, ofHalf: half) }
            let current = out.frontier + half * out.frontierCapacity
            half ^= 1
            let following = out.frontier + half * out.frontierCapacity
            var found = 0
            var isNamed = scope.levels == 0
            for index in 0..<active {
                let at = current[index]
                let node = nodes[at]
                if mayUseWildcards {
                    if node.pointee.number != 0 { out.append(node.pointee.number) }
                    following[found] = node.pointee.plus
                    if node.pointee.plus != 0 { found += 1 }
                }
                if node.pointee.literals != 0 {
                    isNamed = true
                    let next = literalChild(of: at, scan)
                    following[found] = next
                    if next != 0 { found += 1 }
                }
            }
            if isNamed {
                scope.named |= 1 &<< UInt64(truncatingIfNeeded: scope.levels)
                key = foldMultiply(key ^ scan.hash, keys.node)
            }
            scope.levels &+= 1
            active = found
            mayUseWildcards = true
        } while active > 0 && !scan.isLast
        scope.isOpen = active == 0
        out.scope = scope
        out.scopeKey = foldMultiply(key ^ scope.named, keys.node) ^ UInt64(scope.levels &* 2 &+ (active == 0 ? 1 : 0))
        appendEnds(of: active, inHalf: half, into: &out)
    }

    /// The topic ended at the nodes of the frontier: their own filters match and those with one `#` more.
    @inline(__always)
    private func appendEnds(of active: Int, inHalf half: Int, into out: inout NodeList) {
        for index in 0..<active {
            let at = out.frontier[half * out.frontierCapacity + index]
            let node = nodes[at]
            if node.pointee.references > 0 { out.append(at) }
            if node.pointee.number != 0 { out.append(node.pointee.number) }
        }
    }

    /// Bytes of the node's filter, whether it is referenced or only on the way to one.
    public func filterLength(_ node: UInt32) -> Int {
        var length = -1
        var at = node
        while at != FilterTrie.root {
            length += Int(nodes[at].pointee.length) + 1
            at = nodes[at].pointee.parent
        }
        return max(length, 0)
    }

    /// Writes the node's filter, ``filterLength(_:)`` bytes, from the last level to the first.
    public func copyFilter(_ node: UInt32, to target: UnsafeMutableRawPointer) {
        var end = target + filterLength(node)
        var at = node
        while at != FilterTrie.root {
            let place = nodes[at]
            end -= Int(place.pointee.length)
            end.copyMemory(from: place.name, byteCount: Int(place.pointee.length))
            at = place.pointee.parent
            if at != FilterTrie.root {
                end -= 1
                end.storeBytes(of: TopicByte.slash, as: UInt8.self)
            }
        }
    }

    /// Calls `body` with the id of each referenced filter, in ascending order.
    public func forEach(_ body: (UInt32) -> Void) { forEach(in: 0..<Int.max, body) }

    /// A part of them, for those who must not take long: 64 ids at a time, from `ids`'s lower bound rounded down.
    public func forEach(in ids: Range<Int>, _ body: (UInt32) -> Void) {
        nodes.forEach(in: ids) { id in if nodes[id].pointee.references > 0 { body(id) } }
    }

    /// The child named by the scanner's current level of a filter, 0 if there is none.
    private func child(of parent: UInt32, _ scan: LevelScanner) -> UInt32 {
        switch kind(of: scan) {
        case .plus: nodes[parent].pointee.plus
        case .number: nodes[parent].pointee.number
        case .literal: literalChild(of: parent, scan)
        }
    }

    @inline(__always)
    private func literalChild(of parent: UInt32, _ scan: LevelScanner) -> UInt32 {
        let tag = SlotTable.tag(parent, scan.hash, keys)
        let slots = table.slots
        let mask = table.mask
        var at = Int(tag >> table.shift)
        while true {
            let slot = slots[at]
            if slot == 0 { return 0 }
            if UInt32(truncatingIfNeeded: slot >> 32) == tag {
                let id = UInt32(truncatingIfNeeded: slot)
                if nodes[id].isChild(of: parent, named: scan) { return id }
            }
            at = (at &+ 1) & mask
        }
    }

    private mutating func addChild(of parent: UInt32, _ scan: LevelScanner) -> UInt32 {
        let kind = kind(of: scan)
        let tag = SlotTable.tag(parent, scan.hash, keys)
        let id = nodes.add(Node(parent: parent, tag: tag, length: scan.length, kind: kind), name: scan.level)
        let above = nodes[parent]
        switch kind {
        case .plus: above.pointee.plus = id
        case .number: above.pointee.number = id
        case .literal:
            above.pointee.literals += 1
            table.insert(tag, id)
        }
        return id
    }

    private mutating func unlink(_ id: UInt32, from parent: UnsafeMutablePointer<Node>) {
        switch nodes[id].pointee.kind {
        case .plus: parent.pointee.plus = 0
        case .number: parent.pointee.number = 0
        case .literal:
            parent.pointee.literals -= 1
            table.remove(nodes[id].pointee.tag, id)
        }
    }

    /// A `#` that is not last, which no valid filter has, is only a name: matching takes a node `#` for referenced.
    @inline(__always)
    private func kind(of scan: LevelScanner) -> Node.Kind {
        if scan.isPlus { return .plus }
        return scan.isNumber && scan.isLast ? .number : .literal
    }
}
