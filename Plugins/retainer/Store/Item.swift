// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CLMDB

/// One retained topic: this header, directly followed by the bytes of its key (see `TopicKey`).
///
/// Items and tree nodes are plain malloc'ed memory without Swift classes, because `plugins reload` hands them from one
/// image of this plugin to the next (see `Upgrade.swift`).
///
/// Who holds the store's lock alone reads and writes all of it. Who shares the lock reads `isLive` and `heapIndex`, and
/// goes through `marked` to `message`, `deadline` and `disc`.
struct Item {
    /// One counted reference; nil while the body is only on disc, and for an item that is no longer live. It comes first.
    var message: OpaquePointer?
    /// Unix time in milliseconds; 0: never expires.
    var deadline: Int64
    /// Place in the expiry heap; `Item.noHeapIndex` when there is none.
    var heapIndex: UInt32
    var keyCount: UInt16
    /// False: deleted, and still in the tree until the writer has removed the record, or found that there is none.
    var isLive: Bool
    var disc: DiscFlags

    static let noHeapIndex = UInt32.max
    static let discOffset = 23
    static var keyOffset: Int { MemoryLayout<Item>.stride }
}

/// What an item has to do with the disc. An item with any of these is never freed; storage ram has none of them.
struct DiscFlags: OptionSet {
    let rawValue: UInt8

    /// Waits for a run of the writer: in the queues that fill when `StoreState.turn` is even, or odd. Never both.
    static let even = DiscFlags(rawValue: 1)
    static let odd = DiscFlags(rawValue: 2)
    static let queued: DiscFlags = [.even, .odd]
    /// The writer has it in its hands; may be queued again at the same time.
    static let writing = DiscFlags(rawValue: 4)
    /// A record of this topic is on disc.
    static let stored = DiscFlags(rawValue: 8)
}

typealias ItemRef = UnsafeMutablePointer<Item>

extension UnsafeMutablePointer where Pointee == Item {
    static func make(key: UnsafeRawBufferPointer) -> ItemRef? {
        guard let raw = malloc(Item.keyOffset + key.count) else { return nil }
        let item = raw.bindMemory(to: Item.self, capacity: 1)
        item.initialize(
            to: Item(
                message: nil, deadline: 0, heapIndex: Item.noHeapIndex, keyCount: UInt16(truncatingIfNeeded: key.count),
                isLive: false, disc: []))
        if let from = key.baseAddress { memcpy(raw + Item.keyOffset, from, key.count) }
        return item
    }

    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(self) + Item.keyOffset, count: Int(pointee.keyCount))
    }

    var isLive: Bool { pointee.isLive }

    /// By its own address, so that changing it is no access to the rest of the item.
    var disc: UnsafeMutablePointer<DiscFlags> {
        (UnsafeMutableRawPointer(self) + Item.discOffset).assumingMemoryBound(to: DiscFlags.self)
    }

    /// [shared lock] Whether it is queued under this mark. Without `marked`: only the writer takes a mark of the run away,
    /// and nobody gives it.
    func isMarked(_ mark: DiscFlags) -> Bool {
        clmdb_peek(disc) & mark.rawValue != 0
    }

    /// Nobody wants it any more.
    var isDead: Bool { !pointee.isLive && disc.pointee.isEmpty }

    /// [shared lock] Calls `body` with the message, which it may replace. Meanwhile nobody else gets at it or at `disc`.
    @inline(__always)
    func marked<R>(_ body: (inout OpaquePointer?) -> R) -> R {
        let place = place
        var message = clmdb_take(place).map { OpaquePointer($0) }
        defer { clmdb_put_back(place, message.map { UnsafeMutableRawPointer($0) }) }
        return body(&message)
    }

    enum Body {
        /// Not live, or expired.
        case none
        /// With a reference of the caller's own.
        case message(OpaquePointer)
        case onDisc
    }

    /// [shared lock]
    func prefetchMessage() { clmdb_prefetch_at(place) }

    private var place: UnsafeMutablePointer<UnsafeMutableRawPointer?> {
        UnsafeMutableRawPointer(self).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    }

    /// [shared lock]
    func body(at now: Int64, _ messages: MessageCalls) -> Body {
        guard isLive else { return .none }
        return marked { message in
            guard pointee.deadline == 0 || pointee.deadline > now else { return .none }
            return message.map { .message(messages.retain($0)) } ?? .onDisc
        }
    }

    /// [shared lock]
    func isAlive(at now: Int64) -> Bool {
        isLive && marked { _ in pointee.deadline == 0 || pointee.deadline > now }
    }
}
