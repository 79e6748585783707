// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

let validSubscribes: [ValidVector] = [
    ValidVector(
        "SUBSCRIBE 3.1.1 with two filters", .v311,
        [
            0x82, 14,  // SUBSCRIBE, remaining length
            0, 10,  // packet identifier
            0, 3, "a/b", 1,  // filter and QoS
            0, 3, "c/#", 2,
        ],
        .subscribe(
            10,
            [
                SubscriptionModel("a/b", SubscribeOptions(qos: 1)), SubscriptionModel("c/#", SubscribeOptions(qos: 2)),
            ])),
    ValidVector(
        "SUBSCRIBE 3.1 with DUP", .v31, [0x8A, 6, 0, 1, 0, 1, "+", 0], .subscribe(1, [SubscriptionModel("+")]),
        isCanonical: false),
    ValidVector(
        "SUBSCRIBE 3.1 with bits that 3.1 does not use", .v31, [0x82, 6, 0, 1, 0, 1, "+", 0xFD],
        .subscribe(1, [SubscriptionModel("+", SubscribeOptions(rawValue: 0xFD))]), isCanonical: false),
    ValidVector(
        "SUBSCRIBE 5 with every option and an identifier", .v5,
        [
            0x82, 22, 0, 1,
            10,
            0x0B, 0x80, 0x01,  // subscription identifier 128
            0x26, 0, 1, "k", 0, 1, "v",
            0, 1, "a", 0x2E,  // QoS 2, no local, retain as published, retain handling 2
            0, 2, "$s", 0x11,  // QoS 1, retain handling 1
        ],
        .subscribe(
            1,
            [
                SubscriptionModel(
                    "a", SubscribeOptions(qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2)),
                SubscriptionModel("$s", SubscribeOptions(qos: 1, retainHandling: 1)),
            ], [.number(.subscriptionIdentifier, 128), .user("k", "v")])),
    ValidVector(
        "SUBSCRIBE 5 to a shared subscription", .v5,
        [0x82, 16, 0, 1, 0, 0, 10, "$share/g/t", 2],
        .subscribe(1, [SubscriptionModel("$share/g/t", SubscribeOptions(qos: 2))])),
    ValidVector(
        "SUBSCRIBE with misplaced wildcards, for the broker to refuse alone", .v311,
        [0x82, 15, 0, 1, 0, 3, "a#b", 0, 0, 4, "ok/+", 1],
        .subscribe(1, [SubscriptionModel("a#b"), SubscriptionModel("ok/+", SubscribeOptions(qos: 1))])),
]

