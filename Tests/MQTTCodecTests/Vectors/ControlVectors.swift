// SPDX-License-Identifier: Apache-2.0
// Fixed headers, and the packets that end or keep a connection.

import MQTTCodec

let invalidHeaders: [InvalidVector] = [
    InvalidVector("Packet type 0 [§2.1.2]", .v311, .malformedPacket, [0x00]),
    InvalidVector("Packet type 15 in 3.1.1 [§2.1.2]", .v311, .malformedPacket, [0xF0]),
    InvalidVector("Packet type 15 in 3.1 [§2.1.2]", .v31, .malformedPacket, [0xF0, 0]),
    InvalidVector(
        "CONNECT with a flag [MQTT311-2.2.2-1] [MQTT-2.1.3-1]", .v311, .malformedPacket,
        [0x11, 12, 0, 4, 0x4D, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 0]),
    InvalidVector("CONNACK with a flag [MQTT-2.1.3-1]", .v5, from: .server, .malformedPacket, [0x28]),
    InvalidVector("PUBACK with a flag [MQTT311-2.2.2-1] [MQTT-2.1.3-1]", .v311, .malformedPacket, [0x42]),
    InvalidVector("PUBREC with a flag [MQTT-2.1.3-1]", .v5, .malformedPacket, [0x51]),
    InvalidVector("PUBREL without its flag [MQTT-3.6.1-1]", .v311, .malformedPacket, [0x60]),
    InvalidVector("PUBREL 5 with DUP [MQTT-3.6.1-1]", .v5, .malformedPacket, [0x6A]),
    InvalidVector("PUBREL 3.1 with QoS 0 [MQTT-3.6.1-1]", .v31, .malformedPacket, [0x60]),
    InvalidVector("PUBCOMP with a flag [MQTT-2.1.3-1]", .v5, .malformedPacket, [0x72]),
    InvalidVector("SUBSCRIBE without its flag [MQTT-3.8.1-1]", .v311, .malformedPacket, [0x80]),
    InvalidVector("SUBSCRIBE 5 with another flag [MQTT-3.8.1-1]", .v5, .malformedPacket, [0x83]),
    InvalidVector(
        "SUBACK with a flag [MQTT311-2.2.2-1] [MQTT-2.1.3-1]", .v311, from: .server, .malformedPacket,
        [0x92]),
    InvalidVector("UNSUBSCRIBE without its flag [MQTT-3.10.1-1]", .v5, .malformedPacket, [0xA0]),
    InvalidVector(
        "UNSUBACK with a flag [MQTT311-2.2.2-1] [MQTT-2.1.3-1]", .v311, from: .server, .malformedPacket,
        [0xB2]),
    InvalidVector("PINGREQ with a flag [MQTT311-2.2.2-1] [MQTT-2.1.3-1]", .v311, .malformedPacket, [0xC1]),
    InvalidVector(
        "PINGRESP with a flag [MQTT311-2.2.2-1] [MQTT-2.1.3-1]", .v311, from: .server, .malformedPacket,
        [0xD1]),
    InvalidVector("DISCONNECT with a flag [MQTT-3.14.1-1]", .v311, .malformedPacket, [0xE1]),
    InvalidVector("AUTH with a flag [MQTT-3.15.1-1]", .v5, .malformedPacket, [0xF2]),
    InvalidVector(
        "A remaining length that asks for a fifth byte [MQTT-1.5.5-1]", .v311, .malformedPacket,
        [0x30, 0x80, 0x80, 0x80, 0x80]),
    InvalidVector(
        "A remaining length of all ones [MQTT-1.5.5-1]", .v5, .malformedPacket, [0x30, 0xFF, 0xFF, 0xFF, 0xFF]),
    InvalidVector(
        "A remaining length longer than needed [MQTT-1.5.5-1]", .v5, .malformedPacket, [0xC0, 0x80, 0x00]),
]

let validPings: [ValidVector] = [
    ValidVector("PINGREQ 3.1", .v31, [0xC0, 0], .ping(.pingreq)),
    ValidVector("PINGREQ 3.1.1", .v311, [0xC0, 0], .ping(.pingreq)),
    ValidVector("PINGREQ 5", .v5, [0xC0, 0], .ping(.pingreq)),
    ValidVector("PINGRESP 3.1.1", .v311, from: .server, [0xD0, 0], .ping(.pingresp)),
    ValidVector(
        "PINGREQ 3.1.1 with a remaining length longer than needed", .v311, [0xC0, 0x80, 0x80, 0x00], .ping(.pingreq),
        isCanonical: false),
]

let invalidPings: [InvalidVector] = [
    InvalidVector("PINGREQ with a body [§2.1.4]", .v311, .malformedPacket, [0xC0, 1, 0]),
    InvalidVector("PINGRESP with a body [§2.1.4]", .v5, from: .server, .malformedPacket, [0xD0, 1, 0]),
]

