// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

let validPublishes: [ValidVector] = [
    ValidVector(
        "PUBLISH 3.1.1 QoS 0", .v311,
        [
            0x30, 7,  // PUBLISH, remaining length
            0, 3, "a/b",  // topic
            "hi",  // payload
        ], .publish(PublishModel(topic: "a/b", payload: "hi"))),
    ValidVector(
        "PUBLISH 3.1 QoS 0 with DUP, which 3.1 gives no meaning", .v31, [0x38, 3, 0, 1, "t"],
        .publish(PublishModel(topic: "t", dup: true))),
    ValidVector(
        "PUBLISH 3.1.1 without payload, retained", .v311, [0x31, 3, 0, 1, "t"],
        .publish(PublishModel(topic: "t", retain: true))),
    ValidVector(
        "PUBLISH 3.1.1 QoS 1", .v311,
        [
            0x32, 6, 0, 1, "t",
            0x12, 0x34,  // packet identifier
            "x",
        ], .publish(PublishModel(topic: "t", payload: "x", qos: 1, packetID: 0x1234))),
    ValidVector(
        "PUBLISH 3.1.1 QoS 2 with DUP and RETAIN", .v311, [0x3D, 6, 0, 1, "t", 0, 1, "x"],
        .publish(PublishModel(topic: "t", payload: "x", qos: 2, retain: true, dup: true, packetID: 1))),
    ValidVector(
        "PUBLISH 3.1.1 with non-ASCII levels and a BOM, which stays [MQTT-1.5.4-3]", .v311,
        [
            0x30, 16, 0, 13,
            0xEF, 0xBB, 0xBF, "/ß/",  // U+FEFF first
            0xF0, 0x9F, 0x90, 0xA6, "/ ",  // a bird
            0,  // payload: any byte
        ], .publish(PublishModel(topic: "\u{FEFF}/ß/\u{1F426}/ ", payload: [0]))),
    ValidVector(
        "PUBLISH 5 QoS 0", .v5,
        [
            0x30, 6, 0, 1, "t",
            0,  // no properties
            "hi",
        ], .publish(PublishModel(topic: "t", payload: "hi"))),
    ValidVector(
        "PUBLISH 5 QoS 1 with every property of a client", .v5,
        [
            0x32, 47, 0, 1, "t", 0xFF, 0xFF,
            40,
            0x23, 0, 5,  // topic alias
            0x02, 0, 0, 0x0E, 0x10,  // message expiry interval
            0x01, 1,  // payload format indicator
            0x03, 0, 1, "j",  // content type
            0x08, 0, 3, "r/t",  // response topic
            0x09, 0, 2, 0, 0xFF,  // correlation data
            0x26, 0, 1, "k", 0, 1, "v",  // user properties
            0x26, 0, 1, "k", 0, 2, "v2",
            "x",
        ],
        .publish(
            PublishModel(
                topic: "t", payload: "x", qos: 1, packetID: 0xFFFF,
                properties: [
                    .number(.topicAlias, 5), .number(.messageExpiryInterval, 3600),
                    .number(.payloadFormatIndicator, 1), .text(.contentType, "j"), .text(.responseTopic, "r/t"),
                    .text(.correlationData, [0, 0xFF]), .user("k", "v"), .user("k", "v2"),
                ]))),
    ValidVector(
        "PUBLISH 5 with an alias for its topic", .v5,
        [
            0x30, 7,
            0, 0,  // no topic
            3, 0x23, 0, 1, "x",
        ], .publish(PublishModel(topic: "", payload: "x", properties: [.number(.topicAlias, 1)]))),
    ValidVector(
        "PUBLISH 5 of a server with two subscription identifiers", .v5, from: .server,
        [
            0x34, 15, 0, 1, "t", 0, 9,
            7,
            0x0B, 1,
            0x0B, 0xFF, 0xFF, 0xFF, 0x7F,  // 268,435,455
            "yy",
        ],
        .publish(
            PublishModel(
                topic: "t", payload: "yy", qos: 2, packetID: 9,
                properties: [.number(.subscriptionIdentifier, 1), .number(.subscriptionIdentifier, 268_435_455)]))),
    ValidVector(
        "PUBLISH 5 with its own properties behind those it hands on", .v5,
        [0x30, 17, 0, 1, "t", 13, 0x01, 0, 0x02, 0, 0, 0, 9, 0x03, 0, 0, 0x23, 0, 7],
        .publish(
            PublishModel(
                topic: "t",
                properties: [
                    .number(.payloadFormatIndicator, 0), .number(.messageExpiryInterval, 9),
                    .text(.contentType, ""), .number(.topicAlias, 7),
                ])), isCanonical: false),
]

