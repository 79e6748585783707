// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MQTTCodec

@Suite("Strings and topic names")
struct UTF8Tests {
    /// The first and last scalar of each length, around the surrogates, and the last of all.
    static let boundaries: [[UInt8]] = [
        [0x01], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xE1, 0x80, 0x80], [0xEC, 0xBF, 0xBF],
        [0xED, 0x80, 0x80], [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xEF, 0xBB, 0xBF], [0xEF, 0xBF, 0xBF],
        [0xF0, 0x90, 0x80, 0x80], [0xF1, 0x80, 0x80, 0x80], [0xF3, 0xBF, 0xBF, 0xBF], [0xF4, 0x80, 0x80, 0x80],
        [0xF4, 0x8F, 0xBF, 0xBF],
    ]

    static let illFormed: [(String, [UInt8])] = [
        ("lone continuation", [0x80]), ("lone last continuation", [0xBF]), ("overlong of two", [0xC0, 0x80]),
        ("overlong slash", [0xC0, 0xAF]), ("overlong of two, last", [0xC1, 0xBF]), ("cut after one of two", [0xC2]),
        ("ASCII in place of a continuation", [0xC3, 0x28]), ("lead in place of a continuation", [0xC2, 0xC2]),
        ("overlong of three", [0xE0, 0x80, 0x80]), ("overlong of three, last", [0xE0, 0x9F, 0xBF]),
        ("cut after two of three", [0xE2, 0x82]), ("third byte wrong", [0xE2, 0x82, 0x28]),
        ("first surrogate", [0xED, 0xA0, 0x80]), ("last surrogate", [0xED, 0xBF, 0xBF]),
        ("surrogate pair", [0xED, 0xA0, 0xBD, 0xED, 0xB0, 0x80]), ("overlong of four", [0xF0, 0x80, 0x80, 0x80]),
        ("overlong of four, last", [0xF0, 0x8F, 0xBF, 0xBF]), ("cut after three of four", [0xF0, 0x9F, 0x90]),
        ("fourth byte wrong", [0xF0, 0x9F, 0x90, 0x41]), ("above U+10FFFF", [0xF4, 0x90, 0x80, 0x80]),
        ("lead F5", [0xF5, 0x80, 0x80, 0x80]), ("five bytes", [0xF8, 0x88, 0x80, 0x80, 0x80]),
        ("FE", [0xFE]), ("FF", [0xFF]),
    ]

    @Test("[MQTT-1.5.4-1] well-formed scalars pass at every offset from a word", arguments: boundaries)
    func acceptsBoundaries(_ scalar: [UInt8]) {
        forEachPlace(of: scalar) { #expect(isValidUTF8($0)) }
    }

    @Test("[MQTT-1.5.4-1] ill-formed sequences are refused at every offset", arguments: illFormed)
    func refusesIllFormed(_ name: String, _ sequence: [UInt8]) {
        forEachPlace(of: sequence) { text in
            #expect(!isValidUTF8(text), "\(name)")
            #expect(scanText(text.bytes, 0, text.count, isTopicName: true) == .illFormed)
        }
    }

    @Test("[MQTT-1.5.4-2] U+0000 is refused at every offset")
    func refusesNull() {
        forEachPlace(of: [0]) { #expect(scanText($0.bytes, 0, $0.count, isTopicName: false) == .null) }
        forEachPlace(of: [0xC3, 0xA4, 0]) { #expect(scanText($0.bytes, 0, $0.count, isTopicName: true) == .null) }
    }

    @Test("[MQTT-4.7.0-1] a wildcard is refused in a topic name only", arguments: ["+", "#", "ä/#"])
    func refusesWildcards(_ text: String) {
        forEachPlace(of: Array(text.utf8)) {
            #expect(isValidUTF8($0))
            #expect(!isValidTopicName($0))
            #expect(scanText($0.bytes, 0, $0.count, isTopicName: true) == .wildcard)
        }
    }

    @Test(
        "§1.5.4 control characters are refused in a topic name only",
        arguments: ["\u{1}", "\u{1F}", "\u{7F}", "\u{80}", "\u{9F}", "ä\u{85}"])
    func refusesControlCharacters(_ text: String) {
        forEachPlace(of: Array(text.utf8)) {
            #expect(isValidUTF8($0))
            let verdict = scanText($0.bytes, 0, $0.count, isTopicName: true)
            #expect(verdict == .control)
            let isFound = hasControlCharacter($0.bytes, 0, $0.count)
            #expect(isFound)
        }
    }

    @Test(
        "neighbours of the wildcards and of control characters pass",
        arguments: ["*", ",", "\"", "$", "~", " ", "\u{A0}", "\u{BF}", "\u{C0}"])
    func acceptsNeighbours(_ text: String) {
        forEachPlace(of: Array(text.utf8)) {
            #expect(isValidTopicName($0))
            let isFound = hasControlCharacter($0.bytes, 0, $0.count)
            #expect(!isFound)
        }
    }

    @Test("[MQTT-4.7.0-1] [MQTT-1.5.4-1] in a short topic name each byte is looked at")
    func shortTopicNames() {
        for count in 1...17 {
            let good = [UInt8](repeating: 0x7E, count: count)
            #expect(good.withUnsafeBytes(isValidTopicName))
            for place in 0..<count {
                for bad: UInt8 in [0x00, 0x1F, 0x23, 0x2B, 0x7F, 0x80, 0xFF] {
                    var bytes = good
                    bytes[place] = bad
                    #expect(!bytes.withUnsafeBytes(isValidTopicName), "\(bytes)")
                }
                var bytes = good
                bytes[place] = 0x20
                #expect(bytes.withUnsafeBytes(isValidTopicName), "\(bytes)")
            }
        }
    }

    @Test("[MQTT-4.7.3-1] [MQTT-4.7.3-3] a topic name has 1 to 65,535 bytes")
    func boundsTopicNames() {
        #expect(isValidUTF8(UnsafeRawBufferPointer(start: nil, count: 0)))
        #expect(!isValidTopicName(UnsafeRawBufferPointer(start: nil, count: 0)))
        [UInt8](repeating: 0x61, count: 65_535).withUnsafeBytes { #expect(isValidTopicName($0)) }
        [UInt8](repeating: 0x61, count: 65_536).withUnsafeBytes { #expect(!isValidTopicName($0)) }
    }

    /// Every sequence of one to three bytes that begins with a byte that is not ASCII, and of four from the leads that
    /// begin one, agrees with the standard library's decoder.
    @Test func agreesWithTheStandardLibrary() {
        for lead in 0x80...0xFF as ClosedRange<UInt8> {
            for second in 0x00...0xFF as ClosedRange<UInt8> {
                compare([lead, second])
                for third in [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF] as [UInt8] {
                    compare([lead, second, third])
                    compare([lead, second, third, 0x80])
                    compare([lead, second, third, 0xBF])
                }
            }
        }
    }

    private func compare(_ sequence: [UInt8]) {
        let expected = String(validating: sequence, as: UTF8.self).map { !$0.unicodeScalars.contains("\0") } ?? false
        let actual = sequence.withUnsafeBytes { isValidUTF8($0) }
        if actual != expected { Issue.record("\(sequence): \(actual)") }
    }

    /// `sequence` with 0...17 ASCII bytes before it and 0, 3 or 9 behind it.
    private func forEachPlace(of sequence: [UInt8], _ check: (UnsafeRawBufferPointer) -> Void) {
        for before in 0...17 {
            for after in [0, 3, 9] {
                let text = [UInt8](repeating: 0x61, count: before) + sequence + [UInt8](repeating: 0x7A, count: after)
                text.withUnsafeBytes(check)
            }
        }
    }
}
