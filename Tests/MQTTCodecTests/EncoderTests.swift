// SPDX-License-Identifier: Apache-2.0
// What the vectors cannot show of the encoders: downgrades to 3.x, packet size limits, and patched identifiers.

import MQTTCodec
import Testing

@Suite("Encoders")
struct EncoderTests {
    static let userProperty: [UInt8] = [0x26, 0, 1, 0x6B, 0, 1, 0x76]

    private func properties(_ body: (OutgoingProperties) -> Void) {
        let required: [UInt8] = [0x13, 0, 30]
        let reason = Array("no".utf8)
        required.withUnsafeBytes { required in
            reason.withUnsafeBytes { reason in
                Self.userProperty.withUnsafeBytes { user in
                    body(OutgoingProperties(required: required, reasonString: reason, userProperties: user))
                }
            }
        }
    }

    @Test("[MQTT-3.2.2-19] [MQTT-3.2.2-20] a CONNACK drops the reason string, then the user properties")
    func fitsConnack() {
        properties { properties in
            func encode(_ maximum: Int) -> [UInt8] {
                let encoder = ConnackEncoder(
                    version: .v5, reason: .success, properties: properties, maximumPacketSize: maximum)
                return write(encoder.size, encoder.encode)
            }
            let head: [UInt8] = [0, 0]
            let reason: [UInt8] = [0x1F, 0, 2, 0x6E, 0x6F]
            let full = [0x20, 18] + head + [15, 0x13, 0, 30] + reason + Self.userProperty
            let noReason = [0x20, 13] + head + [10, 0x13, 0, 30] + Self.userProperty
            let bare = [0x20, 6] + head + [3, 0x13, 0, 30]
            #expect(encode(20) == full)
            #expect(encode(19) == noReason)
            #expect(encode(15) == noReason)
            #expect(encode(14) == bare)
            #expect(encode(1) == bare, "what is required stays; the caller compares the size")
        }
    }

    @Test(
        "[MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.6.2-2] [MQTT-3.7.2-2] an ack fits its receiver",
        arguments: [PacketType.puback, .pubrec, .pubrel, .pubcomp])
    func fitsAcks(_ type: PacketType) {
        fits(fixedBody: 3) { properties, maximum in
            let encoder = AckEncoder(
                type, packetID: 1, version: .v5, properties: properties, maximumPacketSize: maximum)
            return write(encoder.size, encoder.encode)
        }
    }

    @Test(
        "[MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] a SUBACK fits its receiver",
        arguments: [PacketType.suback, .unsuback])
    func fitsSuback(_ type: PacketType) {
        fits(fixedBody: 3) { properties, maximum in
            [ReasonCode.success].withUnsafeBufferPointer { codes in
                let encoder = SubackEncoder(
                    type, version: .v5, packetID: 1, codes: codes, properties: properties, maximumPacketSize: maximum)
                return write(encoder.size, encoder.encode)
            }
        }
    }

    @Test(
        "[MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3] DISCONNECT and AUTH fit their receiver",
        arguments: [PacketType.disconnect, .auth])
    func fitsDisconnect(_ type: PacketType) {
        fits(fixedBody: 1) { properties, maximum in
            let encoder = DisconnectEncoder(type, properties: properties, maximumPacketSize: maximum)
            return write(encoder.size, encoder.encode)
        }
    }

    /// Three, ten or fifteen bytes of properties are left, whichever fits.
    private func fits(fixedBody: Int, _ encode: (OutgoingProperties, Int) -> [UInt8]) {
        properties { properties in
            let full = 2 + fixedBody + 1 + 15
            #expect(encode(properties, full).count == full)
            #expect(encode(properties, full - 1).count == full - 5)
            #expect(encode(properties, full - 5).count == full - 5)
            #expect(encode(properties, full - 6).count == full - 12)
            #expect(encode(properties, 1).count == full - 12)
        }
    }

