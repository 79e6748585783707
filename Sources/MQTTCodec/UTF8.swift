// SPDX-License-Identifier: Apache-2.0
// UTF-8 encoded strings (MQTT 5 §1.5.4) and topic names (§4.7).

/// What a scan of a string found.
@usableFromInline
enum TextVerdict: UInt8 {
    case valid
    /// Not well-formed UTF-8 [MQTT-1.5.4-1] [MQTT311-1.5.3-1].
    case illFormed
    /// U+0000 [MQTT-1.5.4-2] [MQTT311-1.5.3-2].
    case null
    /// U+0001 to U+001F, or U+007F to U+009F: what a receiver may refuse. MQTT 5 §1.5.4, MQTT 3.1.1 §1.5.3
    case control
    /// `+` or `#` in a topic name [MQTT-4.7.0-1] [MQTT311-4.7.1-1].
    case wildcard
}

/// Whether `bytes` may stand as an MQTT string: well-formed UTF-8 (no surrogates, nothing overlong, nothing above
/// U+10FFFF) [MQTT-1.5.4-1] without U+0000 [MQTT-1.5.4-2]. A BOM is a character like others [MQTT-1.5.4-3]
/// [MQTT311-1.5.3-3]. The length is not looked at.
@inlinable
public func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
    scanText(bytes.bytes, 0, bytes.count, isTopicName: false) == .valid
}

/// Whether `bytes` may be the topic name of a message: a valid string of 1...65,535 bytes [MQTT-4.7.3-1]
/// [MQTT-4.7.3-3] without wildcards [MQTT-4.7.0-1], U+0000 [MQTT-4.7.3-2] and control characters (§1.5.4 lets a
/// receiver refuse them: in a topic they are an accident, and they spoil logs and terminals).
@inlinable
public func isValidTopicName(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count > 0 && bytes.count <= 65_535 && scanText(bytes.bytes, 0, bytes.count, isTopicName: true) == .valid
}

/// Eight bytes at a time while all are ASCII, else byte by byte; the last, partial word overlaps the one before.
@inlinable
func scanText(_ bytes: RawSpan, _ start: Int, _ count: Int, isTopicName: Bool) -> TextVerdict {
    guard count >= 8 else { return scanShortText(bytes, start, count, isTopicName) }
    let last = start &+ count &- 8
    var offset = start
    while true {
        let word = bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
        if needsCloserLook(word, isTopicName) {
            return scanTextSlowly(bytes, offset, start &+ count, isTopicName)
        }
        if offset == last { return .valid }
        offset = min(offset &+ 8, last)
    }
}

/// Four to seven bytes as two words of four that overlap.
@inlinable @inline(__always)
func scanShortText(_ bytes: RawSpan, _ start: Int, _ count: Int, _ isTopicName: Bool) -> TextVerdict {
    if count >= 4 {
        let low = bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt32.self)
        let high = bytes.unsafeLoadUnaligned(fromByteOffset: start &+ count &- 4, as: UInt32.self)
        if !needsCloserLook(UInt64(high) << 32 | UInt64(low), isTopicName) { return .valid }
    }
    return scanTextSlowly(bytes, start, start &+ count, isTopicName)
}

/// True when one of the eight bytes is not ASCII, is zero, or (in a topic name) is `+`, `#` or a control character.
@inlinable
func needsCloserLook(_ word: UInt64, _ isTopicName: Bool) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var suspects = word | (word &- ones)
    if isTopicName {
        suspects |= word &- (ones &* 0x20)
        suspects |= word &+ ones
        suspects |= (word ^ (ones &* 0x2B)) &- ones
        suspects |= (word ^ (ones &* 0x23)) &- ones
    }
    return suspects & 0x8080_8080_8080_8080 != 0
}

@usableFromInline
func scanTextSlowly(_ bytes: RawSpan, _ start: Int, _ end: Int, _ isTopicName: Bool) -> TextVerdict {
    var offset = start
    while offset < end {
        let byte = bytes.byte(offset)
        if byte < 0x80 {
            if byte == 0 { return .null }
            if isTopicName, byte == 0x2B || byte == 0x23 { return .wildcard }
            if isTopicName, byte < 0x20 || byte == 0x7F { return .control }
            offset += 1
        } else {
            let size = multibyteSize(bytes, offset, end)
            if size == 0 { return .illFormed }
            if isTopicName, byte == 0xC2, bytes.byte(offset + 1) < 0xA0 { return .control }
            offset += size
        }
    }
    return .valid
}

/// Whether a well-formed string has a character in U+0001 to U+001F or U+007F to U+009F.
func hasControlCharacter(_ bytes: RawSpan, _ start: Int, _ end: Int) -> Bool {
    for offset in start..<end {
        let byte = bytes.byte(offset)
        if byte < 0x20 || byte == 0x7F { return true }
        if byte == 0xC2, bytes.byte(offset + 1) < 0xA0 { return true }
    }
    return false
}

/// The length of the well-formed sequence at `offset`, 2...4; 0 when it is ill-formed (Unicode 15, table 3-7: the
/// second byte's bounds exclude what is overlong, a surrogate or too large).
private func multibyteSize(_ bytes: RawSpan, _ offset: Int, _ end: Int) -> Int {
    let lead = bytes.byte(offset)
    let size: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: size = 2
    case 0xE0: (size, second) = (3, 0xA0...0xBF)
    case 0xED: (size, second) = (3, 0x80...0x9F)
    case 0xE1...0xEF: size = 3
    case 0xF0: (size, second) = (4, 0x90...0xBF)
    case 0xF1...0xF3: size = 4
    case 0xF4: (size, second) = (4, 0x80...0x8F)
    default: return 0
    }
    guard offset + size <= end, second.contains(bytes.byte(offset + 1)) else { return 0 }
    for next in 2..<max(size, 2) where bytes.byte(offset + next) & 0xC0 != 0x80 { return 0 }
    return size
}
