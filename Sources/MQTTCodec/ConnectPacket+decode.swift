// SPDX-License-Identifier: Apache-2.0

extension ConnectPacket {
    /// What the body of a CONNECT says about its version, before anything else is judged: so that a refusal can be
    /// written in the client's language.
    public enum Announcement: Equatable, Sendable {
        case supported(ProtocolVersion)
        /// Protocol name `MQTT` or `MQIsdp` with a level that is not ours: answer 0x84 or 1 [MQTT-3.1.2-2].
        case unsupportedLevel(UInt8)
        /// Not MQTT at all, or cut before the level: close without an answer [MQTT-3.1.2-1].
        case unknownProtocol
    }

    public static func announcement(in body: RawSpan) -> Announcement {
        var cursor = Cursor(body)
        guard let name = try? cursor.binary(body), let level = try? cursor.byte(body) else { return .unknownProtocol }
        let isMQTT = matches(body, name, "MQTT")
        guard isMQTT || matches(body, name, "MQIsdp") else { return .unknownProtocol }
        // Bridges set the top bit in 3.x only.
        switch (level, isMQTT) {
        case (5, true): return .supported(.v5)
        case (4, true), (0x84, true): return .supported(.v311)
        case (3, false), (0x83, false): return .supported(.v31)
        default: return .unsupportedLevel(level)
        }
    }

    public static func announcement(in body: UnsafeRawBufferPointer) -> Announcement { announcement(in: body.bytes) }

    private static func matches(_ body: RawSpan, _ range: ByteRange, _ text: StaticString) -> Bool {
        guard Int(range.count) == text.utf8CodeUnitCount else { return false }
        for index in 0..<Int(range.count) where body.byte(Int(range.start) + index) != text.utf8Start[index] {
            return false
        }
        return true
    }

    /// - Throws: reason ``ReasonCode/unsupportedProtocolVersion`` for a protocol name or level that is not ours; what
    ///   to answer is up to `announcement(in:)`.
    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion = .v5
    ) throws(DecodeError) -> ConnectPacket {
        var cursor = Cursor(body)
        _ = try cursor.binary(body)
        let level = try cursor.byte(body)
        let announced: ProtocolVersion
        switch announcement(in: body) {
        case .supported(let version): announced = version
        case .unsupportedLevel:
            // [MQTT-3.1.2-2]
            throw DecodeError(
                .unsupportedProtocolVersion, "MQTT-3.1.2-2", "The protocol level is not one this broker speaks.")
        case .unknownProtocol:
            // [MQTT-3.1.2-1]
            throw DecodeError(.unsupportedProtocolVersion, "MQTT-3.1.2-1", "The protocol name is not MQTT.")
        }
        try checkFlags(flags, of: .connect, announced)
        var packet = ConnectPacket(version: announced)
        packet.isBridge = level & 0x80 != 0
        let connectFlags = ConnectFlags(rawValue: try cursor.byte(body))
        try connectFlags.check(announced)
        packet.cleanStart = connectFlags.contains(.cleanStart)
        packet.keepAlive = try cursor.uint16(body)
        if announced == .v5 { try packet.readProperties(&cursor, body) }
        try packet.readPayload(&cursor, body, connectFlags)
        // A user name or a password without its flag would be left over. [MQTT-3.1.2-16] [MQTT-3.1.2-18]
        try cursor.expectEnd()
        return packet
    }

    /// Client identifier, will, user name, password, in this order [MQTT-3.1.3-1] [MQTT-3.1.3-3].
    private mutating func readPayload(
        _ cursor: inout Cursor, _ body: RawSpan, _ flags: ConnectFlags
    ) throws(DecodeError) {
        // [MQTT-3.1.3-4]
        clientID = try cursor.name(body)
        // [MQTT-3.1.2-9]
        if flags.contains(.will) { will = try readWill(&cursor, body, flags) }
        // In 3.1 the remaining length outweighs the two flags: a string announced but missing is legal (3.1 §3.1).
        let mayBeMissing = version == .v31
        if flags.contains(.username), !(mayBeMissing && cursor.remaining == 0) {
            // [MQTT-3.1.2-17] [MQTT-3.1.3-12] [MQTT311-3.1.3-11]
            username = try cursor.name(body)
            hasUsername = true
        }
        if flags.contains(.password), !(mayBeMissing && cursor.remaining == 0) {
            // [MQTT-3.1.2-19]
            password = try cursor.binary(body)
            hasPassword = true
        }
    }

    private func readWill(
        _ cursor: inout Cursor, _ body: RawSpan, _ flags: ConnectFlags
    ) throws(DecodeError) -> Will {
        var will = Will(qos: flags.willQoS, retain: flags.contains(.willRetain))
        if version == .v5 { try will.readProperties(&cursor, body) }
        // [MQTT-3.1.3-11] [MQTT311-3.1.3-10]
        will.topic = try cursor.binary(body)
        if will.topic.isEmpty { throw .emptyTopic }
        try checkText(body, will.topic, isTopicName: true)
        will.payload = try cursor.binary(body)
        return will
    }

    private mutating func readProperties(_ cursor: inout Cursor, _ body: RawSpan) throws(DecodeError) {
        properties = try cursor.propertyBlock(body)
        var block = CheckedProperties(properties, for: .packet(.connect))
        while let property = try block.next(in: body) {
            switch property.id {
            case .sessionExpiryInterval: sessionExpiry = property.number
            case .receiveMaximum: receiveMaximum = UInt16(truncatingIfNeeded: property.number)
            case .maximumPacketSize: maximumPacketSize = property.number
            case .topicAliasMaximum: topicAliasMaximum = UInt16(truncatingIfNeeded: property.number)
            case .requestResponseInformation: requestResponseInformation = property.number == 1
            case .requestProblemInformation: requestProblemInformation = property.number == 1
            case .authenticationMethod: authMethod = property.bytes
            case .authenticationData: authData = property.bytes
            default: break
            }
        }
        if authData != nil, authMethod == nil { throw .authDataWithoutMethod }
    }
}

