// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CLMDB

/// One retained topic: this header, directly followed by the bytes of its key (see `TopicKey`).
///
/// Items and tree nodes are plain malloc'ed memory without Swift classes, because `plugins reload` hands them from one
/// image of this plugin to the next (see `Upgrade.swift`).
struct Item {
    /// One counted reference; nil while the body is only on disc, and for an item that is no longer live. It comes first.
    /// Who holds the store's lock alone reads and writes it; who shares it goes through `retained` and `swap`.
    var message: OpaquePointer?
    /// Unix time in milliseconds; 0: never expires.
    var deadline: Int64
    /// Place in the expiry heap; `Item.noHeapIndex` when there is none.
    var heapIndex: UInt32
    var keyCount: UInt16
    var flags: ItemFlags

    static let noHeapIndex = UInt32.max
    static var keyOffset: Int { MemoryLayout<Item>.stride }
}

/// States of an item, all guarded by the store's lock:
/// 1. `[.live]`: storage ram, or disc with the record written.
/// 2. `[.live, .queued]`: waits in the write queue; at most one place there for each item.
/// 3. `[.live, .writing]`: the writer copies it; may be queued again at the same time.
/// 4. without `.live`: deleted, still in the tree until the writer has removed the record (or found there is none).
struct ItemFlags: OptionSet {
    let rawValue: UInt8

    static let live = ItemFlags(rawValue: 1)
    static let queued = ItemFlags(rawValue: 2)
    static let writing = ItemFlags(rawValue: 4)
    /// A record of this topic is on disc.
    static let stored = ItemFlags(rawValue: 8)
}

typealias ItemRef = UnsafeMutablePointer<Item>

extension UnsafeMutablePointer where Pointee == Item {
    static func make(key: UnsafeRawBufferPointer) -> ItemRef? {
        guard let raw = malloc(Item.keyOffset + key.count) else { return nil }
        let item = raw.bindMemory(to: Item.self, capacity: 1)
        item.initialize(
            to: Item(
                message: nil, deadline: 0, heapIndex: Item.noHeapIndex, keyCount: UInt16(truncatingIfNeeded: key.count),
                flags: []))
        if let from = key.baseAddress { memcpy(raw + Item.keyOffset, from, key.count) }
        return item
    }

    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(self) + Item.keyOffset, count: Int(pointee.keyCount))
    }

    var isLive: Bool { pointee.flags.contains(.live) }

    /// [shared lock] The message with a reference of the caller's own.
    func retained(_ messages: MessageCalls) -> OpaquePointer? {
        let message = clmdb_take(place)
        if let message { _ = messages.retain(OpaquePointer(message)) }
        clmdb_put_back(place, message)
        return message.map { OpaquePointer($0) }
    }

    /// [shared lock] Puts `message` there and gives back what was.
    func swap(_ message: OpaquePointer) -> OpaquePointer? {
        let old = clmdb_take(place)
        clmdb_put_back(place, UnsafeMutableRawPointer(message))
        return old.map { OpaquePointer($0) }
    }

    /// [shared lock]
    func prefetchMessage() { clmdb_prefetch_at(place) }

    private var place: UnsafeMutablePointer<UnsafeMutableRawPointer?> {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    }

    func isAlive(at now: Int64) -> Bool {
        isLive && (pointee.deadline == 0 || pointee.deadline > now)
    }
}
