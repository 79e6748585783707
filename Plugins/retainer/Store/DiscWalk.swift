// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Synchronization

/// As `MemoryWalk`, for storage disc_only. `next` on the session's loop, `read` on a thread that may block; never both
/// at a time.
struct DiscWalk {
    private let store: Store
    private var cursor: Cursor
    private var slice: Slice

    init(_ store: Store, filter key: UnsafeRawBufferPointer) {
        self.store = store
        cursor = Cursor(filter: key)
        slice = Slice(keepsKeys: true)
        store.state.pointee.walks.add(1, ordering: .relaxed)
    }

    /// `.pause`: call `read`, then this again. A message taken here is the newest of its topic, or was when it was read
    /// and nothing has been written since.
    mutating func next(now: @autoclosure () -> Int64) -> MemoryWalk.Step {
        while !slice.isEmpty {
            if slice.changes != store.changes {
                switch store.lookUp(slice.key(), now: now()) {
                case .message(let newer):
                    dropFirst()
                    return .message(newer)
                case .nothing:
                    dropFirst()
                    continue
                case .onDisc(let commits):
                    if commits != slice.commits {
                        rewind()
                        return .pause
                    }
                }
            }
            // nil: deleted between the look into memory and the look at the disc.
            if let message = slice.takeFirst() { return .message(message) }
        }
        return cursor.isFinished ? .end : .pause
    }

    /// Blocks. What cannot be read is skipped: the writer meets the same disc and complains.
    mutating func read(now: Int64) {
        store.fill(&slice, from: &cursor, limit: Store.sliceLimit, now: now)
        try? store.fetch(&slice)
    }

    mutating func go(to key: UnsafeRawBufferPointer) { cursor.move(to: key) }

    /// As `MemoryWalk.position`.
    mutating func position() -> (filter: UnsafeRawBufferPointer, next: UnsafeRawBufferPointer)? {
        if !slice.isEmpty { rewind() }
        return cursor.isFinished ? nil : (cursor.filter.bytes, cursor.next)
    }

    mutating func free() {
        slice.free(store.messages)
        cursor.free()
        store.state.pointee.walks.subtract(1, ordering: .relaxed)
    }

    private mutating func dropFirst() {
        if let message = slice.takeFirst() { store.messages.release(message) }
    }

    private mutating func rewind() {
        cursor.move(to: slice.key())
        slice.removeAll(store.messages)
    }
}
