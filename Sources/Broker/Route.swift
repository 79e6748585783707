// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Sessions
import Topics

/// Where a message goes on this shard: one entry a session, however many of its filters match.
struct RouteTarget {
    var session: SessionRef
    /// Of all matching subscriptions, and of those without No Local.
    var ids = Identifiers()
    var ownIDs = Identifiers()
    /// The greatest QoS of the matching subscriptions. [MQTT-3.3.4-2]
    var qos: UInt8
    /// The same without those with No Local, for the session's own messages; `none`: not delivered. [MQTT-3.8.3-3]
    var ownQoS: UInt8
    var retainAsPublished: Bool
    /// The same without those with No Local.
    var ownRetainAsPublished: Bool

    static let none: UInt8 = 0xFF

    struct Identifiers {
        /// The only subscription identifier, or 0.
        var single: UInt32 = 0
        /// Where several identifiers stand in the route's list (count first), or 0.
        var more: UInt32 = 0
    }
}

/// The answer to "who gets this topic", as one shard sees it: its own sessions, the other shards that have
/// subscribers, and the share groups. One allocation; immutable once made.
struct Route {
    var hash: UInt64
    /// Sum of the epochs it depends on when it was made; a different sum makes it worthless.
    var epoch: UInt64
    var topic: Bytes
    var targets: UnsafeMutablePointer<RouteTarget>
    var targetCount: Int
    var remote: UInt64
    var groups: UnsafeMutablePointer<UInt32>
    var groupCount: Int
    var ids: UnsafeMutablePointer<UInt32>
    var bytes: Int

    var isEmpty: Bool { targetCount == 0 && remote == 0 && groupCount == 0 }
}

typealias RouteRef = UnsafeMutablePointer<Route>

/// Routes by topic. Two-way set associative: bounded, no clearing, and a flood of topics that never come again pushes
/// out at most the older of two neighbours.
struct RouteCache: ~Copyable {
    /// The hash beside the pointer: a miss is known without a look at the routes, which lie anywhere in memory.
    private struct Slot {
        var hash: UInt64
        var route: RouteRef?
    }

    private var slots: UnsafeMutablePointer<Slot>
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

