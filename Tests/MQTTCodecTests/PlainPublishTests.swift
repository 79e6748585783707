// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Testing

@Suite("A PUBLISH without properties")
struct PlainPublishTests {
    /// Sizes on both sides of each length that a variable byte integer has.
    @Test(
        "It is what the full encoder makes of it [MQTT-2.2.2-1]",
        arguments: [ProtocolVersion.v31, .v311, .v5], [0, 1, 60, 110, 121, 122, 123, 124, 1_023, 16_370, 16_380])
    func sameBytes(version: ProtocolVersion, payloadCount: Int) {
        let payload = [UInt8](repeating: 0x70, count: payloadCount)
        for topicCount in [1, 2, 3, 300] {
            let topic = [UInt8](repeating: 0x74, count: topicCount)
            for flags in 0..<12 {
                let (qos, retain, dup) = (UInt8(flags / 4), flags & 1 != 0, flags & 2 != 0)
                topic.withUnsafeBytes { topic in
                    payload.withUnsafeBytes { payload in
                        let full = PublishHeader(
                            version: version, topic: topic, qos: qos, retain: retain, dup: dup, packetID: 0x1234,
                            payloadCount: payload.count)
                        let plain = PlainPublish(
                            version: version, topic: topic, payload: payload, qos: qos, retain: retain, dup: dup,
                            packetID: 0x1234)
                        #expect(plain.size == full.packetSize)
                        #expect(
                            written(plain.size) { plain.encode(into: $0) }
                                == written(full.packetSize) {
                                    _ = full.encode(into: $0, payload: payload)
                                })
                    }
                }
            }
        }
    }

    /// What is put there, and the byte behind it, which is to stay.
    private func written(_ size: Int, _ encode: (UnsafeMutableRawPointer) -> Void) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xA5, count: size + 1)
        bytes.withUnsafeMutableBytes { encode($0.baseAddress!) }
        return bytes
    }
}