let validDisconnects: [ValidVector] = [
    ValidVector("DISCONNECT 3.1", .v31, [0xE0, 0], .disconnect()),
    ValidVector("DISCONNECT 3.1.1", .v311, [0xE0, 0], .disconnect()),
    ValidVector("DISCONNECT 5 without a body", .v5, [0xE0, 0], .disconnect()),
    ValidVector("DISCONNECT 5 with will message", .v5, [0xE0, 1, 0x04], .disconnect(.disconnectWithWill)),
    ValidVector("DISCONNECT 5 that spells out everything", .v5, [0xE0, 2, 0, 0], .disconnect(), isCanonical: false),
    ValidVector(
        "DISCONNECT 5 with a Session Expiry Interval", .v5,
        [
            0xE0, 14,
            0x00, 12,
            0x11, 0xFF, 0xFF, 0xFF, 0xFF,  // session expiry interval: never
            0x26, 0, 1, "k", 0, 1, "v",
        ], .disconnect(.success, [.number(.sessionExpiryInterval, .max), .user("k", "v")])),
    ValidVector(
        "DISCONNECT 5 of a server", .v5, from: .server,
        [
            0xE0, 13, 0x9D, 11,
            0x1F, 0, 1, "r",
            0x1C, 0, 4, "b:18",  // server reference
        ], .disconnect(.serverMoved, [.text(.reasonString, "r"), .text(.serverReference, "b:18")])),
]

let invalidDisconnects: [InvalidVector] = [
    InvalidVector("DISCONNECT 3.1.1 with a body [§2.1.4]", .v311, .malformedPacket, [0xE0, 1, 0]),
    InvalidVector("DISCONNECT 3.1 with a body [§2.1.4]", .v31, .malformedPacket, [0xE0, 1, 0]),
    InvalidVector("DISCONNECT with a code of CONNACK [MQTT-3.14.2-1]", .v5, .protocolError, [0xE0, 1, 0x85]),
    InvalidVector("DISCONNECT of a client with a server's code [MQTT-3.14.2-1]", .v5, .protocolError, [0xE0, 1, 0x8B]),
    InvalidVector(
        "DISCONNECT of a server with a client's code [MQTT-3.14.2-1]", .v5, from: .server, .protocolError,
        [0xE0, 1, 0x04]),
    InvalidVector(
        "DISCONNECT of a server with a Session Expiry Interval [MQTT-3.14.2-2]", .v5, from: .server, .protocolError,
        [0xE0, 7, 0, 5, 0x11, 0, 0, 0, 1]),
    InvalidVector(
        "DISCONNECT of a client with a Server Reference [§3.14.2.2.5]", .v5, .protocolError,
        [0xE0, 6, 0, 4, 0x1C, 0, 1, "b"]),
    InvalidVector("DISCONNECT with bytes behind its properties [§2.1.4]", .v5, .malformedPacket, [0xE0, 3, 0, 0, 0]),
    InvalidVector("DISCONNECT whose properties pass its end [§1.2]", .v5, .malformedPacket, [0xE0, 2, 0, 3]),
    InvalidVector(
        "DISCONNECT with a Receive Maximum [§2.2.2.2]", .v5, .malformedPacket, [0xE0, 5, 0, 3, 0x21, 0, 1]),
]

let validAuths: [ValidVector] = [
    ValidVector(
        "AUTH that continues", .v5,
        [
            0xF0, 12, 0x18, 10,
            0x15, 0, 2, "ab",  // authentication method
            0x16, 0, 2, 0, 0xFF,  // authentication data
        ],
        .auth(
            .continueAuthentication, [.text(.authenticationMethod, "ab"), .text(.authenticationData, [0, 0xFF])])),
    ValidVector(
        "AUTH that starts again", .v5, [0xF0, 6, 0x19, 4, 0x15, 0, 1, "m"],
        .auth(.reauthenticate, [.text(.authenticationMethod, "m")])),
    ValidVector("AUTH of a server without a body", .v5, from: .server, [0xF0, 0], .auth()),
    ValidVector(
        "AUTH of a server with success", .v5, from: .server,
        [0xF0, 10, 0, 8, 0x15, 0, 1, "m", 0x1F, 0, 1, "r"],
        .auth(.success, [.text(.authenticationMethod, "m"), .text(.reasonString, "r")])),
]

let invalidAuths: [InvalidVector] = [
    InvalidVector(
        "AUTH of a client with success [MQTT-3.15.2-1]", .v5, .protocolError, [0xF0, 6, 0, 4, 0x15, 0, 1, "m"]),
    InvalidVector("AUTH of a client without a body [MQTT-3.15.2-1]", .v5, .protocolError, [0xF0, 0]),
    InvalidVector(
        "AUTH of a server that starts again [MQTT-3.15.2-1]", .v5, from: .server, .protocolError,
        [0xF0, 6, 0x19, 4, 0x15, 0, 1, "m"]),
    InvalidVector(
        "AUTH with another packet's code [MQTT-3.15.2-1]", .v5, .protocolError, [0xF0, 6, 0x87, 4, 0x15, 0, 1, "m"]),
    InvalidVector("AUTH without a method [§3.15.2.2.2]", .v5, .protocolError, [0xF0, 2, 0x18, 0]),
    InvalidVector("AUTH without a property length [§1.2]", .v5, .malformedPacket, [0xF0, 1, 0x18]),
    InvalidVector(
        "AUTH with two methods [§2.2.2.2]", .v5, .protocolError,
        [0xF0, 10, 0x18, 8, 0x15, 0, 1, "m", 0x15, 0, 1, "m"]),
    InvalidVector(
        "AUTH with a Server Reference [§2.2.2.2]", .v5, .malformedPacket,
        [0xF0, 10, 0x18, 8, 0x15, 0, 1, "m", 0x1C, 0, 1, "m"]),
]
