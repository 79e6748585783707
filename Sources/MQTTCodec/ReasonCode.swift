// SPDX-License-Identifier: Apache-2.0

/// The outcome of an operation (MQTT 5 §2.4). Below 0x80 it succeeded.
public struct ReasonCode: RawRepresentable, Equatable, Hashable, Sendable {
    public var rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable public var isFailure: Bool { rawValue >= 0x80 }
}

extension ReasonCode {
    /// Also normal disconnection, granted QoS 0.
    @inlinable public static var success: ReasonCode { ReasonCode(rawValue: 0x00) }
    @inlinable public static var grantedQoS1: ReasonCode { ReasonCode(rawValue: 0x01) }
    @inlinable public static var grantedQoS2: ReasonCode { ReasonCode(rawValue: 0x02) }
    @inlinable public static var disconnectWithWill: ReasonCode { ReasonCode(rawValue: 0x04) }
    @inlinable public static var noMatchingSubscribers: ReasonCode { ReasonCode(rawValue: 0x10) }
    @inlinable public static var noSubscriptionExisted: ReasonCode { ReasonCode(rawValue: 0x11) }
    @inlinable public static var continueAuthentication: ReasonCode { ReasonCode(rawValue: 0x18) }
    @inlinable public static var reauthenticate: ReasonCode { ReasonCode(rawValue: 0x19) }
    @inlinable public static var unspecifiedError: ReasonCode { ReasonCode(rawValue: 0x80) }
    @inlinable public static var malformedPacket: ReasonCode { ReasonCode(rawValue: 0x81) }
    @inlinable public static var protocolError: ReasonCode { ReasonCode(rawValue: 0x82) }
    @inlinable public static var implementationSpecificError: ReasonCode { ReasonCode(rawValue: 0x83) }
    @inlinable public static var unsupportedProtocolVersion: ReasonCode { ReasonCode(rawValue: 0x84) }
    @inlinable public static var clientIdentifierNotValid: ReasonCode { ReasonCode(rawValue: 0x85) }
    @inlinable public static var badUserNameOrPassword: ReasonCode { ReasonCode(rawValue: 0x86) }
    @inlinable public static var notAuthorized: ReasonCode { ReasonCode(rawValue: 0x87) }
    @inlinable public static var serverUnavailable: ReasonCode { ReasonCode(rawValue: 0x88) }
    @inlinable public static var serverBusy: ReasonCode { ReasonCode(rawValue: 0x89) }
    @inlinable public static var banned: ReasonCode { ReasonCode(rawValue: 0x8A) }
    @inlinable public static var serverShuttingDown: ReasonCode { ReasonCode(rawValue: 0x8B) }
    @inlinable public static var badAuthenticationMethod: ReasonCode { ReasonCode(rawValue: 0x8C) }
    @inlinable public static var keepAliveTimeout: ReasonCode { ReasonCode(rawValue: 0x8D) }
    @inlinable public static var sessionTakenOver: ReasonCode { ReasonCode(rawValue: 0x8E) }
    @inlinable public static var topicFilterInvalid: ReasonCode { ReasonCode(rawValue: 0x8F) }
    @inlinable public static var topicNameInvalid: ReasonCode { ReasonCode(rawValue: 0x90) }
    @inlinable public static var packetIdentifierInUse: ReasonCode { ReasonCode(rawValue: 0x91) }
    @inlinable public static var packetIdentifierNotFound: ReasonCode { ReasonCode(rawValue: 0x92) }
    @inlinable public static var receiveMaximumExceeded: ReasonCode { ReasonCode(rawValue: 0x93) }
    @inlinable public static var topicAliasInvalid: ReasonCode { ReasonCode(rawValue: 0x94) }
    @inlinable public static var packetTooLarge: ReasonCode { ReasonCode(rawValue: 0x95) }
    @inlinable public static var messageRateTooHigh: ReasonCode { ReasonCode(rawValue: 0x96) }
    @inlinable public static var quotaExceeded: ReasonCode { ReasonCode(rawValue: 0x97) }
    @inlinable public static var administrativeAction: ReasonCode { ReasonCode(rawValue: 0x98) }
    @inlinable public static var payloadFormatInvalid: ReasonCode { ReasonCode(rawValue: 0x99) }
    @inlinable public static var retainNotSupported: ReasonCode { ReasonCode(rawValue: 0x9A) }
    @inlinable public static var qosNotSupported: ReasonCode { ReasonCode(rawValue: 0x9B) }
    @inlinable public static var useAnotherServer: ReasonCode { ReasonCode(rawValue: 0x9C) }
    @inlinable public static var serverMoved: ReasonCode { ReasonCode(rawValue: 0x9D) }
    @inlinable public static var sharedSubscriptionsNotSupported: ReasonCode { ReasonCode(rawValue: 0x9E) }
    @inlinable public static var connectionRateExceeded: ReasonCode { ReasonCode(rawValue: 0x9F) }
    @inlinable public static var maximumConnectTime: ReasonCode { ReasonCode(rawValue: 0xA0) }
    @inlinable public static var subscriptionIdentifiersNotSupported: ReasonCode { ReasonCode(rawValue: 0xA1) }
    @inlinable public static var wildcardSubscriptionsNotSupported: ReasonCode { ReasonCode(rawValue: 0xA2) }
}

extension ReasonCode {
    /// The CONNACK return code that says the same to a 3.1 or 3.1.1 client: 0...5 (MQTT 3.1.1 §3.2.2.3, table 3.1).
    /// A failure without a counterpart becomes 3, "server unavailable".
    public var connackReturnCode311: UInt8 {
        switch self {
        case .success: 0
        case .unsupportedProtocolVersion: 1
        case .clientIdentifierNotValid: 2
        case .badUserNameOrPassword, .badAuthenticationMethod: 4
        case .notAuthorized, .banned: 5
        default: 3
        }
    }

    /// The MQTT 5 code for a 3.1 or 3.1.1 CONNACK return code; nil when the code is reserved (6...255).
    public init?(connackReturnCode311 code: UInt8) {
        switch code {
        case 0: self = .success
        case 1: self = .unsupportedProtocolVersion
        case 2: self = .clientIdentifierNotValid
        case 3: self = .serverUnavailable
        case 4: self = .badUserNameOrPassword
        case 5: self = .notAuthorized
        default: return nil
        }
    }
}
