// SPDX-License-Identifier: Apache-2.0

/// A packet that can be read from its body. Decoding copies nothing: strings, payload and property blocks come back as
/// ranges of the body.
public protocol DecodablePacket {
    /// - Parameters:
    ///   - body: exactly the bytes after the fixed header.
    ///   - flags: from the fixed header, which ``readFixedHeader(_:maxPacketSize:version:)`` has checked.
    ///   - version: what CONNECT announced; CONNECT itself ignores it.
    static func decode(_ body: RawSpan, flags: UInt8, version: ProtocolVersion) throws(DecodeError) -> Self
}

extension DecodablePacket {
    /// As the `RawSpan` form, for bytes that stay unchanged during the call.
    @inlinable
    public static func decode(
        _ body: UnsafeRawBufferPointer, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> Self {
        try decode(body.bytes, flags: flags, version: version)
    }
}

/// PINGREQ and PINGRESP: nothing but a fixed header (MQTT 5 §3.12, §3.13).
public struct PingPacket: DecodablePacket, Equatable, Sendable {
    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> PingPacket {
        if body.byteCount != 0 { throw .trailingBytes }
        return PingPacket()
    }
}
