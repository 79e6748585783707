// SPDX-License-Identifier: Apache-2.0
import CMartlet
import MQTTCodec
import Sessions

/// PUBACK, PUBREC, PUBREL, PUBCOMP from a client. MQTT 5 §3.4 to §3.7, §4.3.
extension Shard {
    func handleAck(_ c: ConnectionRef, _ type: PacketType, _ packet: AckPacket) -> Step {
        let s = c.pointee.session!
        switch type {
        case .puback: return puback(c, s, packet)
        case .pubrec: return pubrec(c, s, packet)
        case .pubrel: pubrel(c, s, packet)
        default: return pubcomp(c, s, packet)
        }
        return .done
    }

    /// An acknowledgement nobody waits for: of an identifier that is not in use it is late and means nothing, of one
    /// in use it is of another exchange than the message's, which neither side could go on with. [MQTT-4.13.1-1]
    /// [MQTT311-4.8.0-1]
    private func missed(_ c: ConnectionRef, _ s: SessionRef, _ packet: AckPacket, _ metric: Metric) -> Step {
        counters.count(metric)
        guard let state = s.pointee.outbound?.pointee.inflight.state(of: packet.packetID), state != .hole
        else { return .done }
        close(
            c, .protocolError, "The acknowledgement does not belong to the exchange its packet identifier is used in.",
            counted: "bad_acknowledgement")
        return .closed
    }

    @inline(__always)
    private func puback(_ c: ConnectionRef, _ s: SessionRef, _ packet: AckPacket) -> Step {
        counters.count(.packetsPubackReceived)
        guard let delivery = s.pointee.outbound?.pointee.inflight.puback(packet.packetID) else {
            return missed(c, s, packet, .packetsPubackMissed)
        }
        runMessageHook(Int(MARTLET_HOOK_MESSAGE_ACKED), c, s, delivery.message)
        // Whatever its reason: the message is done [MQTT-4.4.0-2], for other members of a group too. [MQTT-4.8.2-6]
        delivery.discard()
        pump(s)
        return .done
    }

    private func pubrec(_ c: ConnectionRef, _ s: SessionRef, _ packet: AckPacket) -> Step {
        counters.count(.packetsPubrecReceived)
        guard let outbound = s.pointee.outbound else { return answerUnknownPubrec(c, s, packet) }
        if packet.reason.isFailure {
            // The receiver does not want it: the exchange is over, and nobody else gets it.
            // [MQTT-4.3.3-4] [MQTT-4.4.0-2] [MQTT-4.8.2-6]
            guard let delivery = outbound.pointee.inflight.pubrecError(packet.packetID) else {
                if outbound.pointee.inflight.state(of: packet.packetID) == .awaitingPuback {
                    return missed(c, s, packet, .packetsPubrecMissed)
                }
                counters.count(.packetsPubrecMissed)
                return .done
            }
            delivery.discard()
            pump(s)
            return .done
        }
        switch outbound.pointee.inflight.pubrec(packet.packetID, now: now) {
        case .accepted(let delivery):
            runMessageHook(Int(MARTLET_HOOK_MESSAGE_ACKED), c, s, delivery.message)
            delivery.discard()
        case .repeated: break
        case .unknown: return answerUnknownPubrec(c, s, packet)
        }
        // At once, so in the order of the PUBRECs. [MQTT311-4.6.0-4]
        counters.count(.packetsPubrelSent)
        sendAck(c, .pubrel, packet.packetID)
        return .done
    }

    /// PUBREL with 0x92 lets the client forget the identifier too. MQTT 5 §3.6.2.1
    private func answerUnknownPubrec(_ c: ConnectionRef, _ s: SessionRef, _ packet: AckPacket) -> Step {
        let step = missed(c, s, packet, .packetsPubrecMissed)
        guard case .done = step, !packet.reason.isFailure else { return step }
        counters.count(.packetsPubrelSent)
        sendRefusal(c, .pubrel, packet.packetID, Refusal(.packetIdentifierNotFound))
        return .done
    }

    private func pubrel(_ c: ConnectionRef, _ s: SessionRef, _ packet: AckPacket) {
        counters.count(.packetsPubrelReceived)
        let known = s.pointee.awaiting?.pointee.remove(packet.packetID) ?? false
        if !known { counters.count(.packetsPubrelMissed) }
        // [MQTT-4.3.3-11]: PUBCOMP always, or the sender would wait for ever.
        counters.count(.packetsPubcompSent)
        guard !known else { return sendAck(c, .pubcomp, packet.packetID) }
        sendRefusal(c, .pubcomp, packet.packetID, Refusal(.packetIdentifierNotFound))
    }

    private func pubcomp(_ c: ConnectionRef, _ s: SessionRef, _ packet: AckPacket) -> Step {
        counters.count(.packetsPubcompReceived)
        guard let outbound = s.pointee.outbound, outbound.pointee.inflight.pubcomp(packet.packetID) else {
            return missed(c, s, packet, .packetsPubcompMissed)
        }
        pump(s)
        return .done
    }
}
