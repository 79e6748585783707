// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Topics

/// One subscriber in the list of a filter.
struct Subscriber {
    var session: SessionRef
    /// Index in the session's own list, so that a swap in this list can be told to it.
    var index: UInt32
    var identifier: UInt32
    var options: SubOptions
}

/// The subscribers of one filter on one shard.
struct SubscriberList {
    var entries: UnsafeMutablePointer<Subscriber>?
    var count: UInt32
    var room: UInt32
}

/// What the table knows of one filter: which shards have subscribers, their lists in shard order, and share groups.
struct FilterValue {
    var shards: UInt64
    var lists: UnsafeMutablePointer<SubscriberList>?
    /// Head of a chain of share groups on this filter; 0: none.
    var firstGroup: UInt32
}

/// All subscriptions of the broker.
///
/// One trie for all shards, guarded by one lock per shard: a shard reads under its own, which nobody else wants but a
/// writer; a writer takes all of them. Lists belong to their shard, so a shard may read its own list of a filter it
/// has looked up without any lock until it changes that list itself.
/// Route caches notice changes through epochs: a filter without wildcards moves one of 1,024, any other moves all. What
/// is known for topics of a pattern depends on the epoch that every filter moves.
final class FilterTable: @unchecked Sendable {
    private(set) var trie: FilterTrie
    private(set) var values = FilterValues()
    private let locks: UnsafeMutablePointer<Lock>
    private let shardCount: Int
    let seed: UInt64
    /// Epochs that concern every shard: 1,024 exact buckets, the wildcard epoch and that of all filters.
    let epochs: UnsafeMutablePointer<UInt64>
    var groups = ShareGroups()
    /// Subscriptions of all sessions, shared ones included.
    private(set) var subscriptions = 0

    static let buckets = 1024
    /// Where the epoch of all filters is.
    static let all = buckets + 1
    static let epochCount = buckets + 2
    /// For how many nodes of the trie `forEachFilter` holds the locks.
    private static let nodesAtOnce = 1024

    /// A cache line: a loop takes its own for every topic it does not know.
    private struct Lock {
        var mutex: pthread_mutex_t
        var pad: (UInt64, UInt64, UInt64)
    }

