// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

let validConnects: [ValidVector] = [
    ValidVector(
        "CONNECT 3.1", .v31,
        [
            0x10, 16,  // CONNECT, remaining length
            0, 6, "MQIsdp", 3,  // protocol name and level
            0x02,  // clean session
            0, 60,  // keep alive
            0, 2, "c1",  // client identifier
        ], .connect(ConnectModel(keepAlive: 60, clientID: "c1"))),
    ValidVector(
        "CONNECT 3.1 of a bridge", .v31,
        [
            0x10, 16,
            0, 6, "MQIsdp", 0x83,  // the level with the bridge bit
            0x02, 0, 60,
            0, 2, "c1",
        ], .connect(ConnectModel(isBridge: true, keepAlive: 60, clientID: "c1"))),
    ValidVector(
        "CONNECT 3.1 with user name and password announced but missing (3.1 §3.1)", .v31,
        [
            0x10, 16, 0, 6, "MQIsdp", 3,
            0xC2,  // user name, password, clean session
            0, 60,
            0, 2, "c1",  // and the packet ends
        ], .connect(ConnectModel(keepAlive: 60, clientID: "c1")), isCanonical: false),
    ValidVector(
        "CONNECT 3.1 with its unused flag, will QoS and will RETAIN set", .v31,
        [0x10, 16, 0, 6, "MQIsdp", 3, 0x2B, 0, 60, 0, 2, "c1"],
        .connect(ConnectModel(keepAlive: 60, clientID: "c1")), isCanonical: false),
    ValidVector(
        "CONNECT 3.1.1", .v311,
        [
            0x10, 12,
            0, 4, "MQTT", 4,  // protocol name and level
            0x00,  // a session to keep
            0, 0,  // no keep alive
            0, 0,  // no client identifier: for the broker to refuse
        ], .connect(ConnectModel(cleanStart: false))),
    ValidVector(
        "CONNECT 3.1.1 with everything", .v311,
        [
            0x10, 34, 0, 4, "MQTT", 4,
            0xEE,  // user name, password, will RETAIN, will QoS 1, will, clean session
            0x01, 0x2C,  // keep alive 300
            0, 2, "c1",
            0, 4, "w/ä",  // will topic
            0, 3, "bye",  // will message
            0, 2, "ab",  // user name
            0, 3, 0, 0xFF, 1,  // password: any bytes
        ],
        .connect(
            ConnectModel(
                keepAlive: 300, clientID: "c1", will: WillModel(topic: "w/ä", payload: "bye", qos: 1, retain: true),
                username: "ab", password: [0, 0xFF, 1]))),
    ValidVector(
        "CONNECT 3.1.1 of a bridge", .v311,
        [0x10, 13, 0, 4, "MQTT", 0x84, 0x02, 0, 60, 0, 1, "c"],
        .connect(ConnectModel(isBridge: true, keepAlive: 60, clientID: "c"))),
    ValidVector(
        "CONNECT 3.1.1 with an empty will message and an empty user name", .v311,
        [0x10, 20, 0, 4, "MQTT", 4, 0x86, 0, 60, 0, 1, "c", 0, 1, "w", 0, 0, 0, 0],
        .connect(
            ConnectModel(
                keepAlive: 60, clientID: "c", will: WillModel(topic: "w", payload: ""), username: ""))),
    ValidVector(
        "CONNECT 5", .v5,
        [
            0x10, 14, 0, 4, "MQTT", 5,
            0x02, 0, 60,
            0,  // no properties
            0, 1, "c",
        ], .connect(ConnectModel(keepAlive: 60, clientID: "c"))),
    ValidVector(
        "CONNECT 5 with a password and no user name", .v5,
        [0x10, 17, 0, 4, "MQTT", 5, 0x42, 0, 60, 0, 0, 1, "c", 0, 1, "p"],
        .connect(ConnectModel(keepAlive: 60, clientID: "c", password: "p"))),
    ValidVector(
        "CONNECT 5 with every property", .v5,
        [
            0x10, 85, 0, 4, "MQTT", 5,
            0xD6,  // user name, password, will QoS 2, will, clean start
            0, 60,
            40,  // properties
            0x11, 0, 0, 0x0E, 0x10,  // session expiry interval 3600
            0x21, 0, 10,  // receive maximum
            0x27, 0, 1, 0, 0,  // maximum packet size
            0x22, 0, 16,  // topic alias maximum
            0x19, 1,  // request response information
            0x17, 0,  // request problem information
            0x26, 0, 1, "k", 0, 1, "v",  // user property
            0x15, 0, 2, "ab",  // authentication method
            0x16, 0, 5, 0, 1, 2, 3, 4,  // authentication data
            0, 0,  // client identifier
            18,  // will properties
            0x18, 0, 0, 0, 5,  // will delay interval
            0x01, 1,  // payload format indicator
            0x02, 0, 0, 0, 9,  // message expiry interval
            0x03, 0, 3, "t/p",  // content type
            0, 1, "w", 0, 2, "hi",  // will
            0, 1, "u", 0, 1, "p",
        ],
        .connect(
            ConnectModel(
                keepAlive: 60,
                will: WillModel(
                    topic: "w", payload: "hi", qos: 2,
                    properties: [
                        .number(.willDelayInterval, 5), .number(.payloadFormatIndicator, 1),
                        .number(.messageExpiryInterval, 9), .text(.contentType, "t/p"),
                    ]),
                username: "u", password: "p",
                properties: [
                    .number(.sessionExpiryInterval, 3600), .number(.receiveMaximum, 10),
                    .number(.maximumPacketSize, 65536), .number(.topicAliasMaximum, 16),
                    .number(.requestResponseInformation, 1), .number(.requestProblemInformation, 0),
                    .user("k", "v"), .text(.authenticationMethod, "ab"),
                    .text(.authenticationData, [0, 1, 2, 3, 4]),
                ]))),
    ValidVector(
        "CONNECT 5 whose will has response topic, correlation data and user properties", .v5,
        [
            0x10, 47, 0, 4, "MQTT", 5, 0x06, 0, 0, 0,
            0, 1, "c",
            24,
            0x08, 0, 2, "re",  // response topic
            0x09, 0, 2, 0, 0xFF,  // correlation data
            0x26, 0, 1, "b", 0, 1, "1",  // user properties, in order, the name twice
            0x26, 0, 1, "b", 0, 1, "0",
            0, 1, "w", 0, 3, 0xC3, 0x28, 0,  // a will payload is not text
        ],
        .connect(
            ConnectModel(
                clientID: "c",
                will: WillModel(
                    topic: "w", payload: [0xC3, 0x28, 0],
                    properties: [
                        .text(.responseTopic, "re"), .text(.correlationData, [0, 0xFF]), .user("b", "1"),
                        .user("b", "0"),
                    ])))),
]

