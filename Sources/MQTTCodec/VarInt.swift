// SPDX-License-Identifier: Apache-2.0
// Variable byte integers: seven bits per byte, least significant first, 1...4 bytes (MQTT 5 §1.5.5).

/// The largest value four bytes can hold, and with it the largest remaining length: 268,435,455.
public let maximumVarInt = 268_435_455

/// How many bytes `value` takes: 1...4. `value` must not exceed ``maximumVarInt``.
@inlinable
public func varIntSize(_ value: Int) -> Int {
    value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}

/// Writes `value` in as few bytes as it takes [MQTT-1.5.5-1] and returns how many those were.
/// - Parameter destination: room for ``varIntSize(_:)`` bytes.
@inlinable
public func encodeVarInt(_ value: Int, into destination: UnsafeMutableRawPointer) -> Int {
    precondition(value >= 0 && value <= maximumVarInt)
    var rest = UInt32(truncatingIfNeeded: value)
    var count = 0
    while rest >= 0x80 {
        destination.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
        rest >>= 7
        count &+= 1
    }
    destination.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
    return count &+ 1
}

/// A decoded variable byte integer and the number of bytes it took.
public struct VarInt: Equatable, Sendable {
    public var value: Int
    public var size: Int

    @inlinable
    init(value: Int, size: Int) {
        self.value = value
        self.size = size
    }

    /// False when fewer bytes would have done, which MQTT 5 forbids and 3.x does not [MQTT-1.5.5-1].
    @inlinable public var isMinimal: Bool { size == varIntSize(value) }
}

/// Reads a variable byte integer at `offset`. Nil: the bytes end before it does.
/// - Throws: malformed packet, when its fourth byte announces a fifth.
@inlinable
public func decodeVarInt(_ bytes: RawSpan, at offset: Int) throws(DecodeError) -> VarInt? {
    var value = 0
    var size = 0
    while size < 4 {
        guard offset &+ size < bytes.byteCount else { return nil }
        let byte = bytes.byte(offset &+ size)
        value |= Int(byte & 0x7F) << (7 &* size)
        size &+= 1
        if byte < 0x80 { return VarInt(value: value, size: size) }
    }
    throw DecodeError(.malformedPacket, "MQTT-1.5.5-1", "A variable byte integer is longer than four bytes.")
}

@inlinable
public func decodeVarInt(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) throws(DecodeError) -> VarInt? {
    try decodeVarInt(bytes.bytes, at: offset)
}

extension RawSpan {
    /// The byte at `offset`, which is checked.
    @inlinable @inline(__always)
    func byte(_ offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
}
