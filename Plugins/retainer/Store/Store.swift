// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CLMDB
import Synchronization

/// The retained messages, safe to use from every thread.
struct Store {
    /// The most messages one hold of the lock touches.
    static let sliceLimit = 64
    /// Deleted topics that may wait for the writer before new topics are refused.
    static let deadLimit = 1 << 20

    let state: UnsafeMutablePointer<StoreState>
    let messages: MessageCalls
    /// As in the state; readable without the lock.
    let storage: StorageType

    init(_ state: UnsafeMutablePointer<StoreState>, _ messages: MessageCalls) {
        self.state = state
        self.messages = messages
        storage = state.pointee.storage
    }

    enum Outcome {
        case added
        case replaced
        case removed
        case unchanged
        /// The table holds its maximum.
        case full
        /// Not a topic.
        case invalid
    }

    static func make(_ storage: StorageType, messages: MessageCalls) -> Store {
        var secret = TopicHash.Secret(first: 0, second: 0)
        let size = MemoryLayout<TopicHash.Secret>.size
        guard getrandom(&secret, size, 0) == size else { fatalError("retainer: the system has no random numbers") }
        let state = UnsafeMutablePointer<StoreState>.allocate(capacity: 1)
        state.initialize(to: StoreState(storage: storage, secret: secret))
        return Store(state, messages)
    }

    /// Frees everything, with one reference of each message.
    func destroy() {
        state.pointee.tree.removeAll { item in
            if let message = item.pointee.message { messages.release(message) }
            free(item)
        }
        releaseSurplus()
        state.pointee.index.free()
        state.pointee.expiry.free()
        state.pointee.run.pointee.free()
        state.pointee.run.deallocate()
        state.pointee.parked.free()
        state.pointee.lanes.free()
        state.deinitialize(count: 1)
        state.deallocate()
    }

    var isDurable: Bool { storage != .ram }

    /// Live messages, and items that wait for the writer.
    func counts() -> (live: Int, queued: Int) {
        var queued = state.pointee.runLeft.load(ordering: .relaxed)
        for i in 0..<state.pointee.lanes.count {
            let lane = state.pointee.lanes[i]
            clmdb_lock(&lane.pointee.mutex)
            queued += lane.pointee.queue.count
            pthread_mutex_unlock(&lane.pointee.mutex)
        }
        return (state.pointee.live.load(ordering: .relaxed), queued)
    }

    /// Live messages now and at most. Takes no lock.
    func levels() -> (live: Int, peak: Int) {
        (state.pointee.live.load(ordering: .relaxed), state.pointee.peak.load(ordering: .relaxed))
    }

    /// See `StoreState.changes`.
    var changes: UInt64 { state.pointee.changes.load(ordering: .acquiring) }

    // MARK: - Changing

    /// Retains `message`, which may be borrowed, under `key` in place of what was there.
    func keep(_ key: UnsafeRawBufferPointer, _ message: OpaquePointer, deadline: Int64, limit: Int) -> Outcome {
        let hash = state.pointee.index.hash(key)
        // It comes while the message is copied.
        state.pointee.index.prefetch(hash)
        return put(key, hash, messages.retain(message), deadline: deadline, limit: limit)
    }

    /// Takes over one reference, whatever comes out.
    func put(_ key: UnsafeRawBufferPointer, _ message: OpaquePointer, deadline: Int64, limit: Int) -> Outcome {
        put(key, state.pointee.index.hash(key), message, deadline: deadline, limit: limit)
    }

    private func put(
        _ key: UnsafeRawBufferPointer, _ hash: TopicHash, _ message: OpaquePointer, deadline: Int64, limit: Int
    ) -> Outcome {
        var surplus: OpaquePointer? = message
        defer { if let surplus { messages.release(surplus) } }
        if replace(key, hash, &surplus, deadline) { return .replaced }
        return changing { state -> Outcome in
            let found = state.pointee.index.find(key, hash)
            let isNew = found.map { !$0.isLive } ?? true
            let live = state.pointee.live.load(ordering: .relaxed)
            if isNew, limit > 0, live >= limit { return .full }
            if found == nil, state.pointee.tree.count - live >= Store.deadLimit { return .full }
            guard let item = found ?? ItemRef.make(key: key) else { return .full }
            if found == nil { add(item, hash) }
            surplus = item.pointee.message
            item.pointee.message = message
            item.pointee.isLive = true
            item.pointee.deadline = deadline
            state.pointee.expiry.update(item)
            if isNew { countOne() }
            enqueue(item)
            state.pointee.changes.add(1, ordering: .releasing)
            return isNew ? .added : .replaced
        }
    }

    /// Where nothing changes but the message and when it expires, as it is with one that comes again and again,
    /// publishers share the lock.
    /// True: what is in `message` now is to be released.
    private func replace(
        _ key: UnsafeRawBufferPointer, _ hash: TopicHash, _ message: inout OpaquePointer?, _ deadline: Int64
    ) -> Bool {
        sharing { state, lane in
            guard let item = state.pointee.index.find(key, hash), item.isLive,
                state.pointee.expiry.stays(item, at: deadline)
            else { return false }
            item.marked { place in
                swap(&place, &message)
                item.pointee.deadline = deadline
                if isDurable { queue(item, in: lane) }
                // Whoever has read the message before it was replaced had counted itself before it read.
                if state.pointee.walks.load(ordering: .relaxed) > 0 {
                    state.pointee.changes.add(1, ordering: .releasing)
                }
            }
            swap(&lane.pointee.surplus, &message)
            if let surplus = lane.pointee.surplus {
                let bytes = UnsafeRawPointer(surplus)
                clmdb_prefetch_own(bytes)
                clmdb_prefetch_own(bytes + 64)
                clmdb_prefetch_own(bytes + 128)
                clmdb_prefetch_own(bytes + 192)
            }
            return true
        }
    }

