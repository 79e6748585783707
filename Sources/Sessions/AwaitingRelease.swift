// SPDX-License-Identifier: Apache-2.0

/// Packet identifiers of QoS 2 messages received and not yet released by PUBREL. [MQTT-4.3.3-10]
///
/// Few are a list with the time of each; more than 64 are two bitmaps, an old and a young one, so that all 65,535 cost
/// 16 KiB and a few instructions each. With the bitmaps `expire` is coarser: never too early, but an identifier may
/// stay until every one of its bitmap is due, up to twice the timeout when `expire` is called at least once per timeout.
public struct AwaitingRelease: ~Copyable {
    private struct Entry {
        var packetID: UInt16
        var since: UInt64
    }
    private var entries: UnsafeMutablePointer<Entry>?
    private var room = 0
    private var maps: UnsafeMutablePointer<UInt64>?
    /// Which half of `maps` new identifiers go to: 0 or 1.
    private var young = 0
    private var oldCount = 0
    /// When the last identifier came into each bitmap.
    private var lastYoung: UInt64 = 0
    private var lastOld: UInt64 = 0
    public private(set) var count = 0

    var usesBitmaps: Bool { maps != nil }

    private static let listLimit = 64
    private static let words = 1024

    public init() {}

    deinit {
        entries?.deallocate()
        maps?.deallocate()
    }

    public func contains(_ id: UInt16) -> Bool {
        if maps != nil { return has(id, young) || has(id, 1 - young) }
        return index(of: id) != nil
    }

    /// `now` in ms; it never goes back. An identifier that is already there keeps its age.
    public mutating func insert(_ id: UInt16, now: UInt64) {
        guard !contains(id) else { return }
        if maps == nil && count == Self.listLimit { useBitmaps(now) }
        if maps != nil {
            map(young)[Int(id) >> 6] |= Self.bit(id)
            lastYoung = now
        } else {
            if count == room { grow() }
            entries![count] = Entry(packetID: id, since: now)
        }
        count += 1
    }

    /// PUBREL: from now on the identifier is a new message's [MQTT-4.3.3-12]. False when it is not known.
    public mutating func remove(_ id: UInt16) -> Bool {
        if maps != nil { return removeFromBitmaps(id) }
        guard let at = index(of: id) else { return false }
        count -= 1
        entries![at] = entries![count]
        return true
    }

    /// Forgets identifiers older than `timeout` ms (0: none): a client that never sends PUBREL must not hold them for
    /// ever. Returns how many.
    public mutating func expire(now: UInt64, timeout: UInt64) -> Int {
        guard timeout > 0 else { return 0 }
        if maps != nil { return expireBitmaps(now, timeout) }
        var kept = 0
        for i in 0..<count where entries![i].since + timeout > now {
            entries![kept] = entries![i]
            kept += 1
        }
        defer { count = kept }
        return count - kept
    }

    public mutating func removeAll() {
        entries?.deallocate()
        entries = nil
        room = 0
        maps?.deallocate()
        maps = nil
        oldCount = 0
        count = 0
    }

    // MARK: - The list

    private func index(of id: UInt16) -> Int? {
        for i in 0..<count where entries![i].packetID == id { return i }
        return nil
    }

    private mutating func grow() {
        let wider = UnsafeMutablePointer<Entry>.allocate(capacity: max(8, room * 2))
        if let entries {
            wider.update(from: entries, count: count)
            entries.deallocate()
        }
        entries = wider
        room = max(8, room * 2)
    }

    // MARK: - The bitmaps

    private static func bit(_ id: UInt16) -> UInt64 { 1 << UInt64(id & 63) }

    private func map(_ which: Int) -> UnsafeMutablePointer<UInt64> { maps! + which * Self.words }

    private func has(_ id: UInt16, _ which: Int) -> Bool { map(which)[Int(id) >> 6] & Self.bit(id) != 0 }

    /// The list becomes the old bitmap.
    private mutating func useBitmaps(_ now: UInt64) {
        maps = .allocate(capacity: 2 * Self.words)
        maps!.initialize(repeating: 0, count: 2 * Self.words)
        lastOld = 0
        for i in 0..<count {
            map(1 - young)[Int(entries![i].packetID) >> 6] |= Self.bit(entries![i].packetID)
            lastOld = max(lastOld, entries![i].since)
        }
        lastYoung = now
        oldCount = count
        entries!.deallocate()
        entries = nil
        room = 0
    }

    private mutating func removeFromBitmaps(_ id: UInt16) -> Bool {
        let isOld = has(id, 1 - young)
        guard isOld || has(id, young) else { return false }
        map(isOld ? 1 - young : young)[Int(id) >> 6] &= ~Self.bit(id)
        if isOld { oldCount -= 1 }
        count -= 1
        if count == 0 { removeAll() }
        return true
    }

    private mutating func expireBitmaps(_ now: UInt64, _ timeout: UInt64) -> Int {
        var gone = 0
        // Twice: the young one may be due as well.
        for _ in 0..<2 where lastOld + timeout <= now {
            gone += oldCount
            count -= oldCount
            map(1 - young).update(repeating: 0, count: Self.words)
            young = 1 - young
            lastOld = lastYoung
            oldCount = count
        }
        if count == 0 { removeAll() }
        return gone
    }
}
