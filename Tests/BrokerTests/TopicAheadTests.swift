// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@testable import Broker

@Suite struct TopicAheadTests {
    private static let first: [UInt8] = [0x30, 5, 0, 1, 0x61, 1, 2]

    private static func topic(_ packet: [UInt8]) -> String? {
        packet.withUnsafeBytes { TopicAhead.topic(of: $0).map { String(decoding: $0, as: UTF8.self) } }
    }

    @Test("The topic is found behind a length of one to four bytes, whole or not at all")
    func topics() {
        for length: [UInt8] in [[7], [0x87, 1], [0x87, 0x80, 1], [0x87, 0x80, 0x80, 1]] {
            let packet = [0x32] + length + [0, 3] + Array("a/b".utf8)
            #expect(Self.topic(packet) == "a/b")
            #expect(Self.topic(packet + [0, 1, 9]) == "a/b")
            for count in 0..<packet.count { #expect(Self.topic(Array(packet[..<count])) == nil) }
        }
        #expect(Self.topic([0x30, 4, 0, 0, 1, 2]) == nil, "There is an alias instead")
        #expect(Self.topic([0x40, 7, 0, 3] + Array("a/b".utf8)) == nil, "It is no PUBLISH")
        #expect(Self.topic([UInt8](repeating: 0xff, count: 20)) == nil)
        #expect(Self.topic([0x3f] + [UInt8](repeating: 0xff, count: 20)) == nil)
    }

    @Test("A hash belongs to the very bytes it was made of, and to their input")
    func hashes() {
        let input = Self.first + [0x30, 6, 0, 3] + Array("x/y".utf8) + [1]
        input.withUnsafeBytes { bytes in
            let next = bytes.baseAddress! + Self.first.count
            let topic = Bytes(rebasing: bytes[11..<14])
            var ahead = TopicAhead()
            #expect(ahead.look(at: next, seed: 5) == nil, "No input has begun")
            ahead.begin(bytes)
            #expect(ahead.hash(of: topic) == nil)
            #expect(ahead.look(at: next, seed: 5) == Topics.hash(topic, seed: 5))
            #expect(ahead.hash(of: topic) == Topics.hash(topic, seed: 5))
            #expect(ahead.hash(of: Bytes(rebasing: bytes[11..<13])) == nil)
            #expect(ahead.hash(of: Bytes(rebasing: bytes[4..<5])) == nil)
            #expect(ahead.look(at: bytes.baseAddress! + bytes.count, seed: 5) == nil, "Nothing is behind the last")
            #expect(ahead.hash(of: topic) == nil)
            #expect(ahead.look(at: next, seed: 5) != nil)
            ahead.begin(bytes)
            #expect(ahead.hash(of: topic) == nil)
        }
    }
}
