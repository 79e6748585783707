// SPDX-License-Identifier: Apache-2.0
import Sessions
import Topics

/// One client as `clients list` shows it.
public struct ClientRow: Sendable {
    public var clientID = ""
    public var username = ""
    public var peer = ""
    public var listener = ""
    public var zone = ""
    public var cleanStart = false
    public var version = 4
    public var keepAlive = 0
    /// Unix milliseconds.
    public var connectedAt: Int64 = 0
    /// Bytes we have for it that it has not taken.
    public var pending = 0
    public var isSlow = false
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
}

/// One session, online or not, as `sessions list` shows it.
public struct SessionRow: Sendable {
    public var clientID = ""
    public var cleanStart = false
    /// Seconds; UInt32.max: never.
    public var expiryInterval: UInt32 = 0
    public var subscriptions = 0
    public var maxInflight = 0
    public var inflight = 0
    public var queueLength = 0
    public var queueBytes = 0
    public var dropped: UInt64 = 0
    public var awaitingRel = 0
    public var delivered: UInt64 = 0
    public var enqueued: UInt64 = 0
    public var createdAt: Int64 = 0
}

/// One subscription of one session.
public struct SubscriptionRow: Sendable {
    public var clientID = ""
    /// As the client wrote it, share prefix included.
    public var topic = ""
    public var qos = 0
}

/// Lists for the control plane, until `body` says false.
///
/// Each shard answers a part at a time, with ticks between the parts, so that no message waits for a long list. Clients
/// that come, go or move meanwhile may be missing, or be there twice. The caller waits, so it must not be a data loop.
extension Broker {
    /// Rows made in one go.
    static let rowsAtOnce = 512
    /// Slots looked at in one go where that is all.
    static let countsAtOnce = 4096

    /// What the shards answer about `slots` of their sessions and connections at a time.
    func parts<Answer: Sendable>(
        of slots: Int, _ ask: @escaping @Sendable (Shard, Range<Int>) -> Answer
    ) -> Parts<Answer> { Parts(shards: shards, slots: slots, ask: ask) }

    /// Connected clients.
    public func forEachClient(_ body: (ClientRow) -> Bool) {
        let parts = parts(of: Self.rowsAtOnce) { shard, slots in
            var rows: [ClientRow] = []
            shard.forEachSession(in: slots) { s in
                if let c = s.pointee.connection { rows.append(shard.row(c, s)) }
            }
            return rows
        }
        _ = parts.allSatisfy { $0.allSatisfy(body) }
    }

    public func forEachSession(_ body: (SessionRow) -> Bool) {
        let parts = parts(of: Self.rowsAtOnce) { shard, slots in
            var rows: [SessionRow] = []
            shard.forEachSession(in: slots) { s in rows.append(shard.row(s)) }
            return rows
        }
        _ = parts.allSatisfy { $0.allSatisfy(body) }
    }

    /// Subscriptions of all sessions, or of the one with the id.
    public func forEachSubscription(of id: String? = nil, _ body: (SubscriptionRow) -> Bool) {
        if let id {
            let one = onSession(id) { shard, s in SubscriptionPart(shard.handle(s), 0..<Int(s.pointee.subCount)) }
            if let one { _ = rows(of: [one], body) }
            return
        }
        let parts = parts(of: Self.countsAtOnce) { shard, slots in
            var parts: [SubscriptionPart] = []
            shard.forEachSession(in: slots) { s in
                if s.pointee.subCount > 0 {
                    parts.append(SubscriptionPart(shard.handle(s), 0..<Int(s.pointee.subCount)))
                }
            }
            return parts
        }
        _ = parts.allSatisfy { rows(of: $0, body) }
    }

    /// The rows of sessions of one shard, some of many sessions or a part of one at a time.
    private func rows(of parts: [SubscriptionPart], _ body: (SubscriptionRow) -> Bool) -> Bool {
        var (i, done) = (0, 0)
        while i < parts.count {
            var batch: [SubscriptionPart] = []
            var room = Self.rowsAtOnce
            while room > 0, i < parts.count {
                let rest = parts[i].range.dropFirst(done).prefix(room)
                batch.append(SubscriptionPart(parts[i].session, rest))
                room -= rest.count
                done = rest.upperBound
                if done == parts[i].range.upperBound { (i, done) = (i + 1, 0) }
            }
            guard ask(batch).allSatisfy(body) else { return false }
        }
        return true
    }

    private func ask(_ batch: [SubscriptionPart]) -> [SubscriptionRow] {
        let shard = shards[Handle.shard(batch[0].session)]
        nonisolated(unsafe) var rows: [SubscriptionRow] = []
        shard.sync {
            for part in batch {
                if let s = shard.session(part.session) { rows += shard.subscriptionRows(s, part.range) }
            }
        }
        return rows
    }

