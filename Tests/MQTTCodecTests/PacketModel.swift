// SPDX-License-Identifier: Apache-2.0
// What a packet says, as plain values, with both directions through the codec: tests and the fuzzer share it.

import MQTTCodec

/// Bytes that read as text in a table.
struct Text: Equatable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
    init(stringLiteral text: String) { bytes = Array(text.utf8) }
    init(arrayLiteral bytes: UInt8...) { self.bytes = bytes }
}

enum Prop: Equatable {
    case number(PropertyID, UInt32)
    case text(PropertyID, Text)
    case user(Text, Text)

    var id: PropertyID {
        switch self {
        case .number(let id, _), .text(let id, _): id
        case .user: .userProperty
        }
    }
}

struct ConnectModel: Equatable {
    var isBridge = false
    var cleanStart = true
    var keepAlive: UInt16 = 0
    var clientID: Text = ""
    var will: WillModel?
    var username: Text?
    var password: Text?
    var properties: [Prop] = []
}

struct WillModel: Equatable {
    var topic: Text
    var payload: Text
    var qos: UInt8 = 0
    var retain = false
    var properties: [Prop] = []
}

struct PublishModel: Equatable {
    var topic: Text
    var payload: Text = ""
    var qos: UInt8 = 0
    var retain = false
    var dup = false
    var packetID: UInt16 = 0
    var properties: [Prop] = []
}

struct SubscriptionModel: Equatable {
    var filter: Text
    var options: SubscribeOptions

    init(_ filter: Text, _ options: SubscribeOptions = SubscribeOptions(qos: 0)) {
        self.filter = filter
        self.options = options
    }
}

enum PacketModel: Equatable {
    case connect(ConnectModel)
    case connack(sessionPresent: Bool = false, ReasonCode, [Prop] = [])
    case publish(PublishModel)
    case ack(PacketType, UInt16, ReasonCode = .success, [Prop] = [])
    case subscribe(UInt16, [SubscriptionModel], [Prop] = [])
    case unsubscribe(UInt16, [Text], [Prop] = [])
    /// SUBACK and UNSUBACK.
    case codes(PacketType, UInt16, [ReasonCode], [Prop] = [])
    case ping(PacketType)
    case disconnect(ReasonCode = .success, [Prop] = [])
    case auth(ReasonCode = .success, [Prop] = [])
}
