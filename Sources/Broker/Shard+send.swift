// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Packets the broker sends of its own, other than PUBLISH.
extension Shard {
    /// - Parameter assigned: the server chose the client id and must say which. [MQTT-3.2.2-16]
    /// - Returns: false when it is larger than what the client takes, and was not sent. [MQTT-3.1.2-24]
    func sendConnack(_ c: ConnectionRef, _ s: SessionRef, present: Bool, assigned: Bool, auth: AuthAnswer?) -> Bool {
        let room =
            256 + s.pointee.clientID.count + broker.responseInformation.count
            + (c.pointee.enhanced?.pointee.method.count ?? 0) + (auth?.data.count ?? 0)
        return withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { buffer in
            var writer = PropertyWriter(buffer)
            if c.pointee.isV5 {
                announceLimits(c, s, &writer)
                if assigned { writer.append(.assignedClientIdentifier, s.pointee.clientID) }
                // [MQTT-3.1.2-28]
                if c.pointee.flags.contains(.responseInformation), !broker.responseInformation.isEmpty {
                    broker.responseInformation.withUnsafeBytes { _ = writer.append(.responseInformation, $0) }
                }
                if let e = c.pointee.enhanced {
                    // [MQTT-4.12.0-5] [MQTT-4.12.0-6]
                    writer.append(.authenticationMethod, e.pointee.method)
                    if let data = auth?.data, !data.isEmpty {
                        data.withUnsafeBytes { _ = writer.append(.authenticationData, $0) }
                    }
                }
            }
            let encoder = ConnackEncoder(
                version: c.pointee.version, sessionPresent: present, reason: .success,
                properties: OutgoingProperties(required: writer.block), maximumPacketSize: Int(c.pointee.maxPacketOut))
            let size = encoder.size
            guard size <= Int(c.pointee.maxPacketOut) else { return false }
            _ = encoder.encode(into: reserve(c.pointee.transport, size))
            counters.count(.packetsConnack)
            counters.count(.packetsSent)
            return true
        }
    }

    /// What this server does not do without limit. MQTT 5 §3.2.2.3.
    private func announceLimits(_ c: ConnectionRef, _ s: SessionRef, _ writer: inout PropertyWriter) {
        let zone = c.pointee.zone
        if c.pointee.flags.contains(.expiryCapped) { writer.append(.sessionExpiryInterval, s.pointee.expiryInterval) }
        if zone.pointee.maxAwaitingRel > 0 && zone.pointee.maxAwaitingRel < 65535 {
            writer.append(.receiveMaximum, UInt32(zone.pointee.maxAwaitingRel))
        }
        // [MQTT-3.2.2-9]
        if zone.pointee.maxQoS < 2 { writer.append(.maximumQoS, UInt32(zone.pointee.maxQoS)) }
        if !zone.pointee.retainAvailable { writer.append(.retainAvailable, false) }
        writer.append(.maximumPacketSize, UInt32(zone.pointee.maxPacketSize))
        if zone.pointee.maxTopicAlias > 0 { writer.append(.topicAliasMaximum, UInt32(zone.pointee.maxTopicAlias)) }
        if !zone.pointee.wildcardSubscription { writer.append(.wildcardSubscriptionAvailable, false) }
        if !zone.pointee.subscriptionIdentifiers { writer.append(.subscriptionIdentifierAvailable, false) }
        if !zone.pointee.sharedSubscription { writer.append(.sharedSubscriptionAvailable, false) }
        if c.pointee.flags.contains(.keepAliveReplaced) {
            // [MQTT-3.2.2-21]
            writer.append(.serverKeepAlive, UInt32(c.pointee.keepAlive))
        }
    }

    /// CONNACK with a failure, then close. [MQTT-3.2.2-7] [MQTT-4.13.2-1] [MQTT311-3.2.2-5]
    func refuseConnect(_ c: ConnectionRef, _ refusal: Refusal) {
        // A module may have given any code. [MQTT-3.2.2-8]
        let reason = c.pointee.isV5 ? refusal.reason.allowed(in: .connack) : refusal.reason
        counters.count(.connectionsRefused)
        withProperties(c, refusal) { properties in
            // Without the words where they would make it larger than the client takes. [MQTT-3.2.2-19]
            var encoder = ConnackEncoder(
                version: c.pointee.version, reason: reason, properties: properties,
                maximumPacketSize: Int(c.pointee.maxPacketOut))
            if encoder.size > Int(c.pointee.maxPacketOut) {
                encoder = ConnackEncoder(version: c.pointee.version, reason: reason)
            }
            let size = encoder.size
            guard size <= Int(c.pointee.maxPacketOut) else { return }
            _ = encoder.encode(into: reserve(c.pointee.transport, size))
            counters.count(.packetsConnack)
            counters.count(.packetsSent)
        }
        listeners.with(c.pointee.listener) { $0.count(Shard.refusalName(reason)) }
        end(c, reason: reason, publishWill: false)
        linger(c)
    }

    func refuseConnect(_ c: ConnectionRef, _ reason: ReasonCode) { refuseConnect(c, Refusal(reason)) }

    /// The Reason String, and the Server Reference with the two codes that send a client elsewhere.
    /// MQTT 5 §3.2.2.3.16, §3.14.2.2.5
    private func withProperties(_ c: ConnectionRef, _ refusal: Refusal, _ body: (OutgoingProperties) -> Void) {
        var properties = explanation(c, refusal.text)
        let isRedirected = refusal.reason == .useAnotherServer || refusal.reason == .serverMoved
        let reference = c.pointee.zone.pointee.serverReference
        guard isRedirected, !reference.isEmpty else { return body(properties) }
        withUnsafeTemporaryAllocation(byteCount: 16 + reference.count, alignment: 1) { buffer in
            var writer = PropertyWriter(buffer)
            reference.withUnsafeBytes { _ = writer.append(.serverReference, $0) }
            properties.required = writer.block
            body(properties)
        }
    }

