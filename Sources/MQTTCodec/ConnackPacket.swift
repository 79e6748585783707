// SPDX-License-Identifier: Apache-2.0

/// CONNACK (MQTT 5 §3.2), read by a client. Without a property its default stands.
public struct ConnackPacket: DecodablePacket, Equatable, Sendable {
    public var sessionPresent: Bool
    /// A 3.x return code is given as the MQTT 5 code that says the same.
    public var reason: ReasonCode
    /// The raw block without its length; empty before MQTT 5.
    public var properties = ByteRange()

    /// In seconds; nil: as the client asked.
    public var sessionExpiry: UInt32?
    public var receiveMaximum: UInt16 = 65_535
    public var maximumQoS: UInt8 = 2
    public var retainAvailable = true
    /// In bytes; `UInt32.max` when the server gave none.
    public var maximumPacketSize: UInt32 = .max
    public var assignedClientID: ByteRange?
    public var topicAliasMaximum: UInt16 = 0
    public var wildcardsAvailable = true
    public var subscriptionIDsAvailable = true
    public var sharedSubscriptionsAvailable = true
    /// In seconds; nil: as the client asked.
    public var serverKeepAlive: UInt16?
    public var responseInformation: ByteRange?
    public var serverReference: ByteRange?
    public var reasonString: ByteRange?
    public var authMethod: ByteRange?
    public var authData: ByteRange?

    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> ConnackPacket {
        var cursor = Cursor(body)
        let acknowledge = try cursor.byte(body)
        let code = try cursor.byte(body)
        var packet = ConnackPacket(
            sessionPresent: acknowledge & 0x01 != 0 && version != .v31, reason: try reason(code, version))
        if version != .v31 {
            // [MQTT-3.2.2-1]; 3.1 does not use the byte.
            if acknowledge & 0xFE != 0 {
                throw DecodeError(.malformedPacket, "MQTT-3.2.2-1", "A reserved flag of CONNACK is set.")
            }
            // [MQTT-3.2.2-6] [MQTT311-3.2.2-4]
            if packet.sessionPresent, packet.reason != .success {
                throw DecodeError(.protocolError, "MQTT-3.2.2-6", "A refusal says that a session is present.")
            }
        }
        if version == .v5 { try packet.readProperties(&cursor, body) }
        try cursor.expectEnd()
        return packet
    }

    private static func reason(_ code: UInt8, _ version: ProtocolVersion) throws(DecodeError) -> ReasonCode {
        // [MQTT-3.2.2-8]
        let reason = version == .v5 ? ReasonCode(rawValue: code) : ReasonCode(connackReturnCode311: code)
        guard let reason, reason.isAllowed(in: .connack, from: .server) else { throw .wrongReason("MQTT-3.2.2-8") }
        return reason
    }

    private mutating func readProperties(_ cursor: inout Cursor, _ body: RawSpan) throws(DecodeError) {
        properties = try cursor.propertyBlock(body)
        var block = CheckedProperties(properties, for: .packet(.connack))
        while let property = try block.next(in: body) { take(property) }
        if authData != nil, authMethod == nil { throw .authDataWithoutMethod }
    }

    private mutating func take(_ property: Property) {
        switch property.id {
        case .sessionExpiryInterval: sessionExpiry = property.number
        case .receiveMaximum: receiveMaximum = UInt16(truncatingIfNeeded: property.number)
        case .maximumQoS: maximumQoS = UInt8(truncatingIfNeeded: property.number)
        case .retainAvailable: retainAvailable = property.number == 1
        case .maximumPacketSize: maximumPacketSize = property.number
        case .assignedClientIdentifier: assignedClientID = property.bytes
        case .topicAliasMaximum: topicAliasMaximum = UInt16(truncatingIfNeeded: property.number)
        case .wildcardSubscriptionAvailable: wildcardsAvailable = property.number == 1
        case .subscriptionIdentifierAvailable: subscriptionIDsAvailable = property.number == 1
        case .sharedSubscriptionAvailable: sharedSubscriptionsAvailable = property.number == 1
        case .serverKeepAlive: serverKeepAlive = UInt16(truncatingIfNeeded: property.number)
        case .responseInformation: responseInformation = property.bytes
        case .serverReference: serverReference = property.bytes
        case .reasonString: reasonString = property.bytes
        case .authenticationMethod: authMethod = property.bytes
        case .authenticationData: authData = property.bytes
        default: break
        }
    }
}
