// SPDX-License-Identifier: Apache-2.0
import CReactor

/// Answers of the ACL modules for the clients of one loop. Two places for each key, on one cache line: bounded, no
/// clearing, and a new answer takes the place of an older one. The table grows when answers are asked for again that it
/// had no room to keep, and only then: topics that never come again would make it too large for the processor's cache.
struct ACLCache: ~Copyable {
    /// The key is the connection's handle, the action and a hash of the topic that is seeded per process, with a check
    /// on its length and last byte.
    struct Key {
        var connection: UInt64
        var hash: UInt64
        var check: UInt32
        var action: UInt8
        /// `ACLEpochs` of the connection; an answer of another one is worthless.
        var epoch: UInt32
    }

    /// Half a cache line.
    struct Entry {
        var connection: UInt64 = 0
        var hash: UInt64 = 0
        var check: UInt32 = 0
        var epoch: UInt32 = 0
        /// Loop time in units of 256 ms; one so far away that it does not fit stays good for ever.
        var until: UInt32 = 0
        var action: UInt8 = 0
        var isAllowed = false

        func isFor(_ key: Key) -> Bool {
            connection == key.connection && hash == key.hash && check == key.check && action == key.action
        }
    }

    /// In place of a topic's hash: the answer for all of them.
    static let anyTopic: UInt64 = 0

    private var entries: UnsafeMutablePointer<Entry>
    private(set) var capacity: Int
    /// Answers that came back and pushed out others that are still good; many of them make the table grow.
    private var returns = 0
    private let limit: Int
    /// What was inserted lately, by its key; a later key takes the place.
    private let seen: UnsafeMutablePointer<UInt16>

    private static let firstCapacity = 4096
    private static let seenBits = 15
    private static let unitBits: UInt64 = 8

    /// - Parameter limit: the most answers to hold; a power of two is made of it, at least 2.
    init(limit wanted: Int) {
        var limit = 2
        while limit < wanted { limit *= 2 }
        self.limit = limit
        capacity = min(limit, Self.firstCapacity)
        entries = Self.make(capacity)
        seen = .allocate(capacity: 1 << Self.seenBits)
        seen.initialize(repeating: 0, count: 1 << Self.seenBits)
    }

    deinit {
        entries.deallocate()
        seen.deallocate()
    }

    /// Asks for the place where the answer would be.
    @inline(__always)
    func prefetch(connection: UInt64, hash: UInt64) { cr_prefetch(pair(connection, hash)) }

    @inline(__always)
    func find(_ key: Key, now: UInt64) -> Bool? {
        let pair = pair(key.connection, key.hash)
        for i in 0..<2 where pair[i].isFor(key) {
            let isGood = pair[i].epoch == key.epoch && pair[i].until > Self.units(now)
            return isGood ? pair[i].isAllowed : nil
        }
        return nil
    }

    /// - Parameters:
    ///   - now: loop time, ms.
    ///   - ttl: how long the answer is good, ms; any value.
    mutating func insert(_ key: Key, isAllowed: Bool, now: UInt64, ttl: UInt64) {
        if returns > capacity / 4 && capacity < limit { grow() }
        let (until, isForEver) = now.addingReportingOverflow(ttl)
        let entry = Entry(
            connection: key.connection, hash: key.hash, check: key.check, epoch: key.epoch,
            until: isForEver ? .max : Self.units(until), action: key.action, isAllowed: isAllowed)
        let pair = pair(key.connection, key.hash)
        let time = Self.units(now)
        if pair[1].isFor(key) {
            pair[1] = entry
        } else {
            if !pair[0].isFor(key) {
                let isBack = wasSeen(key)
                if pair[0].until > time {
                    if isBack && pair[1].until > time { returns += 1 }
                    pair[1] = pair[0]
                }
            }
            pair[0] = entry
        }
    }

    /// Whether an answer with this key, or one that looks like it, has been here lately.
    private func wasSeen(_ key: Key) -> Bool {
        let mixed = (key.hash ^ key.connection &+ UInt64(key.action)) &* 0x9E37_79B9_7F4A_7C15
        let place = seen + Int(truncatingIfNeeded: mixed >> (64 - UInt64(Self.seenBits)))
        let tag = UInt16(truncatingIfNeeded: mixed >> 32) | 1
        defer { place.pointee = tag }
        return place.pointee == tag
    }

    @inline(__always)
    private static func units(_ ms: UInt64) -> UInt32 { UInt32(clamping: ms >> unitBits) }

    @inline(__always)
    private func pair(_ connection: UInt64, _ hash: UInt64) -> UnsafeMutablePointer<Entry> {
        entries + Int(truncatingIfNeeded: (hash ^ connection &* 0x9E37_79B9_7F4A_7C15) >> 20) & (capacity - 2)
    }

    private mutating func grow() {
        let (old, count) = (entries, capacity)
        capacity = min(limit, capacity * 4)
        returns = 0
        entries = Self.make(capacity)
        for i in 0..<count where old[i].until != 0 {
            let pair = pair(old[i].connection, old[i].hash)
            if pair[0].until != 0 { pair[1] = pair[0] }
            pair[0] = old[i]
        }
        old.deallocate()
    }

    private static func make(_ count: Int) -> UnsafeMutablePointer<Entry> {
        let raw = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<Entry>.stride, alignment: 64)
        let entries = raw.bindMemory(to: Entry.self, capacity: count)
        entries.initialize(repeating: Entry(), count: count)
        return entries
    }
}