    init() {
        slots = Self.make(1024)
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

    private static func isHit(_ r: RouteRef, _ topic: Bytes, _ epoch: UInt64) -> Bool {
        r.pointee.epoch == epoch && r.pointee.topic.count == topic.count
            && memcmp(r.pointee.topic.baseAddress!, topic.baseAddress!, topic.count) == 0
    }

    mutating func insert(_ route: RouteRef) {
        if bytes + route.pointee.bytes > Self.maxBytes { clear() }
        if evictions > capacity && capacity < Self.maxCapacity { resize(to: capacity * 4) }
        let hash = route.pointee.hash
        let pair = slots + Int(truncatingIfNeeded: hash) & (capacity - 2)
        bytes += route.pointee.bytes
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
        bytes -= route.pointee.bytes
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

/// Collects the matches of one topic before they become a route.
struct RouteBuilder: ~Copyable {
    private var targets: [RouteTarget] = []
    private var groups: [UInt32] = []
    private var ids: [UInt32] = [0]
    /// Identifiers of targets that have more than one, in order of arrival.
    private var chains: [(target: Int, identifier: UInt32, noLocal: Bool)] = []
    private var remote: UInt64 = 0
    private var serial: UInt32 = 0

    mutating func begin() {
        targets.removeAll(keepingCapacity: true)
        groups.removeAll(keepingCapacity: true)
        chains.removeAll(keepingCapacity: true)
        ids.removeAll(keepingCapacity: true)
        ids.append(0)
        remote = 0
        serial &+= 1
        if serial == 0 { serial = 1 }
    }

    mutating func add(remote shards: UInt64) { remote |= shards }
    mutating func add(group: UInt32) { groups.append(group) }

    /// Overlapping subscriptions of one client become one delivery: the greatest QoS [MQTT-3.3.4-2], all identifiers.
    /// [MQTT-3.3.4-3] [MQTT-3.3.4-4]
    mutating func add(_ s: Subscriber) {
        let qos = s.options.qos
        if s.session.pointee.mark == serial {
            let at = Int(s.session.pointee.markIndex)
            targets[at].qos = max(targets[at].qos, qos)
            if !s.options.noLocal {
                targets[at].ownQoS = targets[at].ownQoS == RouteTarget.none ? qos : max(targets[at].ownQoS, qos)
                if s.options.retainAsPublished { targets[at].ownRetainAsPublished = true }
            }
            if s.options.retainAsPublished { targets[at].retainAsPublished = true }
            if s.identifier != 0 { chains.append((at, s.identifier, s.options.noLocal)) }
            return
        }
        s.session.pointee.mark = serial
        s.session.pointee.markIndex = UInt32(targets.count)
        if s.identifier != 0 { chains.append((targets.count, s.identifier, s.options.noLocal)) }
        targets.append(
            RouteTarget(
                session: s.session, qos: qos,
                ownQoS: s.options.noLocal ? RouteTarget.none : qos, retainAsPublished: s.options.retainAsPublished,
                ownRetainAsPublished: s.options.retainAsPublished && !s.options.noLocal))
    }

    /// The finished route in one allocation.
    mutating func build(topic: Bytes, hash: UInt64, epoch: UInt64) -> RouteRef {
        placeIdentifiers()
        let header = MemoryLayout<Route>.stride
        let targetBytes = targets.count * MemoryLayout<RouteTarget>.stride
        let total = header + targetBytes + (groups.count + ids.count) * 4 + topic.count
        let raw = malloc(total)!
        let targetsAt = (raw + header).bindMemory(to: RouteTarget.self, capacity: targets.count)
        targets.withUnsafeBufferPointer {
            if let p = $0.baseAddress { targetsAt.update(from: p, count: targets.count) }
        }
        let groupsAt = (raw + header + targetBytes).bindMemory(to: UInt32.self, capacity: groups.count)
        groups.withUnsafeBufferPointer { if let p = $0.baseAddress { groupsAt.update(from: p, count: groups.count) } }
        let idsAt = groupsAt + groups.count
        ids.withUnsafeBufferPointer { idsAt.update(from: $0.baseAddress!, count: ids.count) }
        let topicAt = UnsafeMutableRawPointer(idsAt + ids.count)
        topicAt.copyMemory(from: topic.baseAddress!, byteCount: topic.count)
        let route = raw.bindMemory(to: Route.self, capacity: 1)
        route.initialize(
            to: Route(
                hash: hash, epoch: epoch, topic: Bytes(start: topicAt, count: topic.count), targets: targetsAt,
                targetCount: targets.count, remote: remote, groups: groupsAt, groupCount: groups.count, ids: idsAt,
                bytes: total))
        return route
    }

    private mutating func placeIdentifiers() {
        guard !chains.isEmpty else { return }
        chains.sort { $0.target < $1.target }
        var i = 0
        while i < chains.count {
            var j = i
            while j < chains.count && chains[j].target == chains[i].target { j += 1 }
            let target = chains[i].target
            targets[target].ids = place(chains[i..<j].map(\.identifier))
            targets[target].ownIDs =
                chains[i..<j].contains { $0.noLocal }
                ? place(chains[i..<j].filter { !$0.noLocal }.map(\.identifier)) : targets[target].ids
            i = j
        }
    }

    private mutating func place(_ list: [UInt32]) -> RouteTarget.Identifiers {
        guard list.count > 1 else { return RouteTarget.Identifiers(single: list.first ?? 0) }
        let at = UInt32(ids.count)
        ids.append(UInt32(list.count))
        ids += list
        return RouteTarget.Identifiers(more: at)
    }
}
