// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

let validConnacks: [ValidVector] = [
    ValidVector(
        "CONNACK 3.1", .v31, from: .server,
        [
            0x20, 2,
            0,  // not used in 3.1
            0,  // accepted
        ], .connack(.success)),
    ValidVector(
        "CONNACK 3.1.1 with session present", .v311, from: .server, [0x20, 2, 1, 0],
        .connack(sessionPresent: true, .success)),
    ValidVector(
        "CONNACK 3.1.1 unacceptable protocol version", .v311, from: .server, [0x20, 2, 0, 1],
        .connack(.unsupportedProtocolVersion)),
    ValidVector(
        "CONNACK 3.1.1 identifier rejected", .v311, from: .server, [0x20, 2, 0, 2],
        .connack(.clientIdentifierNotValid)),
    ValidVector(
        "CONNACK 3.1.1 server unavailable", .v311, from: .server, [0x20, 2, 0, 3], .connack(.serverUnavailable)),
    ValidVector(
        "CONNACK 3.1.1 bad user name or password", .v311, from: .server, [0x20, 2, 0, 4],
        .connack(.badUserNameOrPassword)),
    ValidVector(
        "CONNACK 3.1.1 not authorized", .v311, from: .server, [0x20, 2, 0, 5], .connack(.notAuthorized)),
    ValidVector(
        "CONNACK 5", .v5, from: .server,
        [
            0x20, 3,
            1,  // session present
            0,  // success
            0,  // no properties
        ], .connack(sessionPresent: true, .success)),
    ValidVector(
        "CONNACK 5 that refuses with a reason string", .v5, from: .server,
        [0x20, 8, 0, 0x87, 5, 0x1F, 0, 2, "no"], .connack(.notAuthorized, [.text(.reasonString, "no")])),
    ValidVector(
        "CONNACK 5 with every property", .v5, from: .server,
        [
            0x20, 66, 0, 0, 63,
            0x11, 0, 0, 0, 9,  // session expiry interval
            0x21, 0, 7,  // receive maximum
            0x24, 1,  // maximum QoS
            0x25, 0,  // retain available
            0x27, 0, 0, 2, 0,  // maximum packet size
            0x12, 0, 2, "id",  // assigned client identifier
            0x22, 0, 3,  // topic alias maximum
            0x28, 1,  // wildcard subscription available
            0x29, 0,  // subscription identifiers available
            0x2A, 1,  // shared subscription available
            0x13, 0, 30,  // server keep alive
            0x1A, 0, 2, "r/",  // response information
            0x1C, 0, 1, "b",  // server reference
            0x15, 0, 1, "m",  // authentication method
            0x16, 0, 1, 0,  // authentication data
            0x1F, 0, 1, "t",  // reason string
            0x26, 0, 1, "k", 0, 2, "vv",  // user property
        ],
        .connack(
            .success,
            [
                .number(.sessionExpiryInterval, 9), .number(.receiveMaximum, 7), .number(.maximumQoS, 1),
                .number(.retainAvailable, 0), .number(.maximumPacketSize, 512),
                .text(.assignedClientIdentifier, "id"), .number(.topicAliasMaximum, 3),
                .number(.wildcardSubscriptionAvailable, 1), .number(.subscriptionIdentifierAvailable, 0),
                .number(.sharedSubscriptionAvailable, 1), .number(.serverKeepAlive, 30),
                .text(.responseInformation, "r/"), .text(.serverReference, "b"), .text(.authenticationMethod, "m"),
                .text(.authenticationData, [0]), .text(.reasonString, "t"), .user("k", "vv"),
            ])),
]

let invalidConnacks: [InvalidVector] = [
    InvalidVector(
        "CONNACK with a reserved flag [MQTT-3.2.2-1]", .v311, from: .server, .malformedPacket, [0x20, 2, 2, 0]),
    InvalidVector(
        "CONNACK 5 with a reserved flag [MQTT-3.2.2-1]", .v5, from: .server, .malformedPacket,
        [0x20, 3, 0x80, 0, 0]),
    InvalidVector(
        "CONNACK that refuses with session present [MQTT-3.2.2-6]", .v5, from: .server, .protocolError,
        [0x20, 3, 1, 0x87, 0]),
    InvalidVector(
        "CONNACK 3.1.1 that refuses with session present [MQTT311-3.2.2-4] [MQTT-3.2.2-6]", .v311, from: .server,
        .protocolError,
        [0x20, 2, 1, 5]),
    InvalidVector(
        "CONNACK 3.1.1 with return code 6 [MQTT-3.2.2-8]", .v311, from: .server, .protocolError, [0x20, 2, 0, 6]),
    InvalidVector(
        "CONNACK 5 with a code of SUBACK [MQTT-3.2.2-8]", .v5, from: .server, .protocolError, [0x20, 3, 0, 1, 0]),
    InvalidVector(
        "CONNACK 5 without properties [§1.2]", .v5, from: .server, .malformedPacket, [0x20, 2, 0, 0]),
    InvalidVector(
        "CONNACK 3.1.1 with three bytes [§2.1.4]", .v311, from: .server, .malformedPacket, [0x20, 3, 0, 0, 0]),
    InvalidVector(
        "CONNACK with Maximum QoS 2 [§2.2.2.2]", .v5, from: .server, .protocolError, [0x20, 5, 0, 0, 2, 0x24, 2]),
    InvalidVector(
        "CONNACK with Server Keep Alive twice [§2.2.2.2]", .v5, from: .server, .protocolError,
        [0x20, 9, 0, 0, 6, 0x13, 0, 1, 0x13, 0, 1]),
    InvalidVector(
        "CONNACK with a property of CONNECT [§2.2.2.2]", .v5, from: .server, .malformedPacket,
        [0x20, 5, 0, 0, 2, 0x17, 1]),
    InvalidVector(
        "CONNACK with authentication data and no method [§3.1.2.11.10]", .v5, from: .server, .protocolError,
        [0x20, 7, 0, 0, 4, 0x16, 0, 1, 0]),
]
