// SPDX-License-Identifier: Apache-2.0

/// Where an encoder writes. The encoder has told the caller its size before, so nothing is checked again here.
@usableFromInline
struct ByteSink {
    @usableFromInline let base: UnsafeMutableRawPointer
    @usableFromInline var count = 0

    @inlinable
    init(_ base: UnsafeMutableRawPointer) { self.base = base }

    @inlinable @inline(__always)
    mutating func byte(_ value: UInt8) {
        base.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    @inlinable @inline(__always)
    mutating func uint16(_ value: UInt16) {
        base.storeBytes(of: value.bigEndian, toByteOffset: count, as: UInt16.self)
        count &+= 2
    }

    @inlinable
    mutating func uint32(_ value: UInt32) {
        base.storeBytes(of: value.bigEndian, toByteOffset: count, as: UInt32.self)
        count &+= 4
    }

    @inlinable
    mutating func varInt(_ value: Int) { count &+= encodeVarInt(value, into: base + count) }

    @inlinable @inline(__always)
    mutating func bytes(_ source: UnsafeRawBufferPointer) {
        guard let start = source.baseAddress, source.count > 0 else { return }
        (base + count).copyMemory(from: start, byteCount: source.count)
        count &+= source.count
    }

    /// Two bytes of length and the bytes.
    @inlinable @inline(__always)
    mutating func prefixed(_ source: UnsafeRawBufferPointer) {
        precondition(source.count <= 65_535)
        uint16(UInt16(truncatingIfNeeded: source.count))
        bytes(source)
    }

    /// A property block behind its length (MQTT 5 §2.2.2).
    mutating func block(_ source: UnsafeRawBufferPointer) {
        varInt(source.count)
        bytes(source)
    }

    @inlinable
    mutating func fixedHeader(_ type: PacketType, flags: UInt8 = 0, remainingLength: Int) {
        byte(type.rawValue << 4 | flags)
        varInt(remainingLength)
    }
}

var noBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