    /// Filters that somebody subscribes to, in no order.
    public func forEachTopic(_ body: (String) -> Bool) {
        table.forEachFilter { body(String(decoding: $0, as: UTF8.self)) }
    }
}

/// Asks one shard after the other, each about so many slots at a time, whenever the next answer is wanted.
struct Parts<Answer: Sendable>: Sequence, IteratorProtocol {
    private var shards: ArraySlice<Shard>
    private let slots: Int
    private let ask: @Sendable (Shard, Range<Int>) -> Answer
    private var first = 0

    fileprivate init(shards: [Shard], slots: Int, ask: @escaping @Sendable (Shard, Range<Int>) -> Answer) {
        (self.shards, self.slots, self.ask) = (shards[...], slots, ask)
    }

    mutating func next() -> Answer? {
        guard let shard = shards.first else { return nil }
        let (ask, part) = (ask, first..<first + slots)
        nonisolated(unsafe) var answer: (Answer, isLast: Bool)?
        shard.sync { answer = (ask(shard, part), part.upperBound >= shard.slotCount) }
        guard let answer else { return nil }
        first = part.upperBound
        if answer.isLast {
            shards.removeFirst()
            first = 0
        }
        return answer.0
    }
}

/// Some of the subscriptions of a session, by their places in its list.
private struct SubscriptionPart: Sendable {
    var session: UInt64
    var range: Range<Int>

    init(_ session: UInt64, _ range: Range<Int>) {
        self.session = session
        self.range = range
    }
}

extension Shard {
    /// Above the slots of all sessions and connections.
    fileprivate var slotCount: Int { max(sessions.capacity, connections.capacity) }

    func row(_ c: ConnectionRef, _ s: SessionRef) -> ClientRow {
        ClientRow(
            clientID: String(decoding: s.pointee.clientID, as: UTF8.self),
            username: String(decoding: s.pointee.username, as: UTF8.self),
            peer: withPeerText(c.pointee.peer) { String(decoding: $0, as: UTF8.self) },
            listener: broker.listenerName(c.pointee.listener), zone: c.pointee.zone.pointee.name,
            cleanStart: c.pointee.flags.contains(.cleanStart), version: Int(c.pointee.version.rawValue),
            keepAlive: Int(c.pointee.keepAlive), connectedAt: c.pointee.connectedAt,
            pending: c.pointee.transport.pointee.pending,
            isSlow: c.pointee.transport.pointee.pending > c.pointee.zone.pointee.outputHighWater,
            bytesIn: c.pointee.transport.pointee.bytesIn, bytesOut: c.pointee.transport.pointee.bytesOut)
    }

    func row(_ s: SessionRef) -> SessionRow {
        var row = SessionRow()
        row.clientID = String(decoding: s.pointee.clientID, as: UTF8.self)
        row.cleanStart = s.pointee.expiryInterval == 0
        row.expiryInterval = s.pointee.expiryInterval
        row.subscriptions = Int(s.pointee.subCount)
        row.maxInflight = s.pointee.zone.pointee.maxInflight
        if let outbound = s.pointee.outbound {
            row.maxInflight = outbound.pointee.window
            row.inflight = outbound.pointee.inflight.count
            row.queueLength = outbound.pointee.queue.count
            row.queueBytes = outbound.pointee.queue.bytes
        }
        row.awaitingRel = s.pointee.awaiting?.pointee.count ?? 0
        row.dropped = s.pointee.dropped
        row.delivered = s.pointee.delivered
        row.enqueued = s.pointee.enqueued
        row.createdAt = s.pointee.createdAt
        return row
    }

    fileprivate func subscriptionRows(_ s: SessionRef, _ part: Range<Int>) -> [SubscriptionRow] {
        part.clamped(to: 0..<Int(s.pointee.subCount)).map { i in
            let sub = s.pointee.subs![i]
            var topic = withFilter(of: sub.node) { String(decoding: $0, as: UTF8.self) }
            let name = sub.group == 0 ? nil : table.ask(sub.group, shard: number) { $0.pointee.name }
            if let name = name.map({ String(decoding: $0, as: UTF8.self) }) {
                topic = name == "$queue" ? "$queue/\(topic)" : "$share/\(name)/\(topic)"
            }
            if sub.options.isLocal { topic = "$local/\(topic)" }
            return SubscriptionRow(
                clientID: String(decoding: s.pointee.clientID, as: UTF8.self), topic: topic, qos: Int(sub.options.qos))
        }
    }
}
