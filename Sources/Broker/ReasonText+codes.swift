// SPDX-License-Identifier: Apache-2.0
import MQTTCodec

extension ReasonText {
    /// What a code says where nothing more is known: the codes plugins choose, and those with one cause only.
    init(_ reason: ReasonCode) {
        self =
            switch reason.rawValue {
            case 0x80...0x86: Self.ofConnect(reason)
            case 0x87...0x8F: Self.ofAccess(reason)
            case 0x90...0x97: Self.ofPacket(reason)
            default: Self.ofServer(reason)
            }
    }

    private static func ofConnect(_ reason: ReasonCode) -> ReasonText {
        switch reason {
        case .unspecifiedError: "The server refused it and gives no reason."
        case .malformedPacket: "The packet is not what the specification describes."
        case .protocolError: "The packet breaks a rule of the protocol."
        case .implementationSpecificError: "A rule of this server refused it."
        case .unsupportedProtocolVersion: "The server does not speak this version of MQTT."
        case .clientIdentifierNotValid: "The server does not accept this client identifier."
        default: "The server does not accept this user name and password."
        }
    }

    private static func ofAccess(_ reason: ReasonCode) -> ReasonText {
        switch reason {
        case .notAuthorized: "The client is not authorized to do this."
        case .serverUnavailable: "The server cannot decide this at the moment."
        case .serverBusy: "The server is busy; try again later."
        case .banned: "This client is banned."
        case .serverShuttingDown: "The server is shutting down."
        case .badAuthenticationMethod: "The server does not know this authentication method."
        case .keepAliveTimeout: "Nothing arrived within the keep alive time."
        case .sessionTakenOver: "Another connection uses this client identifier now."
        default: "The topic filter is not valid."
        }
    }

    private static func ofPacket(_ reason: ReasonCode) -> ReasonText {
        switch reason {
        case .topicNameInvalid: "The server does not accept this topic name."
        case .packetIdentifierInUse: "The packet identifier is in use."
        case .packetIdentifierNotFound: "The packet identifier is not in use."
        case .receiveMaximumExceeded: "More messages are under way than the server's Receive Maximum allows."
        case .topicAliasInvalid: "The topic alias is 0 or above the server's maximum."
        case .packetTooLarge: "The packet is larger than allowed."
        case .messageRateTooHigh: "The client sends too fast."
        default: "A limit that the server sets is reached."
        }
    }

    private static func ofServer(_ reason: ReasonCode) -> ReasonText {
        switch reason {
        case .administrativeAction: "An administrator ended the connection."
        case .payloadFormatInvalid: "The payload is not the UTF-8 text that its format indicator announces."
        case .retainNotSupported: "The server does not take retained messages."
        case .qosNotSupported: "The server does not take messages of this QoS."
        case .useAnotherServer: "This server sends its clients to another one for a time."
        case .serverMoved: "This server has moved for good."
        case .sharedSubscriptionsNotSupported: "The server does not allow shared subscriptions."
        case .connectionRateExceeded: "Too many connections are being made."
        case .maximumConnectTime: "The time allowed for this connection is over."
        case .subscriptionIdentifiersNotSupported: "The server does not take subscription identifiers."
        case .wildcardSubscriptionsNotSupported: "The server does not allow wildcards in filters."
        default: .none
        }
    }
}

extension ReasonCode {
    /// This code, or where a server may not send it in that packet the one that comes closest.
    func allowed(in type: PacketType) -> ReasonCode {
        if isAllowed(in: type, from: .server) { return self }
        switch self {
        case .badUserNameOrPassword, .banned, .badAuthenticationMethod: return .notAuthorized
        default: return type == .suback ? .implementationSpecificError : .unspecifiedError
        }
    }
}

/// The code for the client and the words for the person behind it.
struct Refusal {
    var reason: ReasonCode
    var text: ReasonText

    init(_ reason: ReasonCode, _ text: ReasonText) {
        self.reason = reason
        self.text = text
    }

    init(_ error: DecodeError) { self.init(error.reason, ReasonText(stringLiteral: error.text)) }

    /// With the words that the code always has.
    init(_ reason: ReasonCode) { self.init(reason, ReasonText(reason)) }
}
