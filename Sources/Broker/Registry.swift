// SPDX-License-Identifier: Apache-2.0
import Glibc
import Topics

/// Client id → session handle: a client id names one session, wherever it is. [MQTT-3.1.3-2] [MQTT-3.1.4-3]
///
/// Open addressing over 128-bit hashes with secret seeds instead of the ids themselves: 24 bytes a session, and two
/// ids that collide are not to be expected in the life of the universe. Striped, so that connecting clients on
/// different shards rarely meet.
final class Registry: @unchecked Sendable {
    struct Key: Equatable {
        var low: UInt64
        var high: UInt64
    }

    private struct Entry {
        var key: Key
        /// 0: never used, 1: deleted.
        var handle: UInt64
    }

    private struct Stripe {
        var mutex: pthread_mutex_t
        var entries: UnsafeMutablePointer<Entry>
        var capacity: Int
        var used: Int
        var live: Int
    }

    private let stripes: UnsafeMutablePointer<Stripe>
    private static let count = 64
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        stripes = .allocate(capacity: Self.count)
        for i in 0..<Self.count {
            let entries = UnsafeMutablePointer<Entry>.allocate(capacity: 16)
            entries.initialize(repeating: Entry(key: Key(low: 0, high: 0), handle: 0), count: 16)
            (stripes + i).initialize(
                to: Stripe(mutex: pthread_mutex_t(), entries: entries, capacity: 16, used: 0, live: 0))
            pthread_mutex_init(&stripes[i].mutex, nil)
        }
    }

    func key(_ clientID: Bytes) -> Key {
        Key(low: Topics.hash(clientID, seed: seed), high: Topics.hash(clientID, seed: ~seed &* 0x9E37_79B9_7F4A_7C15))
    }

    /// The session handle of a client id, or 0.
    func find(_ key: Key) -> UInt64 {
        withStripe(key) { stripe in
            let at = slot(stripe, key)
            return stripe.pointee.entries[at].handle > 1 ? stripe.pointee.entries[at].handle : 0
        }
    }

    /// Enters `handle` if the id is free. Returns the handle in force.
    func claim(_ key: Key, _ handle: UInt64) -> UInt64 {
        withStripe(key) { stripe in
            var at = slot(stripe, key)
            if stripe.pointee.entries[at].handle > 1 { return stripe.pointee.entries[at].handle }
            if stripe.pointee.used * 4 >= stripe.pointee.capacity * 3 {
                rehash(stripe)
                at = slot(stripe, key)
            }
            if stripe.pointee.entries[at].handle == 0 { stripe.pointee.used += 1 }
            stripe.pointee.entries[at] = Entry(key: key, handle: handle)
            stripe.pointee.live += 1
            return handle
        }
    }

    /// Removes the id if `handle` is its holder.
    func release(_ key: Key, _ handle: UInt64) {
        withStripe(key) { stripe in
            let at = slot(stripe, key)
            guard stripe.pointee.entries[at].handle == handle else { return }
            stripe.pointee.entries[at].handle = 1
            stripe.pointee.live -= 1
        }
    }

    var sessions: Int {
        var n = 0
        for i in 0..<Self.count {
            pthread_mutex_lock(&stripes[i].mutex)
            n += stripes[i].live
            pthread_mutex_unlock(&stripes[i].mutex)
        }
        return n
    }

    /// Returns what many more sessions needed.
    func giveMemoryBack() {
        for i in 0..<Self.count {
            pthread_mutex_lock(&stripes[i].mutex)
            if stripes[i].capacity > 64, stripes[i].live * 8 < stripes[i].capacity { rehash(stripes + i) }
            pthread_mutex_unlock(&stripes[i].mutex)
        }
    }

    // MARK: -

    private func withStripe<R>(_ key: Key, _ body: (UnsafeMutablePointer<Stripe>) -> R) -> R {
        let stripe = stripes + Int(key.high & UInt64(Self.count - 1))
        pthread_mutex_lock(&stripe.pointee.mutex)
        defer { pthread_mutex_unlock(&stripe.pointee.mutex) }
        return body(stripe)
    }

    /// Where the key is, or where it would go: the first deleted or free slot of its probe sequence.
    private func slot(_ stripe: UnsafeMutablePointer<Stripe>, _ key: Key) -> Int {
        let mask = stripe.pointee.capacity - 1
        var at = Int(truncatingIfNeeded: key.low) & mask
        var deleted = -1
        while true {
            let entry = stripe.pointee.entries[at]
            if entry.handle == 0 { return deleted >= 0 ? deleted : at }
            if entry.handle == 1 {
                if deleted < 0 { deleted = at }
            } else if entry.key == key {
                return at
            }
            at = (at + 1) & mask
        }
    }

    private func rehash(_ stripe: UnsafeMutablePointer<Stripe>) {
        let old = stripe.pointee.entries
        let count = stripe.pointee.capacity
        // Sized by the living, so that a table full of deleted marks shrinks again.
        var capacity = 16
        while capacity < stripe.pointee.live * 3 { capacity *= 2 }
        let fresh = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
        fresh.initialize(repeating: Entry(key: Key(low: 0, high: 0), handle: 0), count: capacity)
        stripe.pointee.entries = fresh
        stripe.pointee.capacity = capacity
        stripe.pointee.used = stripe.pointee.live
        for i in 0..<count where old[i].handle > 1 {
            fresh[slot(stripe, old[i].key)] = old[i]
        }
        old.deallocate()
    }
}

/// What handles look like: shard above, then the generation of the slot, then the slot.
enum Handle {
    /// Never 0: shards count from 1 here.
    static func make(shard: Int32, generation: UInt32, slot: UInt32) -> UInt64 {
        UInt64(shard + 1) << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
    }
    static func shard(_ handle: UInt64) -> Int { Int(handle >> 56) - 1 }
    static func slot(_ handle: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: handle) }
    static func generation(_ handle: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: handle >> 32) & 0xFF_FFFF }
}
