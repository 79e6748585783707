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
    /// Where the session's connection and its transport were last time: asked for ahead, never looked at.
    var lastConnection: UnsafeRawPointer?
    var lastTransport: UnsafeRawPointer?

    /// Asks for what a delivery looks at, all of it at once: the pointers from one to the next would cost a wait each.
    @inline(__always)
    func askAhead() {
        cr_prefetch(session)
        cr_prefetch(UnsafeRawPointer(session) + 63)
        guard let lastConnection, let lastTransport else { return }
        cr_prefetch(lastConnection)
        cr_prefetch(lastConnection + 64)
        cr_prefetch(lastTransport)
        cr_prefetch(lastTransport + 64)
    }

    @inline(__always)
    mutating func note(_ connection: ConnectionRef?) {
        guard lastConnection != UnsafeRawPointer(connection), let connection else { return }
        lastConnection = UnsafeRawPointer(connection)
        lastTransport = UnsafeRawPointer(connection.pointee.transport)
    }

    static let none: UInt8 = 0xFF

    struct Identifiers {
        /// The only subscription identifier, or 0.
        var single: UInt32 = 0
        /// Where several identifiers stand in the route's list (count first), or 0.
        var more: UInt32 = 0
    }
}

/// The answer to "who gets this topic", as one shard sees it: its own sessions, the other shards that have
/// subscribers, and the share groups. One allocation; the answer does not change once made.
struct Route {
    var hash: UInt64
    /// Sum of the epochs it depends on when it was made; a different sum makes it worthless. Where nobody keeps it, the
    /// table's epoch of all filters.
    var epoch: UInt64
    var remote: UInt64
    var targets: UnsafeMutablePointer<RouteTarget>
    var targetCount: Int
    fileprivate var groupCount32: UInt32
    /// The node of the only filter that the topic matches, in a route that nobody keeps; else 0.
    var node: UInt32 = 0
    fileprivate var topicCount: UInt32
    /// Of the whole allocation.
    fileprivate(set) var bytes: UInt32

    var groupCount: Int { Int(groupCount32) }
    var isEmpty: Bool { targetCount == 0 && remote == 0 && groupCount == 0 }
}

/// What lies behind the header: first the topic, which is compared with each time.
extension RouteRef {
    var topic: Bytes {
        Bytes(start: UnsafeRawPointer(self) + MemoryLayout<Route>.stride, count: Int(pointee.topicCount))
    }
    var groups: UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(pointee.targets + pointee.targetCount).assumingMemoryBound(to: UInt32.self)
    }
    var ids: UnsafeMutablePointer<UInt32> { groups + pointee.groupCount }
}

typealias RouteRef = UnsafeMutablePointer<Route>

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

/// Collects the matches of one topic before they become a route.
struct RouteBuilder: ~Copyable {
    private struct Link: BitwiseCopyable {
        var target: Int
        var identifier: UInt32
        var noLocal: Bool
    }

    private var targets = PlainList<RouteTarget>()
    private var groups = PlainList<UInt32>()
    private var ids = PlainList<UInt32>()
    /// Identifiers of targets, in order of arrival.
    private var chains = PlainList<Link>()
    private var remote: UInt64 = 0
    private var serial: UInt32 = 0
    /// Where the route lies that nobody keeps.
    private var scratch: UnsafeMutableRawPointer?
    private var scratchRoom = 0

    mutating func begin() {
        targets.removeAll()
        groups.removeAll()
        chains.removeAll()
        ids.removeAll()
        ids.append(0)
        remote = 0
        serial &+= 1
        if serial == 0 { serial = 1 }
    }

    /// Gives back what a topic of very many subscribers needed.
    mutating func trim() {
        begin()
        targets.shrink()
        groups.shrink()
        chains.shrink()
        ids.shrink()
        guard scratchRoom > 4096 else { return }
        free(scratch)
        (scratch, scratchRoom) = (nil, 0)
    }

    mutating func add(remote shards: UInt64) { remote |= shards }
    mutating func add(group: UInt32) { groups.append(group) }