let invalidSubscribes: [InvalidVector] = [
    InvalidVector(
        "SUBSCRIBE with identifier 0 [MQTT311-2.3.1-1] [MQTT-2.2.1-3]", .v311, .protocolError,
        [0x82, 6, 0, 0, 0, 1, "a", 0]),
    InvalidVector(
        "SUBSCRIBE without a filter [MQTT311-3.8.3-3] [MQTT-3.8.3-2]", .v311, .protocolError,
        [0x82, 2, 0, 1]),
    InvalidVector("SUBSCRIBE 5 without a filter [MQTT-3.8.3-2]", .v5, .protocolError, [0x82, 3, 0, 1, 0]),
    InvalidVector("SUBSCRIBE with an empty filter [MQTT-4.7.3-1]", .v311, .protocolError, [0x82, 5, 0, 1, 0, 0, 0]),
    InvalidVector("SUBSCRIBE without options [§1.2]", .v311, .malformedPacket, [0x82, 5, 0, 1, 0, 1, "a"]),
    InvalidVector(
        "SUBSCRIBE whose filter passes its end [§1.2]", .v311, .malformedPacket, [0x82, 6, 0, 1, 0, 9, "a", 0]),
    InvalidVector(
        "SUBSCRIBE with an ill-formed filter [MQTT311-1.5.3-1] [MQTT-1.5.4-1]", .v311, .malformedPacket,
        [0x82, 6, 0, 1, 0, 1, 0xFE, 0]),
    InvalidVector(
        "SUBSCRIBE with U+0000 in a filter [MQTT-1.5.4-2]", .v5, .malformedPacket,
        [0x82, 7, 0, 1, 0, 0, 1, 0, 0]),
    InvalidVector("SUBSCRIBE with QoS 3 [§3.8.3.1]", .v311, .protocolError, [0x82, 6, 0, 1, 0, 1, "a", 3]),
    InvalidVector("SUBSCRIBE 3.1 with QoS 3 [§3.8.3.1]", .v31, .protocolError, [0x82, 6, 0, 1, 0, 1, "a", 3]),
    InvalidVector(
        "SUBSCRIBE 3.1.1 with an option of MQTT 5 [MQTT311-3.8.3-4] [MQTT-3.8.3-5]", .v311, .malformedPacket,
        [0x82, 6, 0, 1, 0, 1, "a", 0x04]),
    InvalidVector(
        "SUBSCRIBE 5 with reserved option bits [MQTT-3.8.3-5]", .v5, .malformedPacket,
        [0x82, 7, 0, 1, 0, 0, 1, "a", 0x40]),
    InvalidVector(
        "SUBSCRIBE 5 with Retain Handling 3 [§3.8.3.1]", .v5, .protocolError,
        [0x82, 7, 0, 1, 0, 0, 1, "a", 0x30]),
    InvalidVector(
        "SUBSCRIBE with No Local on a shared subscription [MQTT-3.8.3-4]", .v5, .protocolError,
        [0x82, 16, 0, 1, 0, 0, 10, "$share/g/t", 0x04]),
    InvalidVector(
        "SUBSCRIBE with Subscription Identifier 0 [§3.8.2.1.2]", .v5, .protocolError,
        [0x82, 9, 0, 1, 2, 0x0B, 0, 0, 1, "a", 0]),
    InvalidVector(
        "SUBSCRIBE with two subscription identifiers [§2.2.2.2]", .v5, .protocolError,
        [0x82, 11, 0, 1, 4, 0x0B, 1, 0x0B, 2, 0, 1, "a", 0]),
    InvalidVector(
        "SUBSCRIBE with a reason string [§2.2.2.2]", .v5, .malformedPacket,
        [0x82, 10, 0, 1, 3, 0x1F, 0, 0, 0, 1, "a", 0]),
    InvalidVector(
        "SUBSCRIBE whose second filter is cut [§1.2]", .v311, .malformedPacket,
        [0x82, 7, 0, 1, 0, 1, "a", 0, 0]),
]

let validUnsubscribes: [ValidVector] = [
    ValidVector(
        "UNSUBSCRIBE 3.1.1", .v311, [0xA2, 10, 0, 10, 0, 3, "a/b", 0, 1, "c"], .unsubscribe(10, ["a/b", "c"])),
    ValidVector(
        "UNSUBSCRIBE 3.1 with DUP", .v31, [0xAA, 5, 0, 1, 0, 1, "c"], .unsubscribe(1, ["c"]), isCanonical: false),
    ValidVector(
        "UNSUBSCRIBE 5", .v5, [0xA2, 13, 0, 1, 7, 0x26, 0, 1, "k", 0, 1, "v", 0, 1, "c"],
        .unsubscribe(1, ["c"], [.user("k", "v")])),
]

