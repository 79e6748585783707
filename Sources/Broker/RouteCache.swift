// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Sessions
import Topics

/// Routes by topic. Two-way set associative: bounded, no clearing. A topic is kept from its second time on: one that
/// never comes again costs neither memory nor the place of another.
struct RouteCache: ~Copyable {
    /// The hash beside the pointer: a miss is known without a look at the routes, which lie anywhere in memory.
    private struct Slot {
        var hash: UInt64
        var route: RouteRef?
    }

    private var slots: UnsafeMutablePointer<Slot>
    /// What was asked for and is not kept, by its hash: how a second time is known. A later topic takes the place.
    private let once: UnsafeMutablePointer<UInt16>
    private var capacity = 1024
    private var evictions = 0
    private var bytes = 0
    /// Routes kept.
    private(set) var count = 0

    private static let maxCapacity = 65536
    /// Marks the hash of a slot whose route has not been used for a while.
    private static let aside: UInt64 = 1 << 63
    private static let agedAtOnce = 8192
    private static let maxBytes = 64 << 20
    private static let onceBits = 15

    init() {
        slots = Self.make(1024)
        once = .allocate(capacity: 1 << Self.onceBits)
        once.initialize(repeating: 0, count: 1 << Self.onceBits)
    }

    /// Whether a route that was not found should be inserted: its topic has been asked for before.
    mutating func isWorthKeeping(_ hash: UInt64) -> Bool {
        let pair = slots + Int(truncatingIfNeeded: hash) & (capacity - 2)
        // An earlier route to the same topic has lost its epoch.
        if pair[0].hash == hash || pair[1].hash == hash { return true }
        // The low bits choose the slot above, so these are other ones.
        let place = oncePlace(hash)
        let tag = UInt16(truncatingIfNeeded: hash >> 40) | 1
        defer { place.pointee = tag }
        return place.pointee == tag
    }

    @inline(__always)
    private func oncePlace(_ hash: UInt64) -> UnsafeMutablePointer<UInt16> {
        once + Int(truncatingIfNeeded: hash >> 20) & (1 << Self.onceBits - 1)
    }

    func find(_ topic: Bytes, _ hash: UInt64, epoch: UInt64) -> RouteRef? {
        let pair = slots + Int(truncatingIfNeeded: hash) & (capacity - 2)
        if pair[0].hash == hash, let r = pair[0].route, Self.isHit(r, topic, epoch) { return r }
        if pair[1].hash == hash, let r = pair[1].route, Self.isHit(r, topic, epoch) { return r }
        return nil
    }

    /// Asks for the place where a route to `hash` would be.
    @inline(__always)
    func prefetch(_ hash: UInt64) {
        cr_prefetch(slots + Int(truncatingIfNeeded: hash) & (capacity - 2))
    }

    /// The same for a topic that is likely to be new.
    @inline(__always)
    func prefetchAll(_ hash: UInt64) {
        prefetch(hash)
        cr_prefetch(oncePlace(hash))
    }

    /// Asks for the route to `hash`, if there is one.
    @inline(__always)
    func prefetchRoute(_ hash: UInt64) {
        let pair = slots + Int(truncatingIfNeeded: hash) & (capacity - 2)
        guard let r = pair[0].hash == hash ? pair[0].route : pair[1].route else { return }
        Self.askAhead(r)
    }

    /// A route with one target and a short topic lies on three cache lines at most.
    @inline(__always)
    private static func askAhead(_ r: RouteRef) {
        cr_prefetch(r)
        cr_prefetch(UnsafeRawPointer(r) + 64)
        cr_prefetch(UnsafeRawPointer(r) + 112)
    }

    private static func isHit(_ r: RouteRef, _ topic: Bytes, _ epoch: UInt64) -> Bool {
        askAhead(r)
        return r.pointee.epoch == epoch && r.topic.count == topic.count
            && memcmp(r.topic.baseAddress!, topic.baseAddress!, topic.count) == 0
    }

    mutating func insert(_ route: RouteRef) {
        if bytes + Int(route.pointee.bytes) > Self.maxBytes { clear() }
        if evictions > capacity / 4 && capacity < Self.maxCapacity { resize(to: capacity * 4) }
        let hash = route.pointee.hash
        let pair = slots + Int(truncatingIfNeeded: hash) & (capacity - 2)
        bytes += Int(route.pointee.bytes)
        count += 1
        if pair[0].route == nil || pair[0].hash == hash {
            discard(pair[0].route)
        } else {
            // The newcomer takes the first place, the first the second, the second goes.
            if pair[1].route != nil { evictions += 1 }
            discard(pair[1].route)
            pair[1] = pair[0]
        }
        pair[0] = Slot(hash: hash, route: route)
    }

    /// A route that was put aside by `age` and is asked for again.
    mutating func revive(_ topic: Bytes, _ hash: UInt64, epoch: UInt64) -> RouteRef? {
        let pair = slots + Int(truncatingIfNeeded: hash) & (capacity - 2)
        for i in 0...1 where pair[i].hash == hash ^ Self.aside {
            guard let r = pair[i].route, Self.isHit(r, topic, epoch) else { continue }
            pair[i].hash = hash
            return r
        }
        return nil
    }

    /// Gives up the routes among some slots that were put aside last time and not asked for since, and puts the others
    /// aside: a lookup does not find them any more, so it is not the lookup that must take note of each use.
    /// - Returns: the first slot not looked at; nil after the last.
    mutating func age(from first: Int) -> Int? {
        guard first < capacity else { return nil }
        let end = min(first + Self.agedAtOnce, capacity)
        for i in first..<end {
            guard let route = slots[i].route else { continue }
            if slots[i].hash == route.pointee.hash {
                slots[i].hash ^= Self.aside
            } else {
                discard(route)
                slots[i] = Slot(hash: 0, route: nil)
            }
        }
        if end < capacity { return end }
        if capacity > 1024, count * 16 < capacity { resize(to: capacity / 4) }
        return nil
    }

    mutating func clear() {
        for i in 0..<capacity {
            discard(slots[i].route)
            slots[i] = Slot(hash: 0, route: nil)
        }
    }

    private mutating func discard(_ route: RouteRef?) {
        guard let route else { return }
        bytes -= Int(route.pointee.bytes)
        count -= 1
        free(route)
    }

    private static func make(_ count: Int) -> UnsafeMutablePointer<Slot> {
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
        slots.initialize(repeating: Slot(hash: 0, route: nil), count: count)
        return slots
    }

    private mutating func resize(to wanted: Int) {
        let old = slots
        let oldCapacity = capacity
        capacity = wanted
        evictions = 0
        bytes = 0
        count = 0
        slots = Self.make(capacity)
        for i in 0..<oldCapacity {
            if let r = old[i].route { insert(r) }
        }
        old.deallocate()
    }
}
