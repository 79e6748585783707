// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Nodes by id. They live in chunks that never move, so growing copies nothing, and a chunk without nodes is unmapped.
/// The lowest free id is always given out first: ids stay dense and the upper chunks get empty when the trie shrinks.
struct NodeStore: ~Copyable {
    private static let chunkBits: UInt32 = 15
    private static let chunkNodes = 1 << 15
    private static let chunkBytes = chunkNodes * MemoryLayout<Node>.stride
    private static let mapWords = chunkNodes / 64
    /// One bit per word of the map above it, set while that word has a free node.
    private static let summaryWords = mapWords / 64

    private struct Chunk {
        /// A set bit is a free node; the summary follows. Nil while unmapped.
        var free: UnsafeMutablePointer<UInt64>?
        var used = 0
        /// A node was given up since the pages of this chunk were last looked at.
        var hasNewRoom = false
    }

    private var bases: UnsafeMutablePointer<UnsafeMutablePointer<Node>?>
    private var chunks: UnsafeMutablePointer<Chunk>
    private var room: Int
    private var chunkCount = 0
    private var mappedCount = 0
    /// No chunk below this one has a free node.
    private var firstRoom = 0
    /// An empty chunk that is kept, so that a trie at the border does not map and unmap with every step; -1 if none.
    private var spare = -1
    /// Bytes in blocks for long level names.
    private var blockBytes = 0
    private(set) var count = 0
    /// No node at or above this id; at most the highest id ever given out plus one.
    private(set) var limit = 0
    /// When so few nodes are left, the upper end is looked at for memory to give back.
    private var trimCount = 0

    init() {
        room = 4
        bases = .allocate(capacity: room)
        chunks = .allocate(capacity: room)
    }

    deinit {
        forEach { id in if self[id].pointee.hasBlock { Glibc.free(self[id].name) } }
        for index in 0..<chunkCount where chunks[index].free != nil { unmapMemory(index) }
        bases.deallocate()
        chunks.deallocate()
    }

    @inline(__always)
    subscript(id: UInt32) -> UnsafeMutablePointer<Node> {
        bases[Int(id >> NodeStore.chunkBits)].unsafelyUnwrapped + Int(id & UInt32(NodeStore.chunkNodes - 1))
    }

    /// Of the first chunk, which is small pages, only what was ever touched counts.
    var memoryBytes: Int {
        let first = min(NodeStore.chunkBytes, (limit * MemoryLayout<Node>.stride + 4095) & ~4095)
        let maps = mappedCount * (NodeStore.mapWords + NodeStore.summaryWords) * 8
        let table = room * (MemoryLayout<Chunk>.stride + MemoryLayout<UnsafeMutablePointer<Node>>.stride)
        return max(mappedCount - 1, 0) * NodeStore.chunkBytes + first + maps + table + blockBytes
    }

