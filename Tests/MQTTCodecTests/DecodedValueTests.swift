// SPDX-License-Identifier: Apache-2.0
// Values that decoders pick out of the property blocks, which the packet vectors do not show.

import MQTTCodec
import Testing

@Suite("Decoded values")
struct DecodedValueTests {
    private func body(_ name: String) throws -> [UInt8] {
        let vector = try #require(validVectors.first { $0.name == name })
        return Array(vector.bytes[2...])
    }

    private func text(_ range: ByteRange?, _ body: [UInt8]) -> String? {
        range.map { range in body.withUnsafeBytes { String(decoding: range.bytes(in: $0.baseAddress!), as: UTF8.self) }
        }
    }

    @Test func connectProperties() throws {
        let body = try body("CONNECT 5 with every property")
        let packet = try ConnectPacket.decode(body.span.bytes, flags: 0)
        #expect(packet.version == .v5)
        #expect(packet.sessionExpiry == 3600)
        #expect(packet.receiveMaximum == 10)
        #expect(packet.maximumPacketSize == 65_536)
        #expect(packet.topicAliasMaximum == 16)
        #expect(packet.requestResponseInformation)
        #expect(!packet.requestProblemInformation)
        #expect(text(packet.authMethod, body) == "ab")
        #expect(packet.authData?.count == 5)
        let will = try #require(packet.will)
        #expect(will.delayInterval == 5)
        #expect(will.messageExpiry == 9)
        #expect(will.payloadIsText)
    }

    @Test func connectDefaults() throws {
        let body = try body("CONNECT 5")
        let packet = try ConnectPacket.decode(body.span.bytes, flags: 0)
        #expect(packet.sessionExpiry == 0)
        #expect(packet.receiveMaximum == 65_535)
        #expect(packet.maximumPacketSize == .max)
        #expect(packet.topicAliasMaximum == 0)
        #expect(!packet.requestResponseInformation)
        #expect(packet.requestProblemInformation)
        #expect(packet.authMethod == nil)
        #expect(packet.will == nil)
    }

    @Test("[MQTT-3.1.2-1] [MQTT-3.1.2-2] the version is known before the packet is judged")
    func announcements() throws {
        func announcement(_ wire: Wire) -> ConnectPacket.Announcement {
            wire.bytes.withUnsafeBytes { ConnectPacket.announcement(in: $0) }
        }
        #expect(announcement([0, 4, "MQTT", 5, 0xFF]) == .supported(.v5))
        #expect(announcement([0, 4, "MQTT", 4]) == .supported(.v311))
        #expect(announcement([0, 6, "MQIsdp", 3]) == .supported(.v31))
        #expect(announcement([0, 6, "MQIsdp", 0x83]) == .supported(.v31))
        #expect(announcement([0, 4, "MQTT", 6]) == .unsupportedLevel(6))
        #expect(announcement([0, 4, "MQTT", 0x85]) == .unsupportedLevel(0x85))
        #expect(announcement([0, 6, "MQIsdp", 4]) == .unsupportedLevel(4))
        #expect(announcement([0, 4, "MQTX", 4]) == .unknownProtocol)
        #expect(announcement([0, 4, "MQTT"]) == .unknownProtocol)
        #expect(announcement([0]) == .unknownProtocol)
        #expect(announcement([]) == .unknownProtocol)
    }

    @Test func connackProperties() throws {
        let body = try body("CONNACK 5 with every property")
        let packet = try ConnackPacket.decode(body.span.bytes, flags: 0, version: .v5)
        #expect(packet.sessionExpiry == 9)
        #expect(packet.receiveMaximum == 7)
        #expect(packet.maximumQoS == 1)
        #expect(!packet.retainAvailable)
        #expect(packet.maximumPacketSize == 512)
        #expect(text(packet.assignedClientID, body) == "id")
        #expect(packet.topicAliasMaximum == 3)
        #expect(packet.wildcardsAvailable)
        #expect(!packet.subscriptionIDsAvailable)
        #expect(packet.sharedSubscriptionsAvailable)
        #expect(packet.serverKeepAlive == 30)
        #expect(text(packet.responseInformation, body) == "r/")
        #expect(text(packet.serverReference, body) == "b")
        #expect(text(packet.authMethod, body) == "m")
        #expect(text(packet.authData, body) == "\0")
        #expect(text(packet.reasonString, body) == "t")
    }