    /// Overlapping subscriptions of one client become one delivery: the greatest QoS [MQTT-3.3.4-2], all identifiers.
    /// [MQTT-3.3.4-3] [MQTT-3.3.4-4]
    mutating func add(_ s: Subscriber) {
        let qos = s.options.qos
        if s.session.pointee.mark == serial {
            merge(s, into: Int(s.session.pointee.markIndex))
            return
        }
        s.session.pointee.mark = serial
        s.session.pointee.markIndex = UInt32(targets.count)
        chain(s, to: targets.count)
        targets.append(
            RouteTarget(
                session: s.session, qos: qos,
                ownQoS: s.options.noLocal ? RouteTarget.none : qos, retainAsPublished: s.options.retainAsPublished,
                ownRetainAsPublished: s.options.retainAsPublished && !s.options.noLocal))
    }

    private mutating func merge(_ s: Subscriber, into at: Int) {
        let (target, qos) = (targets.at(at), s.options.qos)
        target.pointee.qos = max(target.pointee.qos, qos)
        if !s.options.noLocal {
            let own = target.pointee.ownQoS
            target.pointee.ownQoS = own == RouteTarget.none ? qos : max(own, qos)
            if s.options.retainAsPublished { target.pointee.ownRetainAsPublished = true }
        }
        if s.options.retainAsPublished { target.pointee.retainAsPublished = true }
        chain(s, to: at)
    }

    @inline(__always)
    private mutating func chain(_ s: Subscriber, to target: Int) {
        guard s.identifier != 0 else { return }
        chains.append(Link(target: target, identifier: s.identifier, noLocal: s.options.noLocal))
    }

    /// The finished route in one allocation, the caller's; or, without `isKept`, the builder's and valid until it builds
    /// the next one.
    mutating func build(topic: Bytes, hash: UInt64, epoch: UInt64, isKept: Bool = true) -> RouteRef {
        placeIdentifiers()
        let header = (MemoryLayout<Route>.stride + topic.count + 7) & ~7
        let targetBytes = targets.count * MemoryLayout<RouteTarget>.stride
        let total = header + targetBytes + (groups.count + ids.count) * 4
        let raw = isKept ? malloc(total)! : scratch(total)
        let targetsAt = (raw + header).bindMemory(to: RouteTarget.self, capacity: targets.count)
        if let p = targets.start { targetsAt.update(from: p, count: targets.count) }
        let route = raw.bindMemory(to: Route.self, capacity: 1)
        route.initialize(
            to: Route(
                hash: hash, epoch: epoch, remote: remote, targets: targetsAt, targetCount: targets.count,
                groupCount32: UInt32(groups.count), topicCount: UInt32(topic.count), bytes: UInt32(clamping: total)))
        let groupsAt = UnsafeMutableRawPointer(route.groups).bindMemory(
            to: UInt32.self, capacity: groups.count + ids.count)
        if let p = groups.start { groupsAt.update(from: p, count: groups.count) }
        if let p = ids.start { route.ids.update(from: p, count: ids.count) }
        (raw + MemoryLayout<Route>.stride).copyMemory(from: topic.baseAddress!, byteCount: topic.count)
        return route
    }

    private mutating func scratch(_ size: Int) -> UnsafeMutableRawPointer {
        if size > scratchRoom {
            free(scratch)
            scratchRoom = size * 2
            scratch = malloc(scratchRoom)!
        }
        return scratch!
    }

    private mutating func placeIdentifiers() {
        guard chains.count > 0 else { return }
        var sorted = chains.all
        sorted.sort { $0.target < $1.target }
        var i = 0
        while i < chains.count {
            var j = i
            while j < chains.count && chains[j].target == chains[i].target { j += 1 }
            let target = targets.at(chains[i].target)
            target.pointee.ids = place(i..<j, ownToo: true)
            let isSame = !chains.all[i..<j].contains { $0.noLocal }
            target.pointee.ownIDs = isSame ? target.pointee.ids : place(i..<j, ownToo: false)
            i = j
        }
    }

    /// - Parameter ownToo: those of subscriptions with No Local as well.
    private mutating func place(_ links: Range<Int>, ownToo: Bool) -> RouteTarget.Identifiers {
        let at = ids.count
        ids.append(0)
        for i in links where ownToo || !chains[i].noLocal { ids.append(chains[i].identifier) }
        let count = ids.count - at - 1
        guard count <= 1 else {
            ids[at] = UInt32(count)
            return RouteTarget.Identifiers(more: UInt32(at))
        }
        let single = count == 1 ? ids[at + 1] : 0
        ids.removeLast(count + 1)
        return RouteTarget.Identifiers(single: single)
    }
}
