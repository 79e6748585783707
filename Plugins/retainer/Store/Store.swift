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
        let state = UnsafeMutablePointer<StoreState>.allocate(capacity: 1)
        state.initialize(to: StoreState(storage: storage))
        clmdb_rwlock_init(&state.pointee.lock)
        return Store(state, messages)
    }

    /// Frees everything, with one reference of each message.
    func destroy() {
        state.pointee.tree.removeAll { item in
            if let message = item.pointee.message { messages.release(message) }
            free(item)
        }
        state.pointee.expiry.free()
        state.pointee.queue.free()
        state.pointee.parked.free()
        pthread_rwlock_destroy(&state.pointee.lock)
        state.deinitialize(count: 1)
        state.deallocate()
    }

    var isDurable: Bool { storage != .ram }

    /// Live messages, and items that wait for the writer.
    func counts() -> (live: Int, queued: Int) {
        reading { ($0.pointee.live.load(ordering: .relaxed), $0.pointee.queue.count) }
    }

    /// Live messages now and at most. Takes no lock.
    func levels() -> (live: Int, peak: Int) {
        (state.pointee.live.load(ordering: .relaxed), state.pointee.peak.load(ordering: .relaxed))
    }

    /// See `StoreState.changes`.
    var changes: UInt64 { state.pointee.changes.load(ordering: .acquiring) }

    // MARK: - Changing

    /// Retains `message` under `key` in place of what was there. Takes over one reference, whatever comes out.
    func put(
        _ key: UnsafeRawBufferPointer, _ message: OpaquePointer, deadline: Int64, limit: Int
    ) -> Outcome {
        if deadline == 0, let old = replace(key, message) {
            messages.release(old)
            return .replaced
        }
        var surplus: OpaquePointer? = message
        let outcome = changing { state -> Outcome in
            let found = state.pointee.tree.find(key)
            let isNew = found.map { !$0.isLive } ?? true
            let live = state.pointee.live.load(ordering: .relaxed)
            if isNew, limit > 0, live >= limit { return .full }
            if found == nil, state.pointee.tree.count - live >= Store.deadLimit { return .full }
            guard let item = found ?? ItemRef.make(key: key) else { return .full }
            if found == nil { state.pointee.tree.insert(item) }
            surplus = item.pointee.message
            item.pointee.message = message
            item.pointee.flags.insert(.live)
            item.pointee.deadline = deadline
            state.pointee.expiry.update(item)
            if isNew { countOne() }
            enqueue(item)
            state.pointee.changes.add(1, ordering: .releasing)
            return isNew ? .added : .replaced
        }
        if let surplus { messages.release(surplus) }
        return outcome
    }

    /// Where nothing changes but the message, as it is with one that comes again and again, publishers share the lock:
    /// the old message, which is the caller's, or nil when it is not so.
    private func replace(_ key: UnsafeRawBufferPointer, _ message: OpaquePointer) -> OpaquePointer? {
        reading { state in
            guard let item = state.pointee.tree.find(key), item.isLive, item.pointee.deadline == 0,
                !isDurable || item.pointee.flags.contains(.queued)
            else { return nil }
            defer { state.pointee.changes.add(1, ordering: .releasing) }
            return item.swap(message)
        }
    }

    func remove(_ key: UnsafeRawBufferPointer) -> Outcome {
        var message: OpaquePointer?
        let outcome = changing { state -> Outcome in
            guard let item = state.pointee.tree.find(key), item.isLive else { return .unchanged }
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
                cursor.walk(state.pointee.tree) { item in
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

    /// Removes up to `sliceLimit` messages whose time is over.
    func expireSlice(now: Int64) -> Int {
        removeSlice { surplus in
            var count = 0
            while count < Store.sliceLimit, let first = state.pointee.expiry.first, first.pointee.deadline <= now {
                surplus[count] = retire(first)
                count += 1
            }
            return count
        }
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
        item.pointee.flags.remove(.live)
        state.pointee.expiry.remove(item)
        state.pointee.live.subtract(1, ordering: .relaxed)
        state.pointee.changes.add(1, ordering: .releasing)
        if item.pointee.flags.isEmpty { discard(item) } else { enqueue(item) }
        return message
    }

    /// One more live message. Under the lock.
    func countOne() {
        let live = state.pointee.live.add(1, ordering: .relaxed).newValue
        if live > state.pointee.peak.load(ordering: .relaxed) { state.pointee.peak.store(live, ordering: .relaxed) }
    }

    func discard(_ item: ItemRef) {
        state.pointee.tree.remove(item)
        free(item)
    }

    func enqueue(_ item: ItemRef) {
        guard isDurable, !item.pointee.flags.contains(.queued) else { return }
        item.pointee.flags.insert(.queued)
        state.pointee.queue.append(item)
    }

    // MARK: - Locking

    func reading<R>(_ body: (UnsafeMutablePointer<StoreState>) -> R) -> R {
        clmdb_rwlock_read(&state.pointee.lock)
        defer { pthread_rwlock_unlock(&state.pointee.lock) }
        return body(state)
    }

    func changing<R>(_ body: (UnsafeMutablePointer<StoreState>) -> R) -> R {
        clmdb_rwlock_write(&state.pointee.lock)
        defer { pthread_rwlock_unlock(&state.pointee.lock) }
        return body(state)
    }
}
