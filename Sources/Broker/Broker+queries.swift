// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Reactor
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
    public var handle: UInt64 = 0
}

/// One session, online or not, as `sessions list` shows it.
public struct SessionRow: Sendable {
    public var clientID = ""
    public var username = ""
    public var isOnline = false
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
    public var noLocal = false
    public var retainAsPublished = false
    public var identifier: UInt32 = 0
}

/// Questions of the control plane. Each shard answers on its own thread, between two ticks; the caller waits, so it
/// must not be a data loop.
extension Broker {
    private func gather<Row: Sendable>(_ body: @escaping @Sendable (Shard) -> [Row]) -> [Row] {
        var rows: [Row] = []
        for shard in shards {
            nonisolated(unsafe) var part: [Row] = []
            shard.sync { part = body(shard) }
            rows += part
        }
        return rows
    }

    /// Connected clients, at most `limit` a shard.
    public func clients(limit: Int = .max) -> [ClientRow] {
        gather { shard in
            var rows: [ClientRow] = []
            shard.forEachSession { s in
                if let c = s.pointee.connection, rows.count < limit { rows.append(shard.row(c, s)) }
            }
            return rows
        }
    }

    public func client(_ id: String) -> ClientRow? {
        onSession(id) { shard, s in s.pointee.connection.map { shard.row($0, s) } } ?? nil
    }

    public func sessions(limit: Int = .max) -> [SessionRow] {
        gather { shard in
            var rows: [SessionRow] = []
            shard.forEachSession { s in if rows.count < limit { rows.append(shard.row(s)) } }
            return rows
        }
    }

    public func session(_ id: String) -> SessionRow? { onSession(id) { $0.row($1) } }

    public func subscriptions(of id: String? = nil, limit: Int = .max) -> [SubscriptionRow] {
        if let id { return onSession(id) { $0.subscriptionRows($1) } ?? [] }
        return gather { shard in
            var rows: [SubscriptionRow] = []
            shard.forEachSession { s in if rows.count < limit { rows += shard.subscriptionRows(s) } }
            return rows
        }
    }

    /// Closes a client's connection. False when it has none.
    public func kick(clientID: String) -> Bool { end(clientID, .administrativeAction, counted: "kicked") }

    /// Closes a client's connection with 0x9C and its zone's Server Reference. MQTT 5 §4.11. False when it has none.
    public func redirect(clientID: String) -> Bool { end(clientID, .useAnotherServer, counted: "redirected") }

    private func end(_ clientID: String, _ reason: ReasonCode, counted name: StaticString) -> Bool {
        onSession(clientID) { shard, s in
            guard let c = s.pointee.connection else { return false }
            shard.close(c, Refusal(reason), counted: name)
            return true
        } ?? false
    }

    /// Sends every client away as `redirect` does one. Returns how many.
    public func redirectAll() -> Int {
        gather { shard in
            var leaving: [ConnectionRef] = []
            shard.forEachConnection { c in if c.pointee.phase == .connected { leaving.append(c) } }
            for c in leaving { shard.close(c, Refusal(.useAnotherServer), counted: "redirected") }
            return leaving.map { _ in () }
        }.count
    }

    /// A message of the broker's own under `$SYS`: not counted, not retained, no hooks.
    /// A name that cannot be one of a topic, such as a plugin's metric `a/#`, is not published.
    public func publishSystem(_ topic: String, _ payload: String) {
        var topic = topic
        var payload = payload
        topic.withUTF8 { topic in
            guard Topics.isValidTopicName(Bytes(topic)) else { return }
            payload.withUTF8 { payload in
                var message = Message(topic: Bytes(topic), payload: Bytes(payload), flags: [.sys])
                let owned = withUnsafeMutablePointer(to: &message) { $0.copied() }
                _ = publish(owned, runHooks: false, skipping: .max)
            }
        }
    }

    /// Each loop returns what it keeps for reuse, at its next ticks.
    public func giveMemoryBack() {
        for shard in shards {
            shard.post {
                // With writes outstanding no transport could be trimmed, and under load some always are.
                shard.flushAll()
                shard.giveMemoryBack()
                shard.ageRoutes()
            }
        }
        table.giveMemoryBack()
        registry.giveMemoryBack()
    }

    /// Which plugin call a loop is in, as an opaque number; 0: none. For the watchdog.
    public func runningCall(loop: Int) -> UInt64 { cr_load_relaxed_u64(shards[loop].runningCell) }

    /// What all loops have had to do so far: changes when one has something to do.
    public var eventCount: UInt64 { shards.reduce(0) { $0 &+ $1.eventCount } }

    /// No loop does anything, and no plugin does on one.
    public var isAsleep: Bool { shards.allSatisfy { $0.isAsleep } && !isCalling }

