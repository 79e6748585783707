// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Reactor
import Sessions

extension Shard {
    /// What became of one packet.
    enum Step {
        case done
        /// A plugin's answer is awaited: the packet stays where it is.
        case wait
        /// The connection is closing or gone.
        case closed
    }

    /// The packet that input begins with.
    private enum Head {
        case whole(FixedHeader)
        /// More of it has to come.
        case partial
        /// It breaks the rules; the connection is closing.
        case refused
    }

    /// Splits the input into packets and handles each. Returns the bytes consumed.
    func process(_ c: ConnectionRef, _ bytes: UnsafeRawBufferPointer) -> Int {
        let t = c.pointee.transport
        ahead.begin(bytes)
        var at = 0
        while at < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[at...])
            let header: FixedHeader
            switch head(c, t, rest) {
            case .whole(let whole): header = whole
            case .partial: return at
            case .refused: return bytes.count
            }
            let body = UnsafeRawBufferPointer(rebasing: rest[header.headerLength..<header.packetLength])
            switch dispatch(c, header, body, rest) {
            case .done:
                counters.count(.packetsReceived)
                at += header.packetLength
                // [MQTT-3.1.2-22] counts packets, not bytes.
                t.pointee.lastRead = now
                if c.pointee.replay != nil { dropReplay(c) }
                if t.pointee.isPaused { return at }
            case .wait:
                // It comes again and is counted then.
                pause(t)
                return at
            case .closed:
                counters.count(.packetsReceived)
                // Whatever else has arrived is not looked at. [MQTT-3.1.4-6]
                return bytes.count
            }
        }
        return at
    }

    @inline(__always)
    private func head(_ c: ConnectionRef, _ t: TransportRef, _ rest: UnsafeRawBufferPointer) -> Head {
        let isFirst = c.pointee.phase == .waitingForConnect
        do {
            guard
                let header = try readFixedHeader(
                    rest, maxPacketSize: c.pointee.zone.pointee.maxPacketSize,
                    version: isFirst ? nil : c.pointee.version)
            else { return .partial }
            if isFirst && header.type != .connect {
                // [MQTT-3.1.0-1]
                close(c, .protocolError, "The first packet must be CONNECT.", counted: "protocol_not_connected")
                return .refused
            }
            if rest.count >= header.packetLength { return .whole(header) }
            t.pointee.needed = header.packetLength
            return .partial
        } catch {
            refuse(c, error)
            return .refused
        }
    }

    @inline(__always)
    private func dispatch(
        _ c: ConnectionRef, _ header: FixedHeader, _ body: UnsafeRawBufferPointer, _ packet: UnsafeRawBufferPointer
    ) -> Step {
        if header.type == .publish && c.pointee.phase == .connected {
            return counted(.packetsPublishReceived, handlePublish(c, header.flags, body))
        }
        do {
            if header.type.isAcknowledgement && c.pointee.phase == .connected {
                let packet = try AckPacket.decode(
                    body, type: header.type, flags: header.flags, version: c.pointee.version)
                return handleAck(c, header.type, packet)
            }
            return try dispatchRare(c, header, body, packet)
        } catch {
            refuse(c, error)
            return .closed
        }
    }

    private func dispatchRare(
        _ c: ConnectionRef, _ header: FixedHeader, _ body: UnsafeRawBufferPointer, _ packet: UnsafeRawBufferPointer
    ) throws(DecodeError) -> Step {
        if c.pointee.phase != .connected { return try dispatchEarly(c, header, body, packet) }
        let version = c.pointee.version
        switch header.type {
        case .publish: return handlePublish(c, header.flags, body)
        case .subscribe:
            let packet = try SubscribePacket.decode(body, flags: header.flags, version: version)
            return counted(.packetsSubscribe, handleSubscribe(c, packet, body))
        case .unsubscribe:
            return handleUnsubscribe(c, try UnsubscribePacket.decode(body, flags: header.flags, version: version), body)
        case .pingreq:
            _ = try PingPacket.decode(body, flags: header.flags, version: version)
            counters.count(.packetsPingreq)
            // [MQTT-3.12.4-1]
            sendPingresp(c)
            return .done
        case .disconnect:
            return try handleDisconnect(c, DisconnectPacket.decode(body, flags: header.flags, version: version))
        case .auth:
            guard version == .v5 else { throw .unexpected }
            let packet = try AuthPacket.decode(body, flags: header.flags, version: version)
            return counted(.packetsAuth, handleAuth(c, packet, body))
        case .connect:
            // [MQTT-3.1.0-2] [MQTT-3.2.0-2]
            close(c, .protocolError, "There was a CONNECT before.", counted: "protocol_bad_connect")
            return .closed
        default:
            // Packets only a server sends.
            throw .unexpected
        }
    }

    /// One that waits comes again, on another loop perhaps, and is counted then.
    @inline(__always)
    func counted(_ metric: Metric, _ step: Step) -> Step {
        if case .wait = step { return step }
        counters.count(metric)
        return step
    }

    /// Before the connection is accepted.
    private func dispatchEarly(
        _ c: ConnectionRef, _ header: FixedHeader, _ body: UnsafeRawBufferPointer, _ packet: UnsafeRawBufferPointer
    ) throws(DecodeError) -> Step {
        switch (c.pointee.phase, header.type) {
        case (.waitingForConnect, .connect):
            return counted(.packetsConnect, handleConnect(c, header.flags, body, packet))
        case (.authenticating, .auth):
            let auth = try AuthPacket.decode(body, flags: header.flags, version: .v5)
            return counted(.packetsAuth, handleAuth(c, auth, body))
        case (.authenticating, .disconnect):
            close(c, Refusal(.success), counted: "disconnect_in_auth")
            return .closed
        case (.closing, _): return .closed
        default:
            // Nothing but AUTH and DISCONNECT while authentication is under way. [MQTT-3.1.2-30]
            throw .unexpected
        }
    }

    /// A packet that breaks the rules ends the connection with the reason the specification names. [MQTT-4.13.1-1]
    func refuse(_ c: ConnectionRef, _ error: DecodeError) {
        close(c, Refusal(error), counted: "malformed")
    }
}

extension DecodeError {
    static var unexpected: DecodeError {
        DecodeError(.protocolError, "MQTT-4.13.1-1", "This packet is not allowed here.")
    }
}
