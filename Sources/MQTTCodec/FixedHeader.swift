// SPDX-License-Identifier: Apache-2.0

/// The first two to five bytes of every packet (MQTT 5 §2.1).
public struct FixedHeader: Equatable, Sendable {
    public var type: PacketType
    /// The lower four bits of the first byte.
    public var flags: UInt8
    /// 2...5.
    public var headerLength: Int
    /// The length of the body: what follows the fixed header.
    public var remainingLength: Int

    @inlinable
    public init(type: PacketType, flags: UInt8, headerLength: Int, remainingLength: Int) {
        self.type = type
        self.flags = flags
        self.headerLength = headerLength
        self.remainingLength = remainingLength
    }

    @inlinable public var packetLength: Int { headerLength &+ remainingLength }

    /// False when the remaining length took more bytes than needed. Only MQTT 5 forbids that [MQTT-1.5.5-1], so of a
    /// CONNECT it can be judged only after its version is known.
    @inlinable public var hasMinimalLength: Bool { headerLength == 1 &+ varIntSize(remainingLength) }
}

/// Reads the fixed header at the start of `bytes`. Nil: more bytes are needed. Everything that is wrong with it is
/// thrown as soon as the bytes that show it are there.
/// - Parameters:
///   - bytes: what was received and not yet consumed, from the first byte of a packet on.
///   - maxPacketSize: in bytes, header included; a larger packet is refused with 0x95 before its body arrives
///     [MQTT-3.1.2-24].
///   - version: what CONNECT announced; nil before that, when the rules that differ between versions wait.
@inlinable @inline(__always)
public func readFixedHeader(
    _ bytes: RawSpan, maxPacketSize: Int, version: ProtocolVersion? = nil
) throws(DecodeError) -> FixedHeader? {
    if bytes.byteCount > 1, bytes.byte(1) < 0x80, isUsual(bytes.byte(0)) {
        let header = FixedHeader(
            type: PacketType(rawValue: bytes.byte(0) >> 4)!, flags: bytes.byte(0) & 0x0F, headerLength: 2,
            remainingLength: Int(bytes.byte(1)))
        if header.packetLength <= maxPacketSize { return header }
    }
    return try readAnyFixedHeader(bytes, maxPacketSize, version)
}

/// The first byte of those packets that come in numbers, with flags that are right in every version.
@inlinable @inline(__always)
func isUsual(_ first: UInt8) -> Bool {
    switch first {
    case 0x30...0x35, 0x38...0x3D: true
    case 0x40, 0x50, 0x62, 0x70: true
    default: false
    }
}

@usableFromInline
func readAnyFixedHeader(
    _ bytes: RawSpan, _ maxPacketSize: Int, _ version: ProtocolVersion?
) throws(DecodeError) -> FixedHeader? {
    guard bytes.byteCount > 0 else { return nil }
    let first = bytes.byte(0)
    guard let type = PacketType(rawValue: first >> 4) else {
        throw DecodeError(.malformedPacket, "§2.1.2", "Packet type 0 is reserved.")
    }
    let flags = first & 0x0F
    if type != .publish || flags & 0x06 == 0x06 { try checkFlags(flags, of: type, version) }
    guard let length = try decodeVarInt(bytes, at: 1) else { return nil }
    // [MQTT-1.5.5-1]
    if version == .v5, !length.isMinimal {
        throw DecodeError(.malformedPacket, "MQTT-1.5.5-1", "The remaining length takes more bytes than needed.")
    }
    let header = FixedHeader(
        type: type, flags: flags, headerLength: 1 &+ length.size, remainingLength: length.value)
    // [MQTT-3.1.2-24]
    if header.packetLength > maxPacketSize {
        throw DecodeError(.packetTooLarge, "MQTT-3.1.2-24", "The packet is larger than the maximum packet size.")
    }
    return header
}

/// As ``readFixedHeader(_:maxPacketSize:version:)``, for bytes that stay unchanged during the call.
@inlinable @inline(__always)
public func readFixedHeader(
    _ bytes: UnsafeRawBufferPointer, maxPacketSize: Int, version: ProtocolVersion? = nil
) throws(DecodeError) -> FixedHeader? {
    try readFixedHeader(bytes.bytes, maxPacketSize: maxPacketSize, version: version)
}

/// The reserved flags of every type [MQTT-2.1.3-1] [MQTT311-2.2.2-1] and the QoS of PUBLISH [MQTT-3.3.1-4].
@usableFromInline
func checkFlags(_ flags: UInt8, of type: PacketType, _ version: ProtocolVersion?) throws(DecodeError) {
    switch type {
    case .publish:
        // [MQTT-3.3.1-4]
        if flags & 0x06 == 0x06 {
            throw DecodeError(.malformedPacket, "MQTT-3.3.1-4", "A PUBLISH has QoS 3.")
        }
    case .pubrel, .subscribe, .unsubscribe:
        // [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1]; in 3.1 the flags are a QoS of 1 and a DUP that may be set.
        let mask: UInt8 = version == .v31 ? 0x06 : 0x0F
        if flags & mask != 0x02 { throw reservedFlags(of: type) }
    case .auth where version == .v31 || version == .v311:
        throw DecodeError(.malformedPacket, "§2.1.2", "Packet type 15 is reserved before MQTT 5.")
    case .connect where version == nil:
        // Whether they are reserved is known when the version is: `ConnectPacket.decode` looks at them.
        break
    default:
        // 3.1 calls these flags unused and gives them no value.
        if flags != 0, version != .v31 { throw reservedFlags(of: type) }
    }
}

private func reservedFlags(of type: PacketType) -> DecodeError {
    let clause: StaticString =
        switch type {
        case .pubrel: "MQTT-3.6.1-1"
        case .subscribe: "MQTT-3.8.1-1"
        case .unsubscribe: "MQTT-3.10.1-1"
        case .disconnect: "MQTT-3.14.1-1"
        case .auth: "MQTT-3.15.1-1"
        default: "MQTT-2.1.3-1"
        }
    return DecodeError(.malformedPacket, clause, "A reserved flag of the fixed header has the wrong value.")
}