    /// A plugin is at work on a loop.
    public var isCalling: Bool { shards.contains { cr_load_relaxed_u64($0.runningCell) != 0 } }

    /// The plugin behind a `runningCall`.
    public func owner(ofCall call: UInt64) -> UInt32 { UInt32(call >> 40 & 0x7F_FFFF) }

    /// Filters that somebody subscribes to.
    public func topics() -> [String] {
        var names: [String] = []
        table.forEachFilter { name, _ in names.append(String(decoding: name, as: UTF8.self)) }
        return names.sorted()
    }

    public func metric(_ metric: Metric) -> UInt64 {
        shards.reduce(0) { $0 + cr_load_relaxed_u64($1.counters.cells + metric.rawValue) }
    }

    /// All counters, in `$SYS` order. Bytes include connections that are still open.
    public func metrics() -> [(name: String, value: UInt64)] {
        let open = gather { shard -> [(UInt64, UInt64)] in [shard.openBytes()] }
        return Metric.allCases.map { m in
            var value = metric(m)
            if m == .bytesReceived { value += open.reduce(0) { $0 + $1.0 } }
            if m == .bytesSent { value += open.reduce(0) { $0 + $1.1 } }
            if m == .loopsSpread { value = group?.spreads ?? 0 }
            if m == .loopsPaused { value = shards.reduce(0) { $0 + $1.pauseCount } }
            return (m.name, value)
        }
    }

    /// Gauges by `$SYS` name.
    public func stats() -> [(name: String, value: Int)] {
        let parts = gather { shard -> [(Int, Int, Int)] in
            [(shard.onlineCount, shard.onlineCount + shard.offlineCount, shard.persistentSessions())]
        }
        let t = table.count()
        let clients = parts.reduce(0) { $0 + $1.0 }
        let sessions = parts.reduce(0) { $0 + $1.1 }
        return [
            ("clients/count", clients), ("sessions/count", sessions),
            ("sessions/persistent/count", parts.reduce(0) { $0 + $1.2 }), ("topics/count", t.filters),
            ("subscribers/count", t.subscriptions), ("subscriptions/count", t.subscriptions),
            ("subscriptions/shared/count", t.shared), ("routes/count", t.filters),
            ("buffers/receive/count", Int(cr_inputs_common())),
        ]
    }

    private func onSession<R: Sendable>(_ id: String, _ body: @escaping @Sendable (Shard, SessionRef) -> R) -> R? {
        let handle = Array(id.utf8).withUnsafeBytes { registry.find(registry.key($0)) }
        guard handle != 0 else { return nil }
        let shard = shards[Handle.shard(handle)]
        nonisolated(unsafe) var result: R?
        shard.sync { result = shard.session(handle).map { body(shard, $0) } }
        return result
    }
}

extension Shard {
    func persistentSessions() -> Int {
        var n = 0
        forEachSession { if $0.pointee.expiryInterval > 0 { n += 1 } }
        return n
    }

    func openBytes() -> (UInt64, UInt64) {
        var total: (UInt64, UInt64) = (0, 0)
        forEachConnection { c in
            total.0 += c.pointee.transport.pointee.bytesIn
            total.1 += c.pointee.transport.pointee.bytesOut
        }
        return total
    }

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
            bytesIn: c.pointee.transport.pointee.bytesIn, bytesOut: c.pointee.transport.pointee.bytesOut,
            handle: handle(c))
    }

    func row(_ s: SessionRef) -> SessionRow {
        var row = SessionRow()
        row.clientID = String(decoding: s.pointee.clientID, as: UTF8.self)
        row.username = String(decoding: s.pointee.username, as: UTF8.self)
        row.isOnline = s.pointee.isOnline
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

    func subscriptionRows(_ s: SessionRef) -> [SubscriptionRow] {
        (0..<Int(s.pointee.subCount)).map { i in
            let sub = s.pointee.subs![i]
            var topic = withFilter(of: sub.node) { String(decoding: $0, as: UTF8.self) }
            let name = sub.group == 0 ? nil : table.ask(sub.group, shard: number) { $0.pointee.name }
            if let name = name.map({ String(decoding: $0, as: UTF8.self) }) {
                topic = name == "$queue" ? "$queue/\(topic)" : "$share/\(name)/\(topic)"
            }
            if sub.options.isLocal { topic = "$local/\(topic)" }
            return SubscriptionRow(
                clientID: String(decoding: s.pointee.clientID, as: UTF8.self), topic: topic, qos: Int(sub.options.qos),
                noLocal: sub.options.noLocal, retainAsPublished: sub.options.retainAsPublished,
                identifier: sub.identifier)
        }
    }
}
