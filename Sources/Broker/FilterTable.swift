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
/// Route caches notice changes through epochs: a filter without wildcards moves one of 1,024, any other moves all.
final class FilterTable: @unchecked Sendable {
    private var trie: FilterTrie
    private var values: UnsafeMutablePointer<FilterValue>
    private var valueRoom: Int
    private let locks: UnsafeMutablePointer<Lock>
    private let shardCount: Int
    let seed: UInt64
    /// Epochs that concern every shard: 1,024 exact buckets and, last, the wildcard epoch.
    let epochs: UnsafeMutablePointer<UInt64>
    private(set) var groups: [ShareGroup] = [ShareGroup(node: 0, name: [])]
    private var freeGroups: [UInt32] = []
    /// What `groups` holds of members, as the data path reads it: a place for each group.
    fileprivate var runs: UnsafeMutablePointer<MemberRun>
    fileprivate var runRoom = 16
    /// Subscriptions of all sessions, shared ones included.
    private(set) var subscriptions = 0
    private(set) var sharedSubscriptions = 0

    static let buckets = 1024

    /// A cache line: a loop takes its own for every topic it does not know.
    private struct Lock {
        var mutex: pthread_mutex_t
        var pad: (UInt64, UInt64, UInt64)
    }

    init(shards: Int, seed: UInt64) {
        self.seed = seed
        shardCount = shards
        trie = FilterTrie(seed: seed)
        valueRoom = 64
        values = .allocate(capacity: 64)
        values.initialize(repeating: FilterValue(shards: 0, lists: nil, firstGroup: 0), count: 64)
        runs = .allocate(capacity: 16)
        runs.initialize(repeating: MemberRun(), count: 16)
        epochs = .allocate(capacity: Self.buckets + 1)
        epochs.initialize(repeating: 0, count: Self.buckets + 1)
        let lockBytes = shards * MemoryLayout<Lock>.stride
        locks = UnsafeMutableRawPointer.allocate(byteCount: lockBytes, alignment: 64)
            .bindMemory(to: Lock.self, capacity: shards)
        for i in 0..<shards {
            (locks + i).initialize(to: Lock(mutex: pthread_mutex_t(), pad: (0, 0, 0)))
            pthread_mutex_init(&locks[i].mutex, nil)
        }
    }

    // MARK: - Reading

    /// Runs `body` with the table held still for this shard.
    func read<R>(_ shard: Int, _ body: (borrowing FilterTrie, UnsafeMutablePointer<FilterValue>) -> R) -> R {
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
        write { (trie.referencedCount, subscriptions, sharedSubscriptions, trie.memoryBytes) }
    }

    /// Every filter with the shards that have subscribers. Under the write lock: for the control plane.
    func forEachFilter(_ body: (_ filter: [UInt8], _ value: FilterValue) -> Void) {
        write {
            trie.forEach { node in
                let name = [UInt8](unsafeUninitializedCapacity: trie.filterLength(node)) { buffer, count in
                    count = trie.filterLength(node)
                    trie.copyFilter(node, to: buffer.baseAddress!)
                }
                body(name, values[Int(node)])
            }
        }
    }

