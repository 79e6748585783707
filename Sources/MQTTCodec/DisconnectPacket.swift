// SPDX-License-Identifier: Apache-2.0

/// DISCONNECT (MQTT 5 §3.14).
public struct DisconnectPacket: DecodablePacket, Equatable, Sendable {
    public var reason: ReasonCode = .success
    /// The raw block without its length; empty before MQTT 5.
    public var properties = ByteRange()
    /// In seconds; nil: unchanged.
    public var sessionExpiry: UInt32?
    public var reasonString: ByteRange?
    public var serverReference: ByteRange?

    /// As the broker reads it, from a client.
    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> DisconnectPacket {
        try decode(body, from: .client, version: version)
    }

    public static func decode(
        _ body: RawSpan, from sender: PacketSender, version: ProtocolVersion
    ) throws(DecodeError) -> DisconnectPacket {
        var cursor = Cursor(body)
        var packet = DisconnectPacket()
        if version == .v5, cursor.remaining > 0 {
            packet.reason = ReasonCode(rawValue: try cursor.byte(body))
            // [MQTT-3.14.2-1]
            if !packet.reason.isAllowed(in: .disconnect, from: sender) { throw .wrongReason("MQTT-3.14.2-1") }
            if cursor.remaining > 0 { try packet.readProperties(&cursor, body, sender) }
        }
        try cursor.expectEnd()
        return packet
    }

    private mutating func readProperties(
        _ cursor: inout Cursor, _ body: RawSpan, _ sender: PacketSender
    ) throws(DecodeError) {
        properties = try cursor.propertyBlock(body)
        var block = CheckedProperties(properties, for: .packet(.disconnect))
        while let property = try block.next(in: body) {
            switch property.id {
            case .sessionExpiryInterval: sessionExpiry = property.number
            case .reasonString: reasonString = property.bytes
            case .serverReference: serverReference = property.bytes
            default: break
            }
        }
        // [MQTT-3.14.2-2]
        if sessionExpiry != nil, sender == .server {
            throw DecodeError(.protocolError, "MQTT-3.14.2-2", "A server sent a Session Expiry Interval.")
        }
        if serverReference != nil, sender == .client {
            throw DecodeError(.protocolError, "§3.14.2.2.5", "A client sent a Server Reference.")
        }
    }
}