    func remove(_ key: UnsafeRawBufferPointer) -> Outcome {
        var message: OpaquePointer?
        let outcome = changing { state -> Outcome in
            let hash = state.pointee.index.hash(key)
            guard let item = state.pointee.index.find(key, hash), item.isLive else { return .unchanged }
            message = retire(item)
            return .removed
        }
        if let message { messages.release(message) }
        return outcome
    }

    /// Removes up to `sliceLimit` messages that match the cursor. The caller repeats until the cursor is finished.
    func removeSlice(_ cursor: inout Cursor) -> Int {
        withUnsafeTemporaryAllocation(of: ItemRef.self, capacity: Store.sliceLimit) { found in
            removeSlice { surplus in
                var count = 0
                cursor.walk(state.pointee.tree, state.pointee.index) { item in
                    guard item.isLive else { return true }
                    guard count < Store.sliceLimit else { return false }
                    found[count] = item
                    count += 1
                    return true
                }
                for i in 0..<count { surplus[i] = retire(found[i]) }
                return count
            }
        }
    }

    /// Nothing waits for the disc or to be fed, nothing is over before that Unix time in milliseconds, and no other
    /// image has its hands in here.
    func isQuiet(until time: Int64) -> Bool {
        guard counts().queued == 0, state.pointee.writing.load(ordering: .acquiring) == 0,
            state.pointee.owners.load(ordering: .acquiring) == 1
        else { return false }
        return reading { $0.pointee.parked.count == 0 && ($0.pointee.expiry.first.map { $0.deadline > time } ?? true) }
    }

    /// Removes up to `sliceLimit` messages whose time is over. `isDone`: there are no more.
    func expireSlice(now: Int64) -> (removed: Int, isDone: Bool) {
        var isDone = false
        let removed = removeSlice { surplus in
            var count = 0
            for _ in 0..<Store.sliceLimit {
                guard let first = state.pointee.expiry.first, first.deadline <= now else {
                    isDone = true
                    break
                }
                if first.item.pointee.deadline > now {
                    state.pointee.expiry.update(first.item)
                    continue
                }
                surplus[count] = retire(first.item)
                count += 1
            }
            return count
        }
        return (removed, isDone)
    }

    /// `body` runs under the lock and fills in the messages it removed; they are released without the lock.
    private func removeSlice(_ body: (UnsafeMutableBufferPointer<OpaquePointer?>) -> Int) -> Int {
        withUnsafeTemporaryAllocation(of: OpaquePointer?.self, capacity: Store.sliceLimit) { surplus in
            let count = changing { _ in body(surplus) }
            for i in 0..<count {
                if let message = surplus[i] { messages.release(message) }
            }
            return count
        }
    }

    /// Makes a live item a deleted one and gives back its message, which the caller releases without the lock.
    private func retire(_ item: ItemRef) -> OpaquePointer? {
        let message = item.pointee.message
        item.pointee.message = nil
        item.pointee.deadline = 0
        item.pointee.isLive = false
        state.pointee.expiry.remove(item)
        state.pointee.live.subtract(1, ordering: .relaxed)
        state.pointee.changes.add(1, ordering: .releasing)
        if item.isDead { discard(item) } else { enqueue(item) }
        return message
    }

    /// Releases what lanes hold back.
    func releaseSurplus() {
        for i in 0..<state.pointee.lanes.count {
            let lane = state.pointee.lanes[i]
            clmdb_lock(&lane.pointee.mutex)
            let message = lane.pointee.surplus
            lane.pointee.surplus = nil
            pthread_mutex_unlock(&lane.pointee.mutex)
            if let message { messages.release(message) }
        }
    }

    /// One more live message. Under the lock.
    func countOne() {
        let live = state.pointee.live.add(1, ordering: .relaxed).newValue
        if live > state.pointee.peak.load(ordering: .relaxed) { state.pointee.peak.store(live, ordering: .relaxed) }
    }

    /// A new item. Under the lock, alone.
    func add(_ item: ItemRef, _ hash: TopicHash) {
        state.pointee.tree.insert(item)
        state.pointee.index.insert(item, hash)
    }

    /// Under the lock, alone.
    func discard(_ item: ItemRef) {
        state.pointee.index.remove(item, state.pointee.index.hash(item.key))
        state.pointee.tree.remove(item)
        free(item)
    }

    /// Under the lock, alone.
    func enqueue(_ item: ItemRef) {
        if isDurable { queue(item, in: state.pointee.lanes[0]) }
    }

    /// Under the lock, alone, or with the item marked and the lane's share of it.
    @inline(__always)
    func queue(_ item: ItemRef, in lane: UnsafeMutablePointer<Lane>) {
        guard item.disc.pointee.isDisjoint(with: .queued) else { return }
        item.disc.pointee.insert(state.pointee.queuedNow)
        lane.pointee.queue.append(item)
    }

    // MARK: - Locking

    func reading<R>(_ body: (UnsafeMutablePointer<StoreState>) -> R) -> R {
        sharing { (state, _) in body(state) }
    }

    @inline(__always)
    func sharing<R>(_ body: (UnsafeMutablePointer<StoreState>, UnsafeMutablePointer<Lane>) -> R) -> R {
        let lane = state.pointee.lanes.share()
        defer { state.pointee.lanes.giveBack(lane) }
        return body(state, lane)
    }

    func changing<R>(_ body: (UnsafeMutablePointer<StoreState>) -> R) -> R {
        state.pointee.lanes.takeAll()
        defer { state.pointee.lanes.giveAllBack() }
        return body(state)
    }
}