    private static func refusalName(_ reason: ReasonCode) -> StaticString {
        switch reason {
        case .badUserNameOrPassword, .notAuthorized, .badAuthenticationMethod: "auth_failure"
        case .clientIdentifierNotValid: "bad_clientid"
        case .unsupportedProtocolVersion: "bad_protocol"
        case .banned: "banned"
        case .useAnotherServer, .serverMoved: "redirected"
        case .malformedPacket, .protocolError: "malformed"
        default: "refused"
        }
    }

    func sendDisconnect(_ c: ConnectionRef, _ refusal: Refusal) {
        // [MQTT-3.14.2-1]
        let reason = refusal.reason.allowed(in: .disconnect)
        withProperties(c, refusal) { properties in
            // Without the words where they would make it larger than the client takes. [MQTT-3.14.2-3]
            var encoder = DisconnectEncoder(
                reason: reason, properties: properties, maximumPacketSize: Int(c.pointee.maxPacketOut))
            if encoder.size > Int(c.pointee.maxPacketOut) { encoder = DisconnectEncoder(reason: reason) }
            let size = encoder.size
            guard size <= Int(c.pointee.maxPacketOut) else { return }
            _ = encoder.encode(into: reserve(c.pointee.transport, size))
            counters.count(.packetsDisconnectSent)
            counters.count(.packetsSent)
        }
    }

    /// The next step of an exchange, with what the module has to say about it. [MQTT-3.15.2-2] drops the words where
    /// they would make the packet too large. An exchange that does not fit at all ends. [MQTT-3.1.2-24]
    func sendAuth(_ c: ConnectionRef, _ reason: ReasonCode, _ answer: AuthAnswer) -> Step {
        guard let e = c.pointee.enhanced else { return .done }
        let data = answer.data
        let isSent = withUnsafeTemporaryAllocation(byteCount: 16 + e.pointee.method.count + data.count, alignment: 1) {
            buffer in
            var writer = PropertyWriter(buffer)
            writer.append(.authenticationMethod, e.pointee.method)
            if !data.isEmpty { data.withUnsafeBytes { _ = writer.append(.authenticationData, $0) } }
            return answer.text.withUnsafeBytes { text -> Bool in
                var properties = explanation(c, ReasonText(text))
                properties.required = writer.block
                let encoder = DisconnectEncoder(
                    .auth, reason: reason, properties: properties, maximumPacketSize: Int(c.pointee.maxPacketOut))
                let size = encoder.size
                guard size <= Int(c.pointee.maxPacketOut) else { return false }
                _ = encoder.encode(into: reserve(c.pointee.transport, size))
                return true
            }
        }
        guard isSent else {
            close(c, Refusal(.packetTooLarge), counted: "auth_too_large")
            return .closed
        }
        counters.count(.packetsAuth)
        counters.count(.packetsSent)
        return .done
    }

    func sendPingresp(_ c: ConnectionRef) {
        _ = encodePing(.pingresp, into: reserve(c.pointee.transport, 2))
        counters.count(.packetsPingresp)
        counters.count(.packetsSent)
    }

    /// PUBACK, PUBREC, PUBREL, PUBCOMP in their shortest form, without reason string and user properties. No window
    /// holds them back. [MQTT-3.3.4-10] [MQTT-4.9.0-3]
    @inline(__always)
    func sendAck(_ c: ConnectionRef, _ type: PacketType, _ id: UInt16, _ reason: ReasonCode = .success) {
        let size = c.pointee.isV5 && reason != .success ? 5 : 4
        let at = reserve(c.pointee.transport, size)
        _ = AckEncoder.encodeShort(type, packetID: id, reason: reason, version: c.pointee.version, into: at)
        counters.count(.packetsSent)
    }

    /// An acknowledgement that says no, in words too if the client wants them [MQTT-3.1.2-29] and takes packets as large
    /// as that. [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.6.2-2] [MQTT-3.7.2-2]
    @inline(never)
    func sendRefusal(_ c: ConnectionRef, _ type: PacketType, _ id: UInt16, _ refusal: Refusal) {
        let encoder = AckEncoder(
            type, packetID: id, reason: refusal.reason, version: c.pointee.version,
            properties: explanation(c, refusal.text), maximumPacketSize: Int(c.pointee.maxPacketOut))
        _ = encoder.encode(into: reserve(c.pointee.transport, encoder.size))
        counters.count(.packetsSent)
    }

    /// - Parameter text: about the first filter that is refused. [MQTT-3.9.2-1] [MQTT-3.11.2-1]
    func sendCodes(
        _ c: ConnectionRef, _ type: PacketType, _ id: UInt16, _ codes: [ReasonCode], _ text: ReasonText = .none
    ) {
        counters.count(type == .suback ? .packetsSuback : .packetsUnsuback)
        counters.count(.packetsSent)
        codes.withUnsafeBufferPointer { codes in
            let encoder = SubackEncoder(
                type, version: c.pointee.version, packetID: id, codes: codes, properties: explanation(c, text),
                maximumPacketSize: Int(c.pointee.maxPacketOut))
            let size = encoder.size
            // As if it had been sent. [MQTT-3.1.2-24] [MQTT-3.1.2-25]
            guard size <= Int(c.pointee.maxPacketOut) else { return }
            _ = encoder.encode(into: reserve(c.pointee.transport, size))
        }
    }
}
