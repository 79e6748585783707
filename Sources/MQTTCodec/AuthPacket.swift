// SPDX-License-Identifier: Apache-2.0

/// AUTH (MQTT 5 §3.15).
public struct AuthPacket: DecodablePacket, Equatable, Sendable {
    public var reason: ReasonCode = .success
    /// The raw block without its length.
    public var properties = ByteRange()
    /// Nil only in a packet without a body, which stands for success without properties (§3.15.2.1).
    public var method: ByteRange?
    public var data: ByteRange?
    public var reasonString: ByteRange?

    /// As the broker reads it, from a client.
    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> AuthPacket {
        try decode(body, from: .client, version: version)
    }

    public static func decode(
        _ body: RawSpan, from sender: PacketSender, version: ProtocolVersion
    ) throws(DecodeError) -> AuthPacket {
        guard version == .v5 else {
            throw DecodeError(.malformedPacket, "§2.1.2", "Packet type 15 is reserved before MQTT 5.")
        }
        var cursor = Cursor(body)
        var packet = AuthPacket()
        if cursor.remaining > 0 { packet.reason = ReasonCode(rawValue: try cursor.byte(body)) }
        // [MQTT-3.15.2-1]
        if !packet.reason.isAllowed(in: .auth, from: sender) { throw .wrongReason("MQTT-3.15.2-1") }
        if body.byteCount > 0 { try packet.readProperties(&cursor, body) }
        try cursor.expectEnd()
        return packet
    }

    private mutating func readProperties(_ cursor: inout Cursor, _ body: RawSpan) throws(DecodeError) {
        properties = try cursor.propertyBlock(body)
        var block = CheckedProperties(properties, for: .packet(.auth))
        while let property = try block.next(in: body) {
            switch property.id {
            case .authenticationMethod: method = property.bytes
            case .authenticationData: data = property.bytes
            case .reasonString: reasonString = property.bytes
            default: break
            }
        }
        if method == nil {
            throw DecodeError(.protocolError, "§3.15.2.2.2", "An AUTH has no authentication method.")
        }
    }
}
