// SPDX-License-Identifier: Apache-2.0
import CReactor
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
    let groupCount32: UInt32
    /// The node of the only filter that the topic matches, in a route that nobody keeps; else 0.
    var node: UInt32 = 0
    let topicCount: UInt32
    /// Of the whole allocation.
    let bytes: UInt32

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
