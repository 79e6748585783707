// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Synchronization

/// Feeds one session with all messages that match one filter, for storage ram and disc, where every message is in
/// memory. Used on the session's loop only.
struct MemoryWalk {
    private let store: Store
    private var cursor: Cursor
    private var slice: Slice
    private var limit = Store.sliceLimit

    init(_ store: Store, filter key: UnsafeRawBufferPointer) {
        self.store = store
        cursor = Cursor(filter: key)
        slice = Slice(keepsKeys: false)
        store.state.pointee.walks.add(1, ordering: .relaxed)
    }

    enum Step {
        /// With one reference.
        case message(OpaquePointer)
        case pause
        case end
    }

    /// A message taken here is the newest of its topic at this moment: a slice in which anything may have changed since
    /// is thrown away. Otherwise a subscriber could get a live message first and an older retained one after it.
    mutating func next(now: @autoclosure () -> Int64) -> Step {
        if !slice.isEmpty {
            if slice.changes == store.changes { return take() }
            // Where others publish retained messages all the time, long slices would be made in vain.
            limit = max(1, limit / 4)
            rewind()
        } else if cursor.isFinished {
            return .end
        } else {
            limit = min(Store.sliceLimit, limit * 2)
        }
        store.fill(&slice, from: &cursor, limit: limit, now: now())
        if !slice.isEmpty { return take() }
        return cursor.isFinished ? .end : .pause
    }

    /// Goes on at `key`. Before the first `next`.
    mutating func go(to key: UnsafeRawBufferPointer) { cursor.move(to: key) }

    mutating func free() {
        slice.free(store.messages)
        cursor.free()
        store.state.pointee.walks.subtract(1, ordering: .relaxed)
    }

    private mutating func take() -> Step {
        guard let message = slice.takeFirst() else { return .pause }
        return .message(message)
    }

    private mutating func rewind() {
        guard let message = slice.message() else { return }
        _ = TopicKey.with(store.messages.read(message).topic) { cursor.move(to: $0) }
        slice.removeAll(store.messages)
    }

    /// The key the next message is at or after, and the filter: what a successor needs to go on.
    mutating func position() -> (filter: UnsafeRawBufferPointer, next: UnsafeRawBufferPointer)? {
        if !slice.isEmpty { rewind() }
        return cursor.isFinished ? nil : (cursor.filter.bytes, cursor.next)
    }
}
