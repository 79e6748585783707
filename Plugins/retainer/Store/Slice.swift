// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet
import Synchronization

/// Up to `Store.sliceLimit` messages taken from the store in one go, waiting to be fed to a session. Owns one reference
/// of each message not yet taken.
struct Slice {
    private let messages = UnsafeMutablePointer<OpaquePointer?>.allocate(capacity: Store.sliceLimit)
    /// Ends of the keys in `keys`; only with `keepsKeys`.
    private let ends: UnsafeMutablePointer<Int>?
    private var keys = ByteBuffer()
    private(set) var count = 0
    private(set) var index = 0
    /// `StoreState.changes` and `.commits` when the slice was made.
    var changes: UInt64 = 0
    var commits: UInt64 = 0

    /// `keepsKeys`: for storage disc_only, where a message may be absent at first.
    init(keepsKeys: Bool) {
        ends = keepsKeys ? .allocate(capacity: Store.sliceLimit) : nil
    }

    var isEmpty: Bool { index == count }
    var remaining: Int { count - index }

    /// The message at `place`, counted from the first not yet taken; still owned by the slice.
    func message(_ place: Int = 0) -> OpaquePointer? { messages[index + place] }

    func key(_ place: Int = 0) -> UnsafeRawBufferPointer {
        guard let ends else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let at = index + place
        return UnsafeRawBufferPointer(rebasing: keys.bytes[(at == 0 ? 0 : ends[at - 1])..<ends[at]])
    }

    mutating func append(_ message: OpaquePointer?, key: UnsafeRawBufferPointer) {
        if let ends {
            keys.append(key)
            ends[count] = keys.count
        }
        messages[count] = message
        count += 1
    }

    /// Takes over one reference.
    func setMessage(_ message: OpaquePointer?, at place: Int) { messages[index + place] = message }

    /// The next message with its reference; the caller has looked that there is one.
    mutating func takeFirst() -> OpaquePointer? {
        defer { index += 1 }
        return messages[index]
    }

    mutating func removeAll(_ calls: MessageCalls) {
        while !isEmpty {
            if let message = takeFirst() { calls.release(message) }
        }
        count = 0
        index = 0
        keys.removeAll()
    }

    mutating func free(_ calls: MessageCalls) {
        removeAll(calls)
        messages.deallocate()
        ends?.deallocate()
        keys.free()
    }
}

extension Store {
    /// Fills an empty slice from the cursor with at most `limit` live messages.
    func fill(_ slice: inout Slice, from cursor: inout Cursor, limit: Int, now: Int64) {
        slice.removeAll(messages)
        reading { state in
            slice.changes = state.pointee.changes.load(ordering: .relaxed)
            slice.commits = state.pointee.commits.load(ordering: .relaxed)
            cursor.walk(state.pointee.tree, state.pointee.index) { item in
                guard slice.count < limit else { return false }
                switch item.body(at: now, messages) {
                case .none: break
                case .message(let message): slice.append(message, key: item.key)
                case .onDisc: slice.append(nil, key: item.key)
                }
                return true
            }
        }
    }

    /// What is retained under `key` right now.
    func lookUp(_ key: UnsafeRawBufferPointer, now: Int64) -> Found {
        reading { state in
            switch state.pointee.index.find(key, state.pointee.index.hash(key))?.body(at: now, messages) {
            case .message(let message): return .message(message)
            // Behind the look at the item, so that a batch whose bodies have left memory counts.
            case .onDisc: return .onDisc(commits: state.pointee.commits.load(ordering: .relaxed))
            case .none?, nil: return .nothing
            }
        }
    }

    /// As `lookUp`, without taking a reference.
    func peek(_ key: UnsafeRawBufferPointer, now: Int64) -> Bool {
        reading { state in
            state.pointee.index.find(key, state.pointee.index.hash(key)).map { $0.isAlive(at: now) } ?? false
        }
    }

    /// Appends up to `sliceLimit` topics of live messages, each with a newline.
    func appendTopics(to lines: inout ByteBuffer, from cursor: inout Cursor, now: Int64) {
        var count = 0
        reading { state in
            cursor.walk(state.pointee.tree, state.pointee.index) { item in
                guard item.isAlive(at: now) else { return true }
                guard count < Store.sliceLimit else { return false }
                lines.appendTopic(item.key)
                lines.append(UInt8(ascii: "\n"))
                count += 1
                return true
            }
        }
    }

    var hasParked: Bool { reading { $0.pointee.parked.count > 0 } }

    enum Found {
        case nothing
        /// With one reference.
        case message(OpaquePointer)
        /// Only on disc, unchanged as long as `commits` stays.
        case onDisc(commits: UInt64)
    }
}
