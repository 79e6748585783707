// SPDX-License-Identifier: Apache-2.0

/// A position in a packet body. The body is passed to each call rather than stored, and every read is checked against
/// `end`, which lies inside it.
@usableFromInline
struct Cursor {
    @usableFromInline var offset: Int
    @usableFromInline let end: Int

    @inlinable
    init(_ body: RawSpan) {
        offset = 0
        end = body.byteCount
    }

    /// Over a block inside the body; a block that does not lie in it is cut.
    @inlinable
    init(_ block: ByteRange, in body: RawSpan) {
        end = min(Int(block.start) &+ Int(block.count), body.byteCount)
        offset = min(Int(block.start), end)
    }

    @inlinable var remaining: Int { end &- offset }

    @inlinable @inline(__always)
    mutating func advance(_ count: Int) throws(DecodeError) -> Int {
        let start = offset
        guard count <= end &- start else { throw .truncated }
        offset = start &+ count
        return start
    }

    @inlinable
    mutating func byte(_ body: RawSpan) throws(DecodeError) -> UInt8 {
        body.byte(try advance(1))
    }

    @inlinable @inline(__always)
    mutating func uint16(_ body: RawSpan) throws(DecodeError) -> UInt16 {
        UInt16(bigEndian: body.unsafeLoadUnaligned(fromByteOffset: try advance(2), as: UInt16.self))
    }

    @inlinable
    mutating func uint32(_ body: RawSpan) throws(DecodeError) -> UInt32 {
        UInt32(bigEndian: body.unsafeLoadUnaligned(fromByteOffset: try advance(4), as: UInt32.self))
    }

    /// A variable byte integer inside a packet, which exists in MQTT 5 only and so must be minimal [MQTT-1.5.5-1].
    @inlinable
    mutating func varInt(_ body: RawSpan) throws(DecodeError) -> Int {
        // Nearly all are short.
        if offset < end {
            let byte = body.byte(offset)
            if byte < 0x80 {
                offset = offset &+ 1
                return Int(byte)
            }
        }
        return try longVarInt(body)
    }

    @usableFromInline
    mutating func longVarInt(_ body: RawSpan) throws(DecodeError) -> Int {
        guard let number = try decodeVarInt(body, at: offset), number.size <= remaining else { throw .truncated }
        guard number.isMinimal else {
            throw DecodeError(.malformedPacket, "MQTT-1.5.5-1", "A variable byte integer takes more bytes than needed.")
        }
        offset = offset &+ number.size
        return number.value
    }

    /// Two bytes of length and as many bytes: binary data, or a string that is still to be scanned.
    @inlinable @inline(__always)
    mutating func binary(_ body: RawSpan) throws(DecodeError) -> ByteRange {
        let count = Int(try uint16(body))
        return ByteRange(try advance(count), count)
    }

    /// A UTF-8 encoded string [MQTT-1.5.4-1].
    @inlinable
    mutating func string(_ body: RawSpan) throws(DecodeError) -> ByteRange {
        let range = try binary(body)
        try checkText(body, range, isTopicName: false)
        return range
    }

    /// A string the broker acts on: client identifier, user name, filter. Without control characters, as topic names
    /// are (MQTT 5 §1.5.4); what only passes through, such as a user property, may have them.
    mutating func name(_ body: RawSpan) throws(DecodeError) -> ByteRange {
        let range = try string(body)
        let start = Int(range.start)
        if hasControlCharacter(body, start, start + Int(range.count)) { throw textError(.control) }
        return range
    }

    /// The length of a property block and the block, without the length (MQTT 5 §2.2.2).
    @inlinable
    mutating func propertyBlock(_ body: RawSpan) throws(DecodeError) -> ByteRange {
        let count = try varInt(body)
        return ByteRange(try advance(count), count)
    }

    /// A packet identifier, which is never zero [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT311-2.3.1-1].
    @inlinable @inline(__always)
    mutating func packetID(_ body: RawSpan) throws(DecodeError) -> UInt16 {
        let id = try uint16(body)
        if id == 0 { throw .zeroPacketID }
        return id
    }

    @inlinable
    func expectEnd() throws(DecodeError) {
        if offset != end { throw .trailingBytes }
    }
}

@inlinable
func checkText(_ body: RawSpan, _ range: ByteRange, isTopicName: Bool) throws(DecodeError) {
    let verdict = scanText(body, Int(range.start), Int(range.count), isTopicName: isTopicName)
    if verdict != .valid { throw textError(verdict) }
}

@usableFromInline
func textError(_ verdict: TextVerdict) -> DecodeError {
    switch verdict {
    case .null:
        DecodeError(.malformedPacket, "MQTT-1.5.4-2", "A string contains U+0000.")
    case .control:
        DecodeError(.malformedPacket, "§1.5.4", "A topic, filter or name contains a control character.")
    case .wildcard:
        DecodeError(.topicNameInvalid, "MQTT-4.7.0-1", "A topic name contains a wildcard.")
    case .illFormed, .valid:
        DecodeError(.malformedPacket, "MQTT-1.5.4-1", "A string is not well-formed UTF-8.")
    }
}

extension DecodeError {
    @usableFromInline static var truncated: DecodeError {
        DecodeError(.malformedPacket, "§1.2", "The packet ends inside a field.")
    }

    @usableFromInline static var trailingBytes: DecodeError {
        DecodeError(.malformedPacket, "§2.1.4", "The packet is longer than its fields.")
    }

    @usableFromInline static var zeroPacketID: DecodeError {
        DecodeError(.protocolError, "MQTT-2.2.1-3", "The packet identifier is 0.")
    }

    @usableFromInline static var emptyTopic: DecodeError {
        DecodeError(.protocolError, "MQTT-4.7.3-1", "A topic is empty.")
    }

    static func wrongReason(_ clause: StaticString) -> DecodeError {
        DecodeError(.protocolError, clause, "The reason code does not belong into this packet.")
    }
}
