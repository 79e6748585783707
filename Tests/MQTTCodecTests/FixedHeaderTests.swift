// SPDX-License-Identifier: Apache-2.0

import MQTTCodec
import Testing

@Suite("Fixed header and variable byte integers")
struct FixedHeaderTests {
    static let lengths: [(Int, [UInt8])] = [
        (0, [0x00]), (1, [0x01]), (127, [0x7F]), (128, [0x80, 0x01]), (16_383, [0xFF, 0x7F]),
        (16_384, [0x80, 0x80, 0x01]), (2_097_151, [0xFF, 0xFF, 0x7F]), (2_097_152, [0x80, 0x80, 0x80, 0x01]),
        (268_435_455, [0xFF, 0xFF, 0xFF, 0x7F]),
    ]

    @Test("[MQTT-1.5.5-1] a variable byte integer takes as few bytes as it can", arguments: lengths)
    func variableByteIntegers(_ value: Int, _ bytes: [UInt8]) throws {
        #expect(varIntSize(value) == bytes.count)
        #expect(write(bytes.count) { encodeVarInt(value, into: $0) } == bytes)
        let decoded = try #require(try bytes.withUnsafeBytes { try decodeVarInt($0) })
        #expect(decoded.value == value)
        #expect(decoded.size == bytes.count)
        #expect(decoded.isMinimal)
        for length in 0..<bytes.count {
            #expect(
                try bytes.withUnsafeBytes { try decodeVarInt(UnsafeRawBufferPointer(rebasing: $0[..<length])) } == nil)
        }
    }

    @Test("a fixed header is read whatever follows it", arguments: lengths)
    func readsHeaders(_ length: Int, _ encoded: [UInt8]) throws {
        let header = try #require(try read([0x3B] + encoded + [0xFF, 0xFF], maximum: .max))
        let expected = FixedHeader(
            type: .publish, flags: 0x0B, headerLength: 1 + encoded.count, remainingLength: length)
        #expect(header == expected)
        #expect(header.packetLength == 1 + encoded.count + length)
        #expect(header.hasMinimalLength)
    }

    @Test("[MQTT-3.1.2-24] a packet over the maximum is refused before its body arrives")
    func refusesLargePackets() throws {
        #expect(try read([0x30, 98], maximum: 100) != nil)
        #expect(throws: DecodeError.self) { try read([0x30, 99], maximum: 100) }
        do throws(DecodeError) {
            _ = try read([0x30, 0xFF, 0xFF, 0x7F], maximum: 1 << 20)
            Issue.record("accepted")
        } catch {
            #expect(error.reason == .packetTooLarge)
        }
    }

    @Test("[MQTT-1.5.5-1] before its version is known, a CONNECT's length is left to the caller")
    func leavesLengthOfConnectToTheCaller() throws {
        let header = try #require(try read([0x10, 0x8C, 0x00], maximum: 1000))
        #expect(!header.hasMinimalLength)
        #expect(header.remainingLength == 12)
    }

    @Test("nothing is known without a byte, and a right first byte is not enough")
    func waits() throws {
        #expect(try read([], maximum: 10) == nil)
        #expect(try read([0x30], maximum: 10) == nil)
        #expect(try read([0x30, 0x80, 0x80, 0x80], maximum: 10) == nil)
    }

    @Test(
        "[MQTT-2.1.3-1] [MQTT-3.3.1-4] type and flags are judged alike, whether the packet is short or long",
        arguments: [nil, .v31, .v311, .v5] as [ProtocolVersion?])
    func firstByte(version: ProtocolVersion?) throws {
        for first in UInt8.min...UInt8.max {
            let (short, long) = (judge([first, 0x7F], version), judge([first, 0x80, 0x01], version))
            #expect(short == long, "\(first)")
        }
        // A short one is refused where it is too large, too.
        #expect(throws: DecodeError.self) { try read([0x30, 0x7F], maximum: 128) }
        #expect(try read([0x30, 0x7F], maximum: 129)?.packetLength == 129)
    }

    /// What is said of a first byte.
    private func judge(_ bytes: [UInt8], _ version: ProtocolVersion?) -> String {
        do {
            let header = try readFixedHeader(bytes.span.bytes, maxPacketSize: .max, version: version)
            return header.map { "\($0.type) \($0.flags) \($0.headerLength == bytes.count)" } ?? "more"
        } catch {
            return "\(error)"
        }
    }

    private func read(_ bytes: [UInt8], maximum: Int) throws(DecodeError) -> FixedHeader? {
        try readFixedHeader(bytes.span.bytes, maxPacketSize: maximum)
    }
}
