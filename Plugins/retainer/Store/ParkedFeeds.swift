// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// A feed that a reload cut off in the middle, as plain data: the new image goes on where the old one stopped.
struct ParkedFeed {
    var session: UInt64
    /// The loop that owned the session.
    var loop: UInt32
    var subscriptionID: UInt32
    var qos: UInt8
    var filter = ByteBuffer()
    /// The first key not yet fed.
    var next = ByteBuffer()
    /// Client id whose messages are left out; empty: none.
    var ownID = ByteBuffer()

    mutating func free() {
        filter.free()
        next.free()
        ownID.free()
    }
}

/// A stack of them in malloc memory. There are at most as many as sessions being fed at the moment of a reload.
struct ParkedFeeds {
    private var slots: UnsafeMutablePointer<ParkedFeed>?
    private(set) var count = 0
    private var capacity = 0

    init() {}

    mutating func append(_ feed: ParkedFeed) {
        if count == capacity {
            capacity = max(16, capacity * 2)
            guard let grown = realloc(slots, capacity * MemoryLayout<ParkedFeed>.stride) else {
                fatalError("retainer: out of memory")
            }
            slots = grown.assumingMemoryBound(to: ParkedFeed.self)
        }
        (slots.unsafelyUnwrapped + count).initialize(to: feed)
        count += 1
    }

    mutating func popLast() -> ParkedFeed? {
        guard count > 0, let slots else { return nil }
        count -= 1
        return slots[count]
    }

    mutating func free() {
        while var feed = popLast() { feed.free() }
        CLMDB.free(slots)
        self = ParkedFeeds()
    }
}
