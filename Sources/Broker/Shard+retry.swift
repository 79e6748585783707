// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Reactor
import Sessions

/// Messages that were sent to a 3.x client and not acknowledged are sent again on the same connection.
/// `mqtt.session.retry_interval`
extension Shard {
    /// Nothing of this costs a message anything: once a second all sessions are looked at, some thousand a tick.
    func startSweeping() {
        let isRetrying = broker.settings.zones.contains { $0.retryInterval > 0 }
        _ = after(1000, every: 1000) { [unowned self] in
            sweepOutputs()
            if isRetrying { sweepInflight() }
        }
    }

    private func sweepInflight(from slot: Int = 0) {
        let next = slot + Broker.countsAtOnce
        if next < sessions.capacity { post { [self] in sweepInflight(from: next) } }
        forEachSession(in: slot..<next) { s in
            guard let outbound = s.pointee.outbound, outbound.pointee.inflight.count > 0,
                let c = s.pointee.connection, c.pointee.phase == .connected
            else { return }
            // MQTT 5 sends again only after a reconnect. [MQTT-4.4.0-1]
            if !c.pointee.isV5 { retry(c, s, outbound) }
        }
    }

    /// In the order of their first sending [MQTT311-4.6.0-1], each at most once an interval. A client that does not
    /// even take what it was sent the first time is sent nothing twice.
    private func retry(_ c: ConnectionRef, _ s: SessionRef, _ outbound: UnsafeMutablePointer<Outbound>) {
        let interval = c.pointee.zone.pointee.retryInterval
        guard interval > 0, !c.pointee.transport.pointee.isBlocked else { return }
        outbound.pointee.inflight.forEach { entry in
            guard !entry.isParked, entry.sentAt + interval <= now,
                c.pointee.transport.pointee.pending <= c.pointee.zone.pointee.outputHighWater
            else { return }
            entry.sentAt = now
            counters.count(.messagesRetried)
            if entry.state == .awaitingPubcomp {
                counters.count(.packetsPubrelSent)
                sendAck(c, .pubrel, entry.packetID)
            } else {
                let d = entry.delivery
                let terms = Terms(
                    qos: d.qos, retain: d.retain, identifier: d.subscriptionID, moreIDs: d.moreIDs, group: d.shareGroup)
                // [MQTT-3.3.1-1]
                write(d.message, 0, c, s, terms, packetID: entry.packetID, dup: true)
            }
        }
    }
}