let invalidPublishes: [InvalidVector] = [
    InvalidVector("PUBLISH with QoS 3 [MQTT-3.3.1-4]", .v311, .malformedPacket, [0x36, 6, 0, 1, "t", 0, 1, "x"]),
    InvalidVector("PUBLISH 5 with QoS 3 [MQTT-3.3.1-4]", .v5, .malformedPacket, [0x36]),
    InvalidVector("PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]", .v311, .malformedPacket, [0x38, 3, 0, 1, "t"]),
    InvalidVector("PUBLISH 5 with DUP and QoS 0 [MQTT-3.3.1-2]", .v5, .malformedPacket, [0x38, 4, 0, 1, "t", 0]),
    InvalidVector("PUBLISH without a topic [MQTT-4.7.3-1]", .v311, .protocolError, [0x30, 3, 0, 0, "x"]),
    InvalidVector(
        "PUBLISH 5 with neither topic nor alias [MQTT-4.7.3-1]", .v5, .protocolError, [0x30, 4, 0, 0, 0, "x"]),
    InvalidVector(
        "PUBLISH to a filter with # [MQTT311-4.7.1-1] [MQTT-4.7.0-1]", .v311, .topicNameInvalid,
        [0x30, 5, 0, 3, "a/#"]),
    InvalidVector(
        "PUBLISH 5 to a filter with + [MQTT-4.7.0-1]", .v5, .topicNameInvalid,
        [0x30, 13, 0, 10, "abcdefgh/+", 0]),
    InvalidVector(
        "PUBLISH with U+0000 in its topic [MQTT311-1.5.3-2] [MQTT-1.5.4-2]", .v311, .malformedPacket,
        [0x30, 5, 0, 3, "a", 0, "b"]),
    InvalidVector(
        "PUBLISH with an overlong encoding in its topic [MQTT311-1.5.3-1] [MQTT-1.5.4-1]", .v311, .malformedPacket,
        [0x30, 4, 0, 2, 0xC0, 0xAF]),
    InvalidVector(
        "PUBLISH with QoS 1 and identifier 0 [MQTT311-2.3.1-1] [MQTT-2.2.1-3]", .v311, .protocolError,
        [0x32, 5, 0, 1, "t", 0, 0]),
    InvalidVector(
        "PUBLISH 5 with QoS 2 and identifier 0 [MQTT-2.2.1-3]", .v5, .protocolError, [0x34, 6, 0, 1, "t", 0, 0, 0]),
    InvalidVector("PUBLISH whose topic passes its end [§1.2]", .v311, .malformedPacket, [0x30, 3, 0, 2, "t"]),
    InvalidVector("PUBLISH with half a packet identifier [§1.2]", .v311, .malformedPacket, [0x32, 4, 0, 1, "t", 0]),
    InvalidVector("PUBLISH 5 without a property length [§1.2]", .v5, .malformedPacket, [0x30, 3, 0, 1, "t"]),
    InvalidVector("PUBLISH without a body [§1.2]", .v311, .malformedPacket, [0x30, 0]),
    InvalidVector(
        "PUBLISH with Topic Alias 0 [MQTT-3.3.2-8]", .v5, .topicAliasInvalid, [0x30, 7, 0, 1, "t", 3, 0x23, 0, 0]),
    InvalidVector(
        "PUBLISH with Topic Alias twice [§2.2.2.2]", .v5, .protocolError,
        [0x30, 10, 0, 1, "t", 6, 0x23, 0, 1, 0x23, 0, 1]),
    InvalidVector(
        "PUBLISH with Subscription Identifier 0 [§3.8.2.1.2]", .v5, .protocolError, [0x30, 6, 0, 1, "t", 2, 0x0B, 0]),
    InvalidVector(
        "PUBLISH with Payload Format Indicator 2 [§2.2.2.2]", .v5, .protocolError, [0x30, 6, 0, 1, "t", 2, 0x01, 2]),
    InvalidVector(
        "PUBLISH with a wildcard in its response topic [MQTT-4.7.0-1]", .v5, .topicNameInvalid,
        [0x30, 8, 0, 1, "t", 4, 0x08, 0, 1, "+"]),
    InvalidVector(
        "PUBLISH with an empty response topic [MQTT-4.7.3-1]", .v5, .protocolError,
        [0x30, 7, 0, 1, "t", 3, 0x08, 0, 0]),
    InvalidVector(
        "PUBLISH with an ill-formed content type [MQTT-1.5.4-1]", .v5, .malformedPacket,
        [0x30, 8, 0, 1, "t", 4, 0x03, 0, 1, 0x80]),
    InvalidVector(
        "PUBLISH with a reason string [§2.2.2.2]", .v5, .malformedPacket, [0x30, 8, 0, 1, "t", 4, 0x1F, 0, 1, "x"]),
    InvalidVector(
        "PUBLISH with the will's delay [§2.2.2.2]", .v5, .malformedPacket,
        [0x30, 9, 0, 1, "t", 5, 0x18, 0, 0, 0, 1]),
    InvalidVector(
        "PUBLISH with a property identifier in two bytes [§2.2.2.2]", .v5, .malformedPacket,
        [0x30, 7, 0, 1, "t", 3, 0x81, 0x00, 1]),
    InvalidVector(
        "PUBLISH with a subscription identifier longer than needed [MQTT-1.5.5-1]", .v5, .malformedPacket,
        [0x30, 7, 0, 1, "t", 3, 0x0B, 0x81, 0x00]),
]