    init(shards: Int, seed: UInt64) {
        self.seed = seed
        shardCount = shards
        trie = FilterTrie(seed: seed)
        epochs = .allocate(capacity: Self.epochCount)
        epochs.initialize(repeating: 0, count: Self.epochCount)
        // Held for less time than it takes to sleep and be woken.
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_ADAPTIVE_NP))
        let lockBytes = shards * MemoryLayout<Lock>.stride
        locks = UnsafeMutableRawPointer.allocate(byteCount: lockBytes, alignment: 64)
            .bindMemory(to: Lock.self, capacity: shards)
        for i in 0..<shards {
            (locks + i).initialize(to: Lock(mutex: pthread_mutex_t(), pad: (0, 0, 0)))
            pthread_mutex_init(&locks[i].mutex, &attributes)
        }
    }

    // MARK: - Reading

    /// Runs `body` with the table held still for this shard.
    func read<R>(_ shard: Int, _ body: (borrowing FilterTrie, borrowing FilterValues) -> R) -> R {
        pthread_mutex_lock(&locks[shard].mutex)
        defer { pthread_mutex_unlock(&locks[shard].mutex) }
        return body(trie, values)
    }

    /// The list of a shard in a filter's value.
    static func list(_ value: FilterValue, _ shard: Int) -> UnsafeMutablePointer<SubscriberList>? {
        let bit = UInt64(1) << UInt64(shard)
        guard value.shards & bit != 0 else { return nil }
        return value.lists! + (value.shards & (bit - 1)).nonzeroBitCount
    }

    func count() -> (filters: Int, subscriptions: Int, shared: Int, bytes: Int) {
        write { (trie.referencedCount, subscriptions, groups.memberships, trie.memoryBytes) }
    }

    /// Every filter, for the control plane. The lock is held for some hundred at a time, so that no message waits for a
    /// long list; filters that come or go meanwhile may be missing. Until `body` says false.
    func forEachFilter(_ body: (_ filter: [UInt8]) -> Bool) {
        var first = 0
        while true {
            let next = first + Self.nodesAtOnce
            let (part, capacity) = write { (filters(ofNodes: first..<next), trie.nodeCapacity) }
            for filter in part { guard body(filter) else { return } }
            if next >= capacity { return }
            first = next
        }
    }

    private func filters(ofNodes nodes: Range<Int>) -> [[UInt8]] {
        var filters: [[UInt8]] = []
        trie.forEach(in: nodes) { filters.append(name($0)) }
        return filters
    }

    private func name(_ node: UInt32) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: trie.filterLength(node)) { buffer, count in
            count = trie.filterLength(node)
            if count > 0 { trie.copyFilter(node, to: buffer.baseAddress!) }
        }
    }

    func filter(of node: UInt32) -> [UInt8] { write { name(node) } }

    // MARK: - Writing

    /// The node of a filter if anybody subscribes to it.
    func find(_ filter: Bytes, shard: Int) -> UInt32? {
        read(shard) { trie, _ in trie.find(filter) }
    }

    /// Adds a plain subscription of a session of `shard`. Returns the node, the position in the shard's list and
    /// whether other shards must forget their routes (they were told through the epoch).
    func add(_ filter: Bytes, _ subscriber: Subscriber, shard: Int) -> (node: UInt32, position: UInt32) {
        write {
            let node = trie.insert(filter)
            values.reserve(trie.nodeCapacity)
            subscriptions += 1
            let value = values[node]
            let bit = UInt64(1) << UInt64(shard)
            if value.pointee.shards & bit == 0 {
                insertList(value, shard)
                touch(filter)
            }
            let list = Self.list(value.pointee, shard)!
            return (node, append(list, subscriber))
        }
    }

    /// Adds a reference to the filter for a share group.
    func enter(_ filter: Bytes) -> UInt32 {
        let node = trie.insert(filter)
        values.reserve(trie.nodeCapacity)
        subscriptions += 1
        return node
    }

    func leave(_ node: UInt32) {
        subscriptions -= 1
        trie.release(node)
    }

    /// Takes the entry at `position` out of the shard's list. The entry that took its place, if any, is returned so
    /// that its session learns its new position.
    func remove(_ node: UInt32, position: UInt32, filter: Bytes, shard: Int) -> Subscriber? {
        write {
            subscriptions -= 1
            let value = values[node]
            let list = Self.list(value.pointee, shard)!
            let last = list.pointee.count - 1
            list.pointee.count = last
            var moved: Subscriber?
            if position != last {
                list.pointee.entries![Int(position)] = list.pointee.entries![Int(last)]
                moved = list.pointee.entries![Int(position)]
            }
            if last == 0 {
                removeList(value, shard)
                touch(filter)
            } else if last * 4 <= list.pointee.room, last > 4 {
                resize(list, to: last * 2)
            }
            trie.release(node)
            return moved
        }
    }

    /// The filter's bytes into `out`, which must have room for 65535.
    func copyFilter(_ node: UInt32, to out: UnsafeMutableRawPointer, shard: Int) -> Int {
        read(shard) { trie, _ in
            trie.copyFilter(node, to: out)
            return trie.filterLength(node)
        }
    }

    /// Which epoch a filter moves.
    func epochIndex(_ filter: Bytes) -> Int {
        hasWildcard(filter)
            ? Self.buckets : Int(truncatingIfNeeded: Topics.hash(filter, seed: seed)) & (Self.buckets - 1)
    }

    func touch(_ filter: Bytes) {
        _ = cr_add_u64(epochs + epochIndex(filter), 1)
        _ = cr_add_u64(epochs + Self.all, 1)
    }

    func write<R>(_ body: () -> R) -> R {
        for i in 0..<shardCount { pthread_mutex_lock(&locks[i].mutex) }
        defer { for i in 0..<shardCount { pthread_mutex_unlock(&locks[i].mutex) } }
        return body()
    }

    private func insertList(_ value: UnsafeMutablePointer<FilterValue>, _ shard: Int) {
        let bit = UInt64(1) << UInt64(shard)
        let n = value.pointee.shards.nonzeroBitCount
        let rank = (value.pointee.shards & (bit - 1)).nonzeroBitCount
        let wider = UnsafeMutablePointer<SubscriberList>.allocate(capacity: n + 1)
        for i in 0..<n { wider[i < rank ? i : i + 1] = value.pointee.lists![i] }
        wider[rank] = SubscriberList(entries: nil, count: 0, room: 0)
        value.pointee.lists?.deallocate()
        value.pointee.lists = wider
        value.pointee.shards |= bit
    }

    private func removeList(_ value: UnsafeMutablePointer<FilterValue>, _ shard: Int) {
        let bit = UInt64(1) << UInt64(shard)
        let n = value.pointee.shards.nonzeroBitCount
        let rank = (value.pointee.shards & (bit - 1)).nonzeroBitCount
        value.pointee.lists![rank].entries?.deallocate()
        for i in rank..<(n - 1) { value.pointee.lists![i] = value.pointee.lists![i + 1] }
        value.pointee.shards &= ~bit
        if n == 1 {
            value.pointee.lists!.deallocate()
            value.pointee.lists = nil
        }
    }

    private func append(_ list: UnsafeMutablePointer<SubscriberList>, _ subscriber: Subscriber) -> UInt32 {
        if list.pointee.count == list.pointee.room { resize(list, to: max(1, list.pointee.room * 2)) }
        list.pointee.entries![Int(list.pointee.count)] = subscriber
        list.pointee.count += 1
        return list.pointee.count - 1
    }

    private func resize(_ list: UnsafeMutablePointer<SubscriberList>, to room: UInt32) {
        list.pointee.entries = moved(list.pointee.entries, Int(list.pointee.count), toRoomOf: Int(room))
        list.pointee.room = room
    }
}

extension FilterTable {
    /// Bytes of nodes and values that are in memory, pages given back left out.
    var residentBytes: Int { write { trie.residentBytes + values.residentBytes } }

    /// Returns what filters that are gone took, a part at a time, so that nobody waits long for the table.
    func giveMemoryBack() {
        var chunk = 0
        while trimChunk(chunk) { chunk += 1 }
    }

    private func trimChunk(_ chunk: Int) -> Bool {
        write {
            if chunk == 0 {
                values.cut(to: trie.nodeCapacity)
                groups.trim()
            }
            trie.givePagesBack(ofChunk: chunk) { values.givePagesBack($0) }
            return chunk + 1 < trie.chunkCount
        }
    }
}