let invalidConnects: [InvalidVector] = [
    InvalidVector(
        "CONNECT with another protocol name [MQTT-3.1.2-1]", .v311, .unsupportedProtocolVersion,
        [0x10, 13, 0, 4, "MQTX", 4, 2, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a lower-case protocol name [MQTT-3.1.2-1]", .v311, .unsupportedProtocolVersion,
        [0x10, 13, 0, 4, "mqtt", 4, 2, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with level 6 [MQTT-3.1.2-2]", .v5, .unsupportedProtocolVersion,
        [0x10, 14, 0, 4, "MQTT", 6, 2, 0, 60, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT MQTT with the level of 3.1 [MQTT-3.1.2-2]", .v311, .unsupportedProtocolVersion,
        [0x10, 13, 0, 4, "MQTT", 3, 2, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT MQIsdp with the level of 3.1.1 [MQTT-3.1.2-2]", .v31, .unsupportedProtocolVersion,
        [0x10, 15, 0, 6, "MQIsdp", 4, 2, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT 5 with a bridge bit [MQTT-3.1.2-2]", .v5, .unsupportedProtocolVersion,
        [0x10, 14, 0, 4, "MQTT", 0x85, 2, 0, 60, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with the reserved flag [MQTT-3.1.2-3]", .v311, .malformedPacket,
        [0x10, 13, 0, 4, "MQTT", 4, 3, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT 5 with the reserved flag [MQTT-3.1.2-3]", .v5, .malformedPacket,
        [0x10, 14, 0, 4, "MQTT", 5, 3, 0, 60, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a will QoS and no will [MQTT311-3.1.2-13] [MQTT-3.1.2-11]", .v311, .malformedPacket,
        [0x10, 13, 0, 4, "MQTT", 4, 0x0A, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with will QoS 3 [MQTT311-3.1.2-14] [MQTT-3.1.2-12]", .v311, .malformedPacket,
        [0x10, 19, 0, 4, "MQTT", 4, 0x1E, 0, 60, 0, 1, "c", 0, 1, "w", 0, 1, "m"]),
    InvalidVector(
        "CONNECT 3.1 with will QoS 3 [MQTT-3.1.2-12]", .v31, .malformedPacket,
        [0x10, 21, 0, 6, "MQIsdp", 3, 0x1E, 0, 60, 0, 1, "c", 0, 1, "w", 0, 1, "m"]),
    InvalidVector(
        "CONNECT with a will RETAIN and no will [MQTT-3.1.2-13]", .v5, .malformedPacket,
        [0x10, 14, 0, 4, "MQTT", 5, 0x22, 0, 60, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT 3.1.1 with a password and no user name [MQTT311-3.1.2-22]", .v311, .malformedPacket,
        [0x10, 16, 0, 4, "MQTT", 4, 0x42, 0, 60, 0, 1, "c", 0, 1, "p"]),
    InvalidVector(
        "CONNECT with an ill-formed client identifier [MQTT311-1.5.3-1] [MQTT-1.5.4-1]", .v311, .malformedPacket,
        [0x10, 14, 0, 4, "MQTT", 4, 2, 0, 60, 0, 2, 0xC3, 0x28]),
    InvalidVector(
        "CONNECT with U+0000 in its client identifier [MQTT-1.5.4-2]", .v5, .malformedPacket,
        [0x10, 15, 0, 4, "MQTT", 5, 2, 0, 60, 0, 0, 2, "c", 0]),
    InvalidVector(
        "CONNECT with a surrogate in its user name [MQTT311-1.5.3-1] [MQTT-1.5.4-1]", .v311, .malformedPacket,
        [0x10, 18, 0, 4, "MQTT", 4, 0x82, 0, 60, 0, 1, "c", 0, 3, 0xED, 0xA0, 0x80]),
    InvalidVector(
        "CONNECT with an empty will topic [MQTT-4.7.3-1]", .v311, .protocolError,
        [0x10, 18, 0, 4, "MQTT", 4, 0x06, 0, 60, 0, 1, "c", 0, 0, 0, 1, "m"]),
    InvalidVector(
        "CONNECT with a wildcard in its will topic [MQTT-4.7.0-1]", .v5, .topicNameInvalid,
        [0x10, 21, 0, 4, "MQTT", 5, 0x06, 0, 60, 0, 0, 1, "c", 0, 0, 1, "#", 0, 1, "m"]),
    InvalidVector(
        "CONNECT without the user name it announces [§1.2]", .v311, .malformedPacket,
        [0x10, 13, 0, 4, "MQTT", 4, 0x82, 0, 60, 0, 1, "c"]),
    InvalidVector(
        "CONNECT that ends inside its will [§1.2]", .v311, .malformedPacket,
        [0x10, 16, 0, 4, "MQTT", 4, 0x06, 0, 60, 0, 1, "c", 0, 1, "w"]),
    InvalidVector(
        "CONNECT with bytes behind its last field [§2.1.4]", .v311, .malformedPacket,
        [0x10, 14, 0, 4, "MQTT", 4, 2, 0, 60, 0, 1, "c", 0]),
    InvalidVector(
        "CONNECT 3.1 with bytes behind its last field [§2.1.4]", .v31, .malformedPacket,
        [0x10, 16, 0, 6, "MQIsdp", 3, 2, 0, 60, 0, 1, "c", 0]),
    InvalidVector(
        "CONNECT whose properties pass its end [§1.2]", .v5, .malformedPacket,
        [0x10, 14, 0, 4, "MQTT", 5, 2, 0, 60, 9, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a property length of five bytes [MQTT-1.5.5-1]", .v5, .malformedPacket,
        [0x10, 18, 0, 4, "MQTT", 5, 2, 0, 60, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a property length longer than needed [MQTT-1.5.5-1]", .v5, .malformedPacket,
        [0x10, 15, 0, 4, "MQTT", 5, 2, 0, 60, 0x80, 0x00, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with Session Expiry Interval twice [§2.2.2.2]", .v5, .protocolError,
        [0x10, 24, 0, 4, "MQTT", 5, 2, 0, 60, 10, 0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with Receive Maximum 0 [§3.1.2.11.3]", .v5, .protocolError,
        [0x10, 17, 0, 4, "MQTT", 5, 2, 0, 60, 3, 0x21, 0, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with Maximum Packet Size 0 [§3.1.2.11.4]", .v5, .protocolError,
        [0x10, 19, 0, 4, "MQTT", 5, 2, 0, 60, 5, 0x27, 0, 0, 0, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with Request Response Information 2 [§2.2.2.2]", .v5, .protocolError,
        [0x10, 16, 0, 4, "MQTT", 5, 2, 0, 60, 2, 0x19, 2, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with Request Problem Information 2 [§2.2.2.2]", .v5, .protocolError,
        [0x10, 16, 0, 4, "MQTT", 5, 2, 0, 60, 2, 0x17, 2, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with authentication data and no method [§3.1.2.11.10]", .v5, .protocolError,
        [0x10, 18, 0, 4, "MQTT", 5, 2, 0, 60, 4, 0x16, 0, 1, "x", 0, 1, "c"]),
    InvalidVector(
        "CONNECT with an unknown property [§2.2.2.2]", .v5, .malformedPacket,
        [0x10, 16, 0, 4, "MQTT", 5, 2, 0, 60, 2, 0x7F, 0, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a property of PUBLISH [§2.2.2.2]", .v5, .malformedPacket,
        [0x10, 17, 0, 4, "MQTT", 5, 2, 0, 60, 3, 0x23, 0, 1, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with the will's property outside the will [§2.2.2.2]", .v5, .malformedPacket,
        [0x10, 19, 0, 4, "MQTT", 5, 2, 0, 60, 5, 0x18, 0, 0, 0, 1, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a property of CONNECT in its will [§2.2.2.2]", .v5, .malformedPacket,
        [0x10, 24, 0, 4, "MQTT", 5, 6, 0, 60, 0, 0, 1, "c", 3, 0x21, 0, 1, 0, 1, "w", 0, 1, "m"]),
    InvalidVector(
        "CONNECT with an ill-formed user property [MQTT-1.5.4-1]", .v5, .malformedPacket,
        [0x10, 21, 0, 4, "MQTT", 5, 2, 0, 60, 7, 0x26, 0, 1, "k", 0, 1, 0xFF, 0, 1, "c"]),
    InvalidVector(
        "CONNECT with a property cut by the block's end [§1.2]", .v5, .malformedPacket,
        [0x10, 17, 0, 4, "MQTT", 5, 2, 0, 60, 3, 0x11, 0, 0, 0, 1, "c"]),
]