    @Test func publishProperties() throws {
        let body = try body("PUBLISH 5 QoS 1 with every property of a client")
        let packet = try PublishPacket.decode(body.span.bytes, flags: 0x02, version: .v5)
        #expect(packet.topicAlias == 5)
        #expect(packet.messageExpiry == 3600)
        #expect(packet.payloadIsText)
        #expect(!packet.hasSubscriptionID)
        #expect(packet.hasOwnProperties)
    }

    @Test("[MQTT-3.3.4-6] subscription identifiers are reported, for the broker to refuse")
    func publishSubscriptionIDs() throws {
        let body = try body("PUBLISH 5 of a server with two subscription identifiers")
        let packet = try PublishPacket.decode(body.span.bytes, flags: 0x04, version: .v5)
        #expect(packet.hasSubscriptionID)
        #expect(packet.hasOwnProperties)
    }

    @Test func propertiesThatPassThroughAreNotThePublishersOwn() throws {
        let wire: Wire = [0, 1, "t", 7, 0x26, 0, 1, "k", 0, 1, "v"]
        let body = wire.bytes
        let packet = try PublishPacket.decode(body.span.bytes, flags: 0, version: .v5)
        #expect(!packet.hasOwnProperties)
        #expect(packet.properties == ByteRange(start: 4, count: 7))
    }

    @Test func subscriptionIdentifier() throws {
        let body = try body("SUBSCRIBE 5 with every option and an identifier")
        let packet = try SubscribePacket.decode(body.span.bytes, flags: 0x02, version: .v5)
        #expect(packet.subscriptionID == 128)
        var filters = packet.filters
        let first = filters.next(in: body.span.bytes)
        let options = try #require(first).options
        #expect(options.qos == 2)
        #expect(options.noLocal)
        #expect(options.retainAsPublished)
        #expect(options.retainHandling == 2)
    }

    @Test func disconnectAndAuthProperties() throws {
        let server = try body("DISCONNECT 5 of a server")
        let moved = try DisconnectPacket.decode(server.span.bytes, from: .server, version: .v5)
        #expect(text(moved.serverReference, server) == "b:18")
        #expect(text(moved.reasonString, server) == "r")
        let client = try body("DISCONNECT 5 with a Session Expiry Interval")
        #expect(try DisconnectPacket.decode(client.span.bytes, from: .client, version: .v5).sessionExpiry == .max)
        let auth = try body("AUTH that continues")
        let packet = try AuthPacket.decode(auth.span.bytes, from: .client, version: .v5)
        #expect(text(packet.method, auth) == "ab")
        #expect(packet.data?.count == 2)
        let empty: [UInt8] = []
        let bare = try AuthPacket.decode(empty.span.bytes, from: .server, version: .v5)
        #expect(bare.method == nil)
        #expect(bare.reason == .success)
    }

    @Test("MQTT 3.1.1 §3.2.2.3: each MQTT 5 refusal has a 3.x return code, 0 is success alone")
    func returnCodes() {
        for code in 0...5 as ClosedRange<UInt8> {
            #expect(ReasonCode(connackReturnCode311: code)?.connackReturnCode311 == code)
        }
        #expect(ReasonCode(connackReturnCode311: 6) == nil)
        for raw in 0x80...0xFF as ClosedRange<UInt8> {
            #expect((1...5).contains(ReasonCode(rawValue: raw).connackReturnCode311))
        }
    }
}
