// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

let validAcks: [ValidVector] = [
    ValidVector("PUBACK 3.1.1", .v311, [0x40, 2, 0, 1], .ack(.puback, 1)),
    ValidVector("PUBREC 3.1.1", .v311, [0x50, 2, 0xFF, 0xFF], .ack(.pubrec, 65535)),
    ValidVector("PUBREL 3.1.1", .v311, [0x62, 2, 0, 1], .ack(.pubrel, 1)),
    ValidVector("PUBCOMP 3.1.1", .v311, [0x70, 2, 0, 1], .ack(.pubcomp, 1)),
    ValidVector("PUBREL 3.1 with DUP", .v31, [0x6A, 2, 0, 1], .ack(.pubrel, 1), isCanonical: false),
    ValidVector(
        "PUBACK 3.1 with a flag that 3.1 does not use", .v31, [0x41, 2, 0, 1], .ack(.puback, 1), isCanonical: false),
    ValidVector("PUBACK 5 in two bytes", .v5, [0x40, 2, 0, 1], .ack(.puback, 1)),
    ValidVector(
        "PUBACK 5 in three bytes, nobody subscribed", .v5, [0x40, 3, 0, 1, 0x10],
        .ack(.puback, 1, .noMatchingSubscribers)),
    ValidVector(
        "PUBACK 5 that spells out success", .v5, [0x40, 3, 0, 1, 0], .ack(.puback, 1), isCanonical: false),
    ValidVector(
        "PUBREC 5 with an empty property block", .v5, [0x50, 4, 0, 1, 0x97, 0], .ack(.pubrec, 1, .quotaExceeded),
        isCanonical: false),
    ValidVector(
        "PUBREC 5 with properties", .v5,
        [
            0x50, 16, 0, 1,
            0x87,  // not authorized
            12,
            0x1F, 0, 2, "no",  // reason string
            0x26, 0, 1, "k", 0, 1, "v",  // user property
        ], .ack(.pubrec, 1, .notAuthorized, [.text(.reasonString, "no"), .user("k", "v")])),
    ValidVector(
        "PUBREL 5 for an unknown identifier", .v5, [0x62, 3, 0, 1, 0x92], .ack(.pubrel, 1, .packetIdentifierNotFound)),
    ValidVector(
        "PUBCOMP 5 with success and a user property", .v5, [0x70, 11, 0, 1, 0, 7, 0x26, 0, 1, "k", 0, 1, "v"],
        .ack(.pubcomp, 1, .success, [.user("k", "v")])),
]

let invalidAcks: [InvalidVector] = [
    InvalidVector("PUBACK with identifier 0 [MQTT311-2.3.1-1] [MQTT-2.2.1-3]", .v311, .protocolError, [0x40, 2, 0, 0]),
    InvalidVector("PUBREL 5 with identifier 0 [MQTT-2.2.1-3]", .v5, .protocolError, [0x62, 2, 0, 0]),
    InvalidVector("PUBACK with one byte [§1.2]", .v311, .malformedPacket, [0x40, 1, 0]),
    InvalidVector("PUBACK 3.1.1 with three bytes [§2.1.4]", .v311, .malformedPacket, [0x40, 3, 0, 1, 0]),
    InvalidVector("PUBACK 3.1 with three bytes [§2.1.4]", .v31, .malformedPacket, [0x40, 3, 0, 1, 0]),
    InvalidVector("PUBACK with a code of PUBREL [MQTT-3.4.2-1]", .v5, .protocolError, [0x40, 3, 0, 1, 0x92]),
    InvalidVector("PUBREC with a code of SUBACK [MQTT-3.5.2-1]", .v5, .protocolError, [0x50, 3, 0, 1, 1]),
    InvalidVector("PUBREL with a code of PUBACK [MQTT-3.6.2-1]", .v5, .protocolError, [0x62, 3, 0, 1, 0x10]),
    InvalidVector("PUBCOMP with an unknown code [MQTT-3.7.2-1]", .v5, .protocolError, [0x70, 3, 0, 1, 0xFF]),
    InvalidVector("PUBACK with bytes behind its properties [§2.1.4]", .v5, .malformedPacket, [0x40, 5, 0, 1, 0, 0, 0]),
    InvalidVector("PUBACK whose properties pass its end [§1.2]", .v5, .malformedPacket, [0x40, 4, 0, 1, 0, 5]),
    InvalidVector(
        "PUBACK with two reason strings [§2.2.2.2]", .v5, .protocolError,
        [0x40, 10, 0, 1, 0, 6, 0x1F, 0, 0, 0x1F, 0, 0]),
    InvalidVector(
        "PUBACK with a Server Reference [§2.2.2.2]", .v5, .malformedPacket, [0x40, 7, 0, 1, 0, 3, 0x1C, 0, 0]),
]
