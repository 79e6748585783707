// SPDX-License-Identifier: Apache-2.0
// Which property may stand where, how often, and with which values (MQTT 5 §2.2.2.2, table 2-4).

/// Checks a whole property block: only properties that belong there, none twice that may not be, values in range,
/// strings well-formed.
/// - Parameters:
///   - block: the block without its length.
///   - body: the packet body that `block` refers to.
public func validateProperties(
    _ block: ByteRange, in body: RawSpan, for place: PropertyPlace
) throws(DecodeError) {
    var checked = CheckedProperties(block, for: place)
    while try checked.next(in: body) != nil {}
}

public func validateProperties(
    _ block: ByteRange, in body: UnsafeRawBufferPointer, for place: PropertyPlace
) throws(DecodeError) {
    try validateProperties(block, in: body.bytes, for: place)
}

/// A ``PropertyReader`` that also enforces the rules, for the decoders: one pass checks and picks the values.
@usableFromInline
struct CheckedProperties {
    @usableFromInline var reader: PropertyReader
    @usableFromInline var seen: UInt64 = 0
    @usableFromInline let place: PropertyPlaces

    @inlinable
    init(_ block: ByteRange, for place: PropertyPlace) {
        reader = PropertyReader(block)
        self.place = PropertyPlaces(place)
    }

    @inlinable
    mutating func next(in body: RawSpan) throws(DecodeError) -> Property? {
        guard let property = try reader.next(in: body) else { return nil }
        let id = property.id
        if id.allowedPlaces.isDisjoint(with: place) { throw .misplacedProperty }
        let bit: UInt64 = 1 << UInt64(id.rawValue)
        if seen & bit != 0, !id.mayRepeat(at: place) { throw .duplicateProperty }
        seen |= bit
        try property.checkValue(body)
        return property
    }
}

/// One bit per place a property may stand at: bit n for packet type n, bit 0 for the will.
@usableFromInline
struct PropertyPlaces: OptionSet {
    @usableFromInline let rawValue: UInt16

    @inlinable
    init(rawValue: UInt16) { self.rawValue = rawValue }

    @inlinable
    init(_ place: PropertyPlace) {
        switch place {
        case .packet(let type): rawValue = 1 << UInt16(type.rawValue)
        case .will: rawValue = 1
        }
    }

    @inlinable static var will: Self { Self(rawValue: 0x0001) }
    @inlinable static var connect: Self { Self(rawValue: 0x0002) }
    @inlinable static var connack: Self { Self(rawValue: 0x0004) }
    @inlinable static var publish: Self { Self(rawValue: 0x0008) }
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    @inlinable static var acks: Self { Self(rawValue: 0x00F0) }
    @inlinable static var subscribe: Self { Self(rawValue: 0x0100) }
    @inlinable static var suback: Self { Self(rawValue: 0x0200) }
    @inlinable static var unsubscribe: Self { Self(rawValue: 0x0400) }
    @inlinable static var unsuback: Self { Self(rawValue: 0x0800) }
    @inlinable static var disconnect: Self { Self(rawValue: 0x4000) }
    @inlinable static var auth: Self { Self(rawValue: 0x8000) }
}

extension PropertyID {
    @inlinable var allowedPlaces: PropertyPlaces {
        switch self {
        case .payloadFormatIndicator, .messageExpiryInterval, .contentType, .responseTopic, .correlationData:
            [.publish, .will]
        case .willDelayInterval: .will
        case .topicAlias: .publish
        case .subscriptionIdentifier: [.publish, .subscribe]
        case .requestProblemInformation, .requestResponseInformation: .connect
        case .receiveMaximum, .topicAliasMaximum, .maximumPacketSize: [.connect, .connack]
        case .sessionExpiryInterval: [.connect, .connack, .disconnect]
        case .authenticationMethod, .authenticationData: [.connect, .connack, .auth]
        case .assignedClientIdentifier, .serverKeepAlive, .responseInformation, .maximumQoS, .retainAvailable,
            .wildcardSubscriptionAvailable, .subscriptionIdentifierAvailable, .sharedSubscriptionAvailable:
            .connack
        case .serverReference: [.connack, .disconnect]
        case .reasonString: [.connack, .acks, .suback, .unsuback, .disconnect, .auth]
        case .userProperty:
            [
                .will, .connect, .connack, .publish, .acks, .subscribe, .suback, .unsubscribe, .unsuback, .disconnect,
                .auth,
            ]
        }
    }

    /// User properties repeat anywhere; a PUBLISH names each matching subscription (§3.3.2.3.8).
    @inlinable
    func mayRepeat(at place: PropertyPlaces) -> Bool {
        self == .userProperty || (self == .subscriptionIdentifier && place == .publish)
    }
}

extension Property {
    @inlinable
    func checkValue(_ body: RawSpan) throws(DecodeError) {
        switch id.kind {
        case .byte:
            if number > 1 { throw .propertyValue }
        case .uint16, .uint32, .varInt:
            if number == 0 { try checkZero() }
        case .string:
            try checkString(body)
        case .stringPair:
            // [MQTT-1.5.7-1]
            try checkText(body, bytes, isTopicName: false)
            try checkText(body, pairValue, isTopicName: false)
        case .binary: break
        }
    }

    @usableFromInline
    func checkZero() throws(DecodeError) {
        switch id {
        case .receiveMaximum:
            throw DecodeError(.protocolError, "§3.1.2.11.3", "Receive Maximum is 0.")
        case .maximumPacketSize:
            throw DecodeError(.protocolError, "§3.1.2.11.4", "Maximum Packet Size is 0.")
        case .topicAlias:
            // [MQTT-3.3.2-8]
            throw DecodeError(.topicAliasInvalid, "MQTT-3.3.2-8", "Topic Alias is 0.")
        case .subscriptionIdentifier:
            throw DecodeError(.protocolError, "§3.8.2.1.2", "Subscription Identifier is 0.")
        default: break
        }
    }

    /// [MQTT-1.5.4-1], of the content type [MQTT-3.3.2-19]; a response topic is a topic name [MQTT-3.3.2-13]
    /// [MQTT-3.3.2-14].
    @inlinable
    func checkString(_ body: RawSpan) throws(DecodeError) {
        if id == .responseTopic {
            if bytes.isEmpty { throw .emptyTopic }
            try checkText(body, bytes, isTopicName: true)
        } else {
            try checkText(body, bytes, isTopicName: false)
        }
    }
}

extension DecodeError {
    @usableFromInline static var misplacedProperty: DecodeError {
        DecodeError(.malformedPacket, "§2.2.2.2", "A property does not belong into this packet.")
    }

    @usableFromInline static var duplicateProperty: DecodeError {
        DecodeError(.protocolError, "§2.2.2.2", "A property that may stand once is repeated.")
    }

    @usableFromInline static var propertyValue: DecodeError {
        DecodeError(.protocolError, "§2.2.2.2", "A property that is 0 or 1 has another value.")
    }
}