    @Test("no property reaches a 3.x receiver", arguments: [ProtocolVersion.v31, .v311])
    func downgrades(_ version: ProtocolVersion) {
        properties { properties in
            let connack = ConnackEncoder(version: version, reason: .banned, properties: properties)
            #expect(write(connack.size, connack.encode) == [0x20, 2, 0, 5])
            let ack = AckEncoder(
                .pubrec, packetID: 7, reason: .quotaExceeded, version: version, properties: properties)
            #expect(write(ack.size, ack.encode) == [0x50, 2, 0, 7])
            let codes: [ReasonCode] = [.grantedQoS2, .notAuthorized, .topicFilterInvalid]
            codes.withUnsafeBufferPointer { codes in
                let suback = SubackEncoder(
                    .suback, version: version, packetID: 7, codes: codes, properties: properties)
                #expect(write(suback.size, suback.encode) == [0x90, 5, 0, 7, 2, 0x80, 0x80])
                let unsuback = SubackEncoder(
                    .unsuback, version: version, packetID: 7, codes: codes, properties: properties)
                #expect(write(unsuback.size, unsuback.encode) == [0xB0, 2, 0, 7])
            }
            let disconnect = DisconnectEncoder(version: version, reason: .serverBusy, properties: properties)
            #expect(write(disconnect.size, disconnect.encode) == [0xE0, 0])
        }
    }

    @Test("[MQTT-3.2.2-6] a refusal never says that a session is present, and 3.1 has no such flag")
    func sessionPresent() {
        func encode(_ version: ProtocolVersion, _ reason: ReasonCode) -> [UInt8] {
            let encoder = ConnackEncoder(version: version, sessionPresent: true, reason: reason)
            return write(encoder.size, encoder.encode)
        }
        #expect(encode(.v5, .success) == [0x20, 3, 1, 0, 0])
        #expect(encode(.v5, .serverBusy) == [0x20, 3, 0, 0x89, 0])
        #expect(encode(.v311, .success) == [0x20, 2, 1, 0])
        #expect(encode(.v311, .serverBusy) == [0x20, 2, 0, 3])
        #expect(encode(.v31, .success) == [0x20, 2, 0, 0])
    }

    @Test("an AUTH keeps its property length, a DISCONNECT with a reason alone needs none")
    func shortForms() {
        let auth = DisconnectEncoder(.auth, reason: .continueAuthentication)
        #expect(write(auth.size, auth.encode) == [0xF0, 2, 0x18, 0])
        let disconnect = DisconnectEncoder(reason: .serverShuttingDown)
        #expect(write(disconnect.size, disconnect.encode) == [0xE0, 1, 0x8B])
    }

    @Test("a PUBLISH encoded once is patched for each receiver", arguments: [ProtocolVersion.v311, .v5])
    func patchesPacketIDs(_ version: ProtocolVersion) throws {
        var bytes = Array("a/topic".utf8).withUnsafeBytes { topic in
            let header = PublishHeader(version: version, topic: topic, qos: 1, packetID: 1, payloadCount: 0)
            return write(header.size) { destination in
                let encoded = header.encode(into: destination)
                PublishHeader.patchPacketID(0xABCD, at: encoded.packetIDOffset, of: destination)
                return encoded.count
            }
        }
        #expect(
            try decodeCopy(bytes, version, .server)
                == .publish(PublishModel(topic: "a/topic", qos: 1, packetID: 0xABCD)))
        bytes.removeLast()
        #expect(try decodeCopy(bytes, version, .server) == nil)
    }

    @Test("[MQTT-2.2.1-2] a PUBLISH with QoS 0 has no identifier to patch")
    func hasNoPacketID() {
        let header = PublishHeader(
            version: .v311, topic: UnsafeRawBufferPointer(start: nil, count: 0), packetID: 5, payloadCount: 3)
        #expect(header.packetSize == 7)
        var packetIDOffset = -1
        let bytes = write(header.size) {
            let encoded = header.encode(into: $0)
            packetIDOffset = encoded.packetIDOffset
            return encoded.count
        }
        #expect(bytes == [0x30, 5, 0, 0])
        #expect(packetIDOffset == 0)
    }

    @Test(
        "a PUBLISH announces its size on both sides of each length boundary",
        arguments: [100, 120, 127, 128, 16_370, 16_384, 2_097_152])
    func sizes(_ payloadCount: Int) throws {
        for slack in 0..<20 {
            let model = PublishModel(
                topic: "t", payload: Text([UInt8](repeating: 0, count: payloadCount + slack)),
                properties: [.text(.correlationData, Text([UInt8](repeating: 1, count: 120 + slack)))])
            let bytes = PacketModel.publish(model).encode(.v5)
            #expect(try decodeCopy(bytes, .v5, .server) == .publish(model))
        }
    }
}
