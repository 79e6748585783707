// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import BenchCore

/// Runs `body` on the packet at the start of `bytes`.
private func read(_ bytes: [UInt8], _ body: (PacketView) -> Void = { _ in }) -> PacketView.Found {
    bytes.withUnsafeBufferPointer {
        var view = PacketView(first: 0, body: $0.baseAddress!, length: 0)
        let found = PacketView.read($0.baseAddress!, $0.count, into: &view)
        if case .packet = found { body(view) }
        return found
    }
}

@Suite struct PacketReaderTests {
    @Test(arguments: [0, 1, 2] as [UInt8], [4, 5] as [UInt8])
    func aPublishIsReadAsItWasWrittenAndOnlyWhenWhole(qos: UInt8, version: UInt8) {
        for size in [0, 1, 100, 127, 128, 16_384, 70_000] {
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            let bytes = Packet.publish("a/b", payload: payload, qos: qos, retain: false, version: version)
            for cut in Set([1, 2, 3, 4, 5, bytes.count / 2, bytes.count - 1]) where cut < bytes.count {
                #expect(read(Array(bytes[0..<cut])) == .incomplete)
            }
            let found = read(bytes + [0xFF]) { packet in
                let publish = PublishView(packet, version: version)!
                #expect(publish.topicLength == 3)
                #expect(publish.packetID == (qos > 0 ? 1 : 0))
                #expect(Array(UnsafeBufferPointer(start: publish.payload, count: publish.payloadLength)) == payload)
            }
            #expect(found == .packet(bytes.count))
        }
    }

    @Test func aLengthOfMoreThanFourBytesIsMalformed() {  // [MQTT-1.5.5-1]
        #expect(read([0x30, 0x80, 0x80, 0x80, 0x80, 0x01, 0]) == .malformed)
        #expect(read([0x30, 0x80, 0x80, 0x80]) == .incomplete)
    }

    @Test func aPublishWhoseTopicRunsPastItsEndIsRefused() {
        _ = read([0x30, 3, 0, 9, 0x61]) { #expect(PublishView($0, version: 4) == nil) }
        _ = read([0x32, 3, 0, 1, 0x61]) { #expect(PublishView($0, version: 4) == nil) }
        _ = read([0x32, 5, 0, 1, 0x61, 0, 0]) { #expect(PublishView($0, version: 4) == nil) }  // [MQTT-2.2.1-3]
        _ = read([0x30, 4, 0, 1, 0x61, 0x05]) { #expect(PublishView($0, version: 5) == nil) }
    }

    @Test func aConnackOfMQTT5TellsTheReceiveMaximum() {
        let properties: [UInt8] = [0x12, 0, 2, 0x61, 0x62, 0x21, 0, 32, 0x24, 1, 0x26, 0, 1, 0x61, 0, 1, 0x62]
        let bytes = Packet.packet(0x20, [1, 0, UInt8(properties.count)] + properties)
        _ = read(bytes) { packet in
            let answer = ConnackView(packet, version: 5)!
            #expect(answer.sessionPresent)
            #expect(answer.receiveMaximum == 32)
            #expect(answer.maximumQoS == 1)
        }
        _ = read([0x20, 2, 0, 5]) { #expect(ConnackView($0, version: 4)?.reason == 5) }
        _ = read([0x20, 4, 0, 0, 1, 0x7F]) { #expect(ConnackView($0, version: 5) == nil) }
    }
}

@Suite struct PublishTemplateTests {
    @Test(arguments: [0, 1, 2] as [UInt8], [4, 5] as [UInt8])
    func patchingGivesAWholePacketWithItsStampAndIdentifier(qos: UInt8, version: UInt8) {
        let template = PublishTemplate(
            .numbered(prefix: "r/"), size: 64, qos: qos, retain: true, version: version, run: 7, publisher: 9)
        defer { template.free() }
        var bytes = [UInt8](repeating: 0, count: template.length)
        var random: UInt64 = 1
        bytes.withUnsafeMutableBufferPointer {
            template.write(to: $0.baseAddress!, sequence: 123_456, time: 42, packetID: 0x0A0B, random: &random)
        }
        let found = read(bytes) { packet in
            #expect(packet.first == 0x31 | qos << 1)
            let publish = PublishView(packet, version: version)!
            #expect(publish.packetID == (qos > 0 ? 0x0A0B : 0))
            let topic = UnsafeBufferPointer(start: publish.topic, count: publish.topicLength)
            #expect(String(decoding: topic, as: UTF8.self) == "r/0123456")
            let stamp = Stamp(publish.payload)
            #expect((stamp.run, stamp.publisher, stamp.sequence, stamp.time) == (7, 9, 123_456, 42))
        }
        #expect(found == .packet(bytes.count))
    }

    @Test func wildcardTopicsVaryAndKeepTheirShape() {
        let template = PublishTemplate(
            .wildcard(prefix: "a", filters: 500), size: 64, qos: 1, retain: false, version: 5, run: 7, publisher: 9)
        defer { template.free() }
        var random: UInt64 = 1
        var topics = Set<String>()
        for sequence in 0..<1000 {
            var bytes = [UInt8](repeating: 0, count: template.length)
            bytes.withUnsafeMutableBufferPointer {
                template.write(to: $0.baseAddress!, sequence: UInt64(sequence), time: 0, packetID: 1, random: &random)
            }
            _ = read(bytes) { packet in
                let publish = PublishView(packet, version: 5)!
                let topic = UnsafeBufferPointer(start: publish.topic, count: publish.topicLength)
                topics.insert(String(decoding: topic, as: UTF8.self))
            }
        }
        #expect(topics.count > 990)
        for topic in topics {
            let levels = topic.split(separator: "/")
            #expect(levels.count == 5 && levels[0] == "a" && levels[2] == "x" && levels[4] == "t")
            #expect(levels[1].count == 6 && Int(levels[3])! < 500)
        }
    }
}

@Suite struct InflightTests {
    @Test func anIdentifierIsFreeOnlyAfterItsWholeHandshake() {
        var inflight = Inflight(window: 2)
        defer { inflight.deallocate() }
        let one = Int(inflight.take(at: 10))
        let two = Int(inflight.take(at: 20))
        #expect(Set([one, two]) == [1, 2])
        #expect(inflight.free == 0)
        #expect(inflight.complete(one) == nil)
        #expect(inflight.finish(one) == 10)
        #expect(inflight.finish(one) == nil)
        let first = inflight.received(two)
        let second = inflight.received(two)
        #expect(first && !second)
        #expect(inflight.finish(two) == nil)
        #expect(inflight.complete(two) == 20)
        #expect(inflight.free == 2)
        let zero = inflight.received(0)
        #expect(!zero)
        #expect(inflight.finish(3) == nil)
    }

    @Test func theBrokersReceiveMaximumLowersTheWindow() {
        var inflight = Inflight(window: 100)
        defer { inflight.deallocate() }
        inflight.limit(to: 3)
        #expect(Set((0..<3).map { _ in inflight.take(at: 0) }) == [1, 2, 3])
        #expect(inflight.free == 0)
    }
}
