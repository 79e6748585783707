// SPDX-License-Identifier: Apache-2.0

/// SUBACK (MQTT 5 §3.9), read by a client.
public struct SubackPacket: DecodablePacket, Equatable, Sendable {
    public var packetID: UInt16
    /// The raw block without its length; empty before MQTT 5.
    public var properties = ByteRange()
    /// One code per filter, in the order of the SUBSCRIBE [MQTT-3.9.3-1].
    public var codes = ByteRange()

    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> SubackPacket {
        var cursor = Cursor(body)
        var packet = SubackPacket(packetID: try cursor.packetID(body))
        if version == .v5 {
            packet.properties = try cursor.propertyBlock(body)
            try validateProperties(packet.properties, in: body, for: .packet(.suback))
        }
        packet.codes = ByteRange(cursor.offset, cursor.remaining)
        if cursor.remaining == 0 { throw .truncated }
        while cursor.remaining > 0 {
            // [MQTT-3.9.3-2]; 3.1 has no failure code, but brokers send 0x80 there too.
            let code = ReasonCode(rawValue: try cursor.byte(body))
            let allowed =
                version == .v5
                ? code.isAllowed(in: .suback, from: .server) : code.rawValue <= 2 || code.rawValue == 0x80
            if !allowed { throw .wrongReason("MQTT-3.9.3-2") }
        }
        return packet
    }
}

/// UNSUBACK (MQTT 5 §3.11), read by a client.
public struct UnsubackPacket: DecodablePacket, Equatable, Sendable {
    public var packetID: UInt16
    /// The raw block without its length; empty before MQTT 5.
    public var properties = ByteRange()
    /// One code per filter [MQTT-3.11.3-1]; empty before MQTT 5.
    public var codes = ByteRange()

    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> UnsubackPacket {
        var cursor = Cursor(body)
        var packet = UnsubackPacket(packetID: try cursor.packetID(body))
        guard version == .v5 else {
            try cursor.expectEnd()
            return packet
        }
        packet.properties = try cursor.propertyBlock(body)
        try validateProperties(packet.properties, in: body, for: .packet(.unsuback))
        packet.codes = ByteRange(cursor.offset, cursor.remaining)
        if cursor.remaining == 0 { throw .truncated }
        while cursor.remaining > 0 {
            // [MQTT-3.11.3-2]
            let code = ReasonCode(rawValue: try cursor.byte(body))
            if !code.isAllowed(in: .unsuback, from: .server) { throw .wrongReason("MQTT-3.11.3-2") }
        }
        return packet
    }
}
