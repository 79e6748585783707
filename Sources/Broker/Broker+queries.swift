// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Questions of the control plane. Each shard answers on its own thread, between two ticks; the caller waits, so it
/// must not be a data loop.
extension Broker {
    public func client(_ id: String) -> ClientRow? {
        onSession(id) { shard, s in s.pointee.connection.map { shard.row($0, s) } } ?? nil
    }

    public func session(_ id: String) -> SessionRow? { onSession(id) { $0.row($1) } }

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
        let parts = parts(of: Self.rowsAtOnce) { shard, slots in
            var leaving: [ConnectionRef] = []
            shard.forEachConnection(in: slots) { c in if c.pointee.phase == .connected { leaving.append(c) } }
            for c in leaving { shard.close(c, Refusal(.useAnotherServer), counted: "redirected") }
            return leaving.count
        }
        return parts.reduce(0, +)
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

    /// Whether somebody subscribes to exactly this filter.
    public func hasTopic(_ filter: String) -> Bool {
        Array(filter.utf8).withUnsafeBytes { table.find(Bytes($0), shard: 0) != nil }
    }

    public func metric(_ metric: Metric) -> UInt64 {
        shards.reduce(0) { $0 + cr_load_relaxed_u64($1.counters.cells + metric.rawValue) }
    }

    /// All counters, in `$SYS` order. Bytes include connections that are still open.
    public func metrics() -> [(name: String, value: UInt64)] {
        var open: (received: UInt64, sent: UInt64) = (0, 0)
        for part in parts(of: Self.countsAtOnce, { $0.openBytes(in: $1) }) {
            open.received += part.received
            open.sent += part.sent
        }
        return Metric.allCases.map { m in
            var value = metric(m)
            if m == .bytesReceived { value += open.received }
            if m == .bytesSent { value += open.sent }
            if m == .loopsSpread { value = group?.spreads ?? 0 }
            if m == .loopsPaused { value = shards.reduce(0) { $0 + $1.pauseCount } }
            return (m.name, value)
        }
    }

    /// Gauges by `$SYS` name.
    public func stats() -> [(name: String, value: Int)] {
        var (clients, offline, persistent) = (0, 0, 0)
        let parts = parts(of: Self.countsAtOnce) { shard, slots in
            let isFirst = slots.lowerBound == 0
            return (isFirst ? shard.onlineCount : 0, isFirst ? shard.offlineCount : 0, shard.persistent(in: slots))
        }
        for part in parts {
            clients += part.0
            offline += part.1
            persistent += part.2
        }
        let t = table.count()
        return [
            ("clients/count", clients), ("sessions/count", clients + offline),
            ("sessions/persistent/count", persistent), ("topics/count", t.filters),
            ("subscribers/count", t.subscriptions), ("subscriptions/count", t.subscriptions),
            ("subscriptions/shared/count", t.shared), ("routes/count", t.filters),
            ("buffers/receive/count", Int(cr_inputs_common())),
        ]
    }

    func onSession<R: Sendable>(_ id: String, _ body: @escaping @Sendable (Shard, SessionRef) -> R) -> R? {
        let handle = Array(id.utf8).withUnsafeBytes { registry.find(registry.key($0)) }
        guard handle != 0 else { return nil }
        let shard = shards[Handle.shard(handle)]
        nonisolated(unsafe) var result: R?
        shard.sync { result = shard.session(handle).map { body(shard, $0) } }
        return result
    }
}

extension Shard {
    fileprivate func persistent(in slots: Range<Int>) -> Int {
        var n = 0
        forEachSession(in: slots) { if $0.pointee.expiryInterval > 0 { n += 1 } }
        return n
    }

    fileprivate func openBytes(in slots: Range<Int>) -> (received: UInt64, sent: UInt64) {
        var total: (received: UInt64, sent: UInt64) = (0, 0)
        forEachConnection(in: slots) { c in
            total.received += c.pointee.transport.pointee.bytesIn
            total.sent += c.pointee.transport.pointee.bytesOut
        }
        return total
    }
}