extension ConnectPacket.Will {
    fileprivate mutating func readProperties(_ cursor: inout Cursor, _ body: RawSpan) throws(DecodeError) {
        properties = try cursor.propertyBlock(body)
        var block = CheckedProperties(properties, for: .will)
        while let property = try block.next(in: body) {
            switch property.id {
            case .willDelayInterval: delayInterval = property.number
            case .messageExpiryInterval: messageExpiry = property.number
            case .payloadFormatIndicator: payloadIsText = property.number == 1
            default: break
            }
        }
    }
}

extension DecodeError {
    static var authDataWithoutMethod: DecodeError {
        DecodeError(.protocolError, "§3.1.2.11.10", "There is authentication data without an authentication method.")
    }
}

/// Byte 8 of CONNECT (MQTT 5 §3.1.2.3).
struct ConnectFlags: OptionSet {
    let rawValue: UInt8

    static let cleanStart = ConnectFlags(rawValue: 0x02)
    static let will = ConnectFlags(rawValue: 0x04)
    static let willRetain = ConnectFlags(rawValue: 0x20)
    static let password = ConnectFlags(rawValue: 0x40)
    static let username = ConnectFlags(rawValue: 0x80)

    var willQoS: UInt8 { rawValue >> 3 & 0x03 }

    func check(_ version: ProtocolVersion) throws(DecodeError) {
        // [MQTT-3.1.2-3]; 3.1 calls the bit unused.
        if rawValue & 0x01 != 0, version != .v31 {
            throw DecodeError(.malformedPacket, "MQTT-3.1.2-3", "The reserved flag of CONNECT is set.")
        }
        if contains(.will) {
            // [MQTT-3.1.2-12] [MQTT311-3.1.2-14]
            if willQoS == 3 { throw DecodeError(.malformedPacket, "MQTT-3.1.2-12", "The will has QoS 3.") }
        } else if version != .v31 {
            // [MQTT-3.1.2-11] [MQTT311-3.1.2-13]; 3.1 disregards QoS and RETAIN of a will that is not there.
            if willQoS != 0 {
                throw DecodeError(.malformedPacket, "MQTT-3.1.2-11", "There is a will QoS without a will.")
            }
            // [MQTT-3.1.2-13] [MQTT311-3.1.2-15]
            if contains(.willRetain) {
                throw DecodeError(.malformedPacket, "MQTT-3.1.2-13", "There is a will RETAIN without a will.")
            }
        }
        // [MQTT311-3.1.2-22]; MQTT 5 allows it.
        if contains(.password), !contains(.username), version != .v5 {
            throw DecodeError(
                .malformedPacket, "MQTT311-3.1.2-22", "There is a password without a user name.")
        }
    }
}