    mutating func add(_ node: Node, name: UnsafeRawPointer) -> UInt32 {
        let id = takeID()
        let place = self[id]
        place.initialize(to: node)
        let length = Int(node.length)
        if node.hasBlock {
            let block = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 8)
            place.pointee.text.0 = UInt64(UInt(bitPattern: block))
            blockBytes += length
        }
        place.name.copyMemory(from: name, byteCount: length)
        return id
    }

    mutating func remove(_ id: UInt32) {
        let place = self[id]
        if place.pointee.hasBlock {
            place.name.deallocate()
            blockBytes -= Int(place.pointee.length)
        }
        let index = Int(id >> NodeStore.chunkBits)
        let map = chunks[index].free.unsafelyUnwrapped
        let local = Int(id) & (NodeStore.chunkNodes - 1)
        let wordIndex = local >> 6
        map[wordIndex] |= 1 << UInt64(local & 63)
        map[NodeStore.mapWords + wordIndex >> 6] |= 1 << UInt64(wordIndex & 63)
        chunks[index].used -= 1
        chunks[index].hasNewRoom = true
        count -= 1
        firstRoom = min(firstRoom, index)
        if chunks[index].used == 0 { keepOrUnmap(index) }
        if count < trimCount { trim() }
        if spare >= 0, mappedCount * NodeStore.chunkNodes - count > NodeStore.chunkNodes * 3 / 2 { unmap(spare) }
    }

    func forEach(_ body: (UInt32) -> Void) { forEach(in: 0..<Int.max, body) }

    /// Of each 64 ids that begin in `ids`; whole chunks without nodes cost nothing.
    func forEach(in ids: Range<Int>, _ body: (UInt32) -> Void) {
        var at = ids.lowerBound & ~63
        while at < min(ids.upperBound, chunkCount << Int(NodeStore.chunkBits)) {
            let index = at >> Int(NodeStore.chunkBits)
            guard let map = chunks[index].free else {
                at = (index + 1) << Int(NodeStore.chunkBits)
                continue
            }
            var taken = ~map[at >> 6 & (NodeStore.mapWords - 1)]
            while taken != 0 {
                body(UInt32(at | taken.trailingZeroBitCount))
                taken &= taken &- 1
            }
            at += 64
        }
    }

    var residentBytes: Int {
        (0..<chunkCount).reduce(0) { sum, index in
            guard chunks[index].free != nil, let base = bases[index] else { return sum }
            return sum + Topics.residentBytes(UnsafeRawPointer(base), NodeStore.chunkBytes)
        }
    }

    /// Chunks that may have nodes.
    var chunkLimit: Int { chunkCount }

    /// Gives pages without a node back to the system, which few nodes that stay in a chunk would keep otherwise, and
    /// tells `body` the free ids they had room for. Looks at a chunk that is half empty and has lost nodes since.
    mutating func givePagesBack(ofChunk index: Int, _ body: (Range<Int>) -> Void) {
        guard index < chunkCount, let map = chunks[index].free, chunks[index].hasNewRoom else { return }
        guard chunks[index].used * 2 < NodeStore.chunkNodes else { return }
        chunks[index].hasNewRoom = false
        let memory = UnsafeMutableRawPointer(bases[index].unsafelyUnwrapped)
        // Otherwise the kernel would make huge pages of the rest again.
        if index > 0 { madvise(memory, NodeStore.chunkBytes, MADV_NOHUGEPAGE) }
        // A word of the map stands for 64 nodes of 64 bytes: a page.
        let page = 64 * MemoryLayout<Node>.stride
        var from = 0
        while from < NodeStore.mapWords {
            var to = from
            while to < NodeStore.mapWords, map[to] == .max { to += 1 }
            if to > from {
                madvise(memory + from * page, (to - from) * page, MADV_DONTNEED)
                body(index * NodeStore.chunkNodes + from * 64..<index * NodeStore.chunkNodes + to * 64)
            }
            from = to + 1
        }
    }

    private mutating func takeID() -> UInt32 {
        while firstRoom < chunkCount, chunks[firstRoom].free != nil, chunks[firstRoom].used == NodeStore.chunkNodes {
            firstRoom += 1
        }
        if firstRoom == chunkCount { appendChunk() }
        if chunks[firstRoom].free == nil { map(firstRoom) }
        if spare == firstRoom { spare = -1 }
        let map = chunks[firstRoom].free.unsafelyUnwrapped
        let summary = map + NodeStore.mapWords
        var group = 0
        while summary[group] == 0 { group += 1 }
        let wordIndex = group << 6 | summary[group].trailingZeroBitCount
        let local = wordIndex << 6 | map[wordIndex].trailingZeroBitCount
        map[wordIndex] &= map[wordIndex] &- 1
        if map[wordIndex] == 0 { summary[group] &= summary[group] &- 1 }
        chunks[firstRoom].used += 1
        count += 1
        let id = firstRoom << Int(NodeStore.chunkBits) | local
        if id >= limit {
            limit = id + 1
            trimCount = limit / 8
        }
        return UInt32(id)
    }

    private mutating func appendChunk() {
        precondition(
            chunkCount < Int(UInt32.max >> NodeStore.chunkBits), "more than four thousand million filter levels")
        if chunkCount == room {
            let newBases = UnsafeMutablePointer<UnsafeMutablePointer<Node>?>.allocate(capacity: room * 2)
            let newChunks = UnsafeMutablePointer<Chunk>.allocate(capacity: room * 2)
            newBases.moveInitialize(from: bases, count: room)
            newChunks.moveInitialize(from: chunks, count: room)
            bases.deallocate()
            chunks.deallocate()
            bases = newBases
            chunks = newChunks
            room *= 2
        }
        (bases + chunkCount).initialize(to: nil)
        (chunks + chunkCount).initialize(to: Chunk(free: nil))
        chunkCount += 1
    }

    private mutating func map(_ index: Int) {
        let memory = FlatMemory.map(NodeStore.chunkBytes)
        // The first chunk stays in small pages: a small trie must not take a huge one.
        if index > 0 { madvise(memory, NodeStore.chunkBytes, MADV_HUGEPAGE) }
        bases[index] = memory.bindMemory(to: Node.self, capacity: NodeStore.chunkNodes)
        let words = NodeStore.mapWords + NodeStore.summaryWords
        let free = UnsafeMutablePointer<UInt64>.allocate(capacity: words)
        free.initialize(repeating: .max, count: words)
        chunks[index].free = free
        mappedCount += 1
    }

    private mutating func keepOrUnmap(_ index: Int) {
        if spare < 0 {
            spare = index
        } else {
            let higher = max(spare, index)
            spare = min(spare, index)
            unmap(higher)
        }
    }

    private mutating func unmap(_ index: Int) {
        unmapMemory(index)
        bases[index] = nil
        chunks[index].free = nil
        mappedCount -= 1
        if spare == index { spare = -1 }
        while chunkCount > 0, chunks[chunkCount - 1].free == nil { chunkCount -= 1 }
        limit = min(limit, chunkCount * NodeStore.chunkNodes)
        firstRoom = min(firstRoom, chunkCount)
    }

    /// Gives the pages behind the highest node back, which unmapping chunks never does for the first one. Halving the
    /// threshold bounds how often a trie with one high node is searched in vain.
    private mutating func trim() {
        trimCount = count / 2
        guard chunkCount > 0, let map = chunks[chunkCount - 1].free else { return }
        var wordIndex = NodeStore.mapWords - 1
        while wordIndex >= 0, map[wordIndex] == .max { wordIndex -= 1 }
        let used = wordIndex < 0 ? 0 : wordIndex << 6 | (63 - (~map[wordIndex]).leadingZeroBitCount)
        let kept = ((used + 1) * MemoryLayout<Node>.stride + 4095) & ~4095
        if kept < NodeStore.chunkBytes {
            madvise(UnsafeMutableRawPointer(bases[chunkCount - 1]!) + kept, NodeStore.chunkBytes - kept, MADV_DONTNEED)
        }
        limit = (chunkCount - 1) << Int(NodeStore.chunkBits) | (used + 1)
    }

    private func unmapMemory(_ index: Int) {
        FlatMemory.free(UnsafeMutableRawPointer(bases[index].unsafelyUnwrapped), NodeStore.chunkBytes)
        chunks[index].free?.deallocate()
    }
}