    func filter(of node: UInt32) -> [UInt8] {
        write {
            [UInt8](unsafeUninitializedCapacity: trie.filterLength(node)) { buffer, count in
                count = trie.filterLength(node)
                if count > 0 { trie.copyFilter(node, to: buffer.baseAddress!) }
            }
        }
    }

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
            growValues()
            subscriptions += 1
            let value = values + Int(node)
            let bit = UInt64(1) << UInt64(shard)
            if value.pointee.shards & bit == 0 {
                insertList(value, shard)
                touch(filter)
            }
            let list = Self.list(value.pointee, shard)!
            return (node, append(list, subscriber))
        }
    }

    /// Takes the entry at `position` out of the shard's list. The entry that took its place, if any, is returned so
    /// that its session learns its new position.
    func remove(_ node: UInt32, position: UInt32, filter: Bytes, shard: Int) -> Subscriber? {
        write {
            subscriptions -= 1
            let value = values + Int(node)
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

    private func touch(_ filter: Bytes) { _ = cr_add_u64(epochs + epochIndex(filter), 1) }

    private func write<R>(_ body: () -> R) -> R {
        for i in 0..<shardCount { pthread_mutex_lock(&locks[i].mutex) }
        defer { for i in 0..<shardCount { pthread_mutex_unlock(&locks[i].mutex) } }
        return body()
    }

    private func growValues() {
        let wanted = trie.nodeCapacity
        guard wanted > valueRoom else { return }
        let room = max(wanted, valueRoom * 2)
        let wider = UnsafeMutablePointer<FilterValue>.allocate(capacity: room)
        wider.update(from: values, count: valueRoom)
        (wider + valueRoom).initialize(
            repeating: FilterValue(shards: 0, lists: nil, firstGroup: 0), count: room - valueRoom)
        values.deallocate()
        values = wider
        valueRoom = room
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
        if list.pointee.count == list.pointee.room {
            let room = max(1, list.pointee.room * 2)
            let wider = UnsafeMutablePointer<Subscriber>.allocate(capacity: Int(room))
            if let old = list.pointee.entries {
                wider.update(from: old, count: Int(list.pointee.count))
                old.deallocate()
            }
            list.pointee.entries = wider
            list.pointee.room = room
        }
        list.pointee.entries![Int(list.pointee.count)] = subscriber
        list.pointee.count += 1
        return list.pointee.count - 1
    }
}

// MARK: - Share groups

/// A member of a share group, as every shard sees it: the session is only a handle here.
struct ShareMember {
    var shard: UInt32
    var session: UInt64
    var identifier: UInt32
    var options: SubOptions
    var isOnline: Bool
}

/// The members of a group in a row, those that are online first: choosing one copies and counts nothing.
struct MemberRun {
    private(set) var entries: UnsafeMutablePointer<ShareMember>?
    private(set) var count = 0
    private(set) var online = 0
    /// Session handle the sticky strategy has chosen; 0: none.
    fileprivate(set) var sticky: UInt64 = 0
    private var room = 0

    var onlineOnes: UnsafeBufferPointer<ShareMember> { UnsafeBufferPointer(start: entries, count: online) }
    var all: UnsafeBufferPointer<ShareMember> { UnsafeBufferPointer(start: entries, count: count) }

    mutating func set(_ members: [ShareMember]) {
        if members.count > room || members.isEmpty {
            entries?.deallocate()
            room = members.isEmpty ? 0 : max(4, members.count * 2)
            entries = room == 0 ? nil : .allocate(capacity: room)
        }
        count = 0
        for m in members where m.isOnline { append(m) }
        online = count
        for m in members where !m.isOnline { append(m) }
    }

    private mutating func append(_ member: ShareMember) {
        (entries! + count).initialize(to: member)
        count += 1
    }
}

/// `$share/NAME/FILTER`: the members that take turns. MQTT 5 §4.8.2.
struct ShareGroup {
    var node: UInt32
    var name: [UInt8]
    var members: [ShareMember] = []
    /// Next group on the same filter; 0: none.
    var next: UInt32 = 0
}

extension FilterTable {
    /// Adds a member; the group is made when it is the first. Returns node and group.
    func addShared(_ filter: Bytes, group name: Bytes, _ member: ShareMember) -> (node: UInt32, group: UInt32) {
        write {
            let node = trie.insert(filter)
            growValues()
            subscriptions += 1
            sharedSubscriptions += 1
            var at = values[Int(node)].firstGroup
            while at != 0, !groups[Int(at)].name.elementsEqual(name) { at = groups[Int(at)].next }
            if at == 0 {
                at = newGroup(ShareGroup(node: node, name: Array(name), next: values[Int(node)].firstGroup))
                values[Int(node)].firstGroup = at
            }
            groups[Int(at)].members.append(member)
            publish(at)
            touch(filter)
            return (node, at)
        }
    }

    func removeShared(_ group: UInt32, session: UInt64, filter: Bytes) {
        write {
            subscriptions -= 1
            sharedSubscriptions -= 1
            let node = groups[Int(group)].node
            groups[Int(group)].members.removeAll { $0.session == session }
            if groups[Int(group)].members.isEmpty { unlinkGroup(group, node) }
            publish(group)
            touch(filter)
            trie.release(node)
        }
    }

    /// Options or online state of a member changed.
    func updateShared(_ group: UInt32, session: UInt64, _ change: (inout ShareMember) -> Void) {
        write {
            guard let at = groups[Int(group)].members.firstIndex(where: { $0.session == session }) else { return }
            change(&groups[Int(group)].members[at])
            publish(group)
            let node = groups[Int(group)].node
            let name = [UInt8](unsafeUninitializedCapacity: max(1, trie.filterLength(node))) { buffer, count in
                count = trie.filterLength(node)
                trie.copyFilter(node, to: buffer.baseAddress!)
            }
            name.withUnsafeBytes { touch($0) }
        }
    }

    func makeSticky(_ group: UInt32, _ session: UInt64) { write { runs[Int(group)].sticky = session } }

    /// Runs `body` with the members of a group, none when it is gone. Held still for this shard.
    @inline(__always)
    func withMembers<R>(of group: UInt32, shard: Int, _ body: (MemberRun) -> R) -> R {
        read(shard) { _, _ in body(runs[Int(group)]) }
    }

    private func publish(_ group: UInt32) {
        if groups[Int(group)].members.isEmpty { runs[Int(group)].sticky = 0 }
        runs[Int(group)].set(groups[Int(group)].members)
    }

    /// The group as it is now; nil when it is gone.
    func snapshot(_ group: UInt32, shard: Int) -> ShareGroup? {
        read(shard) { _, _ in
            Int(group) < groups.count && !groups[Int(group)].members.isEmpty ? groups[Int(group)] : nil
        }
    }

    private func newGroup(_ group: ShareGroup) -> UInt32 {
        if let free = freeGroups.popLast() {
            groups[Int(free)] = group
            return free
        }
        groups.append(group)
        growRuns()
        return UInt32(groups.count - 1)
    }

    private func growRuns() {
        guard groups.count > runRoom else { return }
        let wider = UnsafeMutablePointer<MemberRun>.allocate(capacity: runRoom * 2)
        wider.moveInitialize(from: runs, count: runRoom)
        (wider + runRoom).initialize(repeating: MemberRun(), count: runRoom)
        runs.deallocate()
        runs = wider
        runRoom *= 2
    }

    private func unlinkGroup(_ group: UInt32, _ node: UInt32) {
        if values[Int(node)].firstGroup == group {
            values[Int(node)].firstGroup = groups[Int(group)].next
        } else {
            var at = values[Int(node)].firstGroup
            while groups[Int(at)].next != group { at = groups[Int(at)].next }
            groups[Int(at)].next = groups[Int(group)].next
        }
        groups[Int(group)] = ShareGroup(node: 0, name: [])
        freeGroups.append(group)
    }
}
