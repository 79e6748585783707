// SPDX-License-Identifier: Apache-2.0
import Glibc
import Sessions
import Topics

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