let invalidUnsubscribes: [InvalidVector] = [
    InvalidVector(
        "UNSUBSCRIBE with identifier 0 [MQTT311-2.3.1-1] [MQTT-2.2.1-3]", .v311, .protocolError,
        [0xA2, 5, 0, 0, 0, 1, "a"]),
    InvalidVector("UNSUBSCRIBE without a filter [MQTT-3.10.3-2]", .v311, .protocolError, [0xA2, 2, 0, 1]),
    InvalidVector("UNSUBSCRIBE 5 without a filter [MQTT-3.10.3-2]", .v5, .protocolError, [0xA2, 3, 0, 1, 0]),
    InvalidVector("UNSUBSCRIBE with an empty filter [MQTT-4.7.3-1]", .v311, .protocolError, [0xA2, 4, 0, 1, 0, 0]),
    InvalidVector(
        "UNSUBSCRIBE with an ill-formed filter [MQTT311-1.5.3-1] [MQTT-1.5.4-1]", .v311, .malformedPacket,
        [0xA2, 6, 0, 1, 0, 2, 0xC3, 0x28]),
    InvalidVector("UNSUBSCRIBE with half a length [§1.2]", .v311, .malformedPacket, [0xA2, 6, 0, 1, 0, 1, "a", 0]),
    InvalidVector(
        "UNSUBSCRIBE with a subscription identifier [§2.2.2.2]", .v5, .malformedPacket,
        [0xA2, 8, 0, 1, 2, 0x0B, 1, 0, 1, "a"]),
]

let validSubacks: [ValidVector] = [
    ValidVector(
        "SUBACK 3.1.1", .v311, from: .server, [0x90, 6, 0, 10, 0, 1, 2, 0x80],
        .codes(.suback, 10, [.success, .grantedQoS1, .grantedQoS2, .unspecifiedError])),
    ValidVector("SUBACK 3.1", .v31, from: .server, [0x90, 3, 0, 1, 2], .codes(.suback, 1, [.grantedQoS2])),
    ValidVector(
        "SUBACK 5", .v5, from: .server,
        [
            0x90, 12, 0, 1,
            6, 0x1F, 0, 3, "why",  // reason string
            1, 0x8F, 0xA1,
        ],
        .codes(
            .suback, 1, [.grantedQoS1, .topicFilterInvalid, .subscriptionIdentifiersNotSupported],
            [.text(.reasonString, "why")])),
]

let invalidSubacks: [InvalidVector] = [
    InvalidVector("SUBACK 3.1.1 with code 3 [MQTT-3.9.3-2]", .v311, from: .server, .protocolError, [0x90, 3, 0, 1, 3]),
    InvalidVector(
        "SUBACK 3.1.1 with a code of MQTT 5 [MQTT-3.9.3-2]", .v311, from: .server, .protocolError,
        [0x90, 3, 0, 1, 0x87]),
    InvalidVector(
        "SUBACK 5 with a code of UNSUBACK [MQTT-3.9.3-2]", .v5, from: .server, .protocolError,
        [0x90, 4, 0, 1, 0, 0x11]),
    InvalidVector("SUBACK without a code [§1.2]", .v311, from: .server, .malformedPacket, [0x90, 2, 0, 1]),
    InvalidVector(
        "SUBACK with a subscription identifier [§2.2.2.2]", .v5, from: .server, .malformedPacket,
        [0x90, 6, 0, 1, 2, 0x0B, 1, 0]),
]

let validUnsubacks: [ValidVector] = [
    ValidVector("UNSUBACK 3.1.1", .v311, from: .server, [0xB0, 2, 0, 10], .codes(.unsuback, 10, [])),
    ValidVector(
        "UNSUBACK 5", .v5, from: .server, [0xB0, 5, 0, 1, 0, 0, 0x11],
        .codes(.unsuback, 1, [.success, .noSubscriptionExisted])),
]

let invalidUnsubacks: [InvalidVector] = [
    InvalidVector("UNSUBACK 3.1.1 with a code [§2.1.4]", .v311, from: .server, .malformedPacket, [0xB0, 3, 0, 1, 0]),
    InvalidVector("UNSUBACK 5 without a code [§1.2]", .v5, from: .server, .malformedPacket, [0xB0, 3, 0, 1, 0]),
    InvalidVector(
        "UNSUBACK 5 with a granted QoS [MQTT-3.11.3-2]", .v5, from: .server, .protocolError, [0xB0, 4, 0, 1, 0, 1]),
]
