// SPDX-License-Identifier: Apache-2.0

/// PUBACK, PUBREC, PUBREL and PUBCOMP, which differ in their type and reason codes only (MQTT 5 §3.4 to §3.7).
public struct AckPacket: Equatable, Sendable {
    public var packetID: UInt16
    public var reason: ReasonCode
    /// The raw block without its length; empty before MQTT 5.
    public var properties: ByteRange

    /// - Parameter type: which of the four it is, from the fixed header.
    @inlinable @inline(__always)
    public static func decode(
        _ body: RawSpan, type: PacketType, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> AckPacket {
        // Nearly all are nothing but an identifier.
        if body.byteCount == 2 {
            let id = UInt16(bigEndian: body.unsafeLoadUnaligned(as: UInt16.self))
            if id != 0 { return AckPacket(packetID: id) }
        }
        return try decodeAny(body, type, version)
    }

    @inlinable
    init(packetID: UInt16) {
        self.packetID = packetID
        reason = .success
        properties = ByteRange()
    }

    @usableFromInline
    static func decodeAny(
        _ body: RawSpan, _ type: PacketType, _ version: ProtocolVersion
    ) throws(DecodeError) -> AckPacket {
        var cursor = Cursor(body)
        var packet = AckPacket(packetID: try cursor.packetID(body))
        if version == .v5, cursor.remaining > 0 {
            try packet.readReason(&cursor, body, type)
        }
        try cursor.expectEnd()
        return packet
    }

    @inlinable @inline(__always)
    public static func decode(
        _ body: UnsafeRawBufferPointer, type: PacketType, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> AckPacket {
        try decode(body.bytes, type: type, flags: flags, version: version)
    }

    /// The reason code, which may be left out, and the properties, which may be left out too (MQTT 5 §3.4.2.1).
    private mutating func readReason(
        _ cursor: inout Cursor, _ body: RawSpan, _ type: PacketType
    ) throws(DecodeError) {
        reason = ReasonCode(rawValue: try cursor.byte(body))
        if !reason.isAllowed(in: type, from: .client) {
            throw .wrongReason(Self.reasonClause(type))
        }
        if cursor.remaining > 0 {
            properties = try cursor.propertyBlock(body)
            try validateProperties(properties, in: body, for: .packet(type))
        }
    }

    private static func reasonClause(_ type: PacketType) -> StaticString {
        switch type {
        case .puback: "MQTT-3.4.2-1"
        case .pubrec: "MQTT-3.5.2-1"
        case .pubrel: "MQTT-3.6.2-1"
        default: "MQTT-3.7.2-1"
        }
    }
}
