// SPDX-License-Identifier: Apache-2.0

extension ReasonCode {
    /// Whether `sender` may put this code into an MQTT 5 packet of that type: [MQTT-3.2.2-8], [MQTT-3.4.2-1],
    /// [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2], [MQTT-3.11.3-2], [MQTT-3.14.2-1],
    /// [MQTT-3.15.2-1]. Types without a reason code: false.
    public func isAllowed(in type: PacketType, from sender: PacketSender) -> Bool {
        switch type {
        case .connack: sender == .server && isAllowedInConnack
        case .puback, .pubrec: isAllowedInPubackOrPubrec
        case .pubrel, .pubcomp: self == .success || self == .packetIdentifierNotFound
        case .suback: sender == .server && isAllowedInSuback
        case .unsuback: sender == .server && isAllowedInUnsuback
        case .disconnect: sender == .client ? isAllowedInClientDisconnect : isAllowedInServerDisconnect
        case .auth: isAllowedInAuth(from: sender)
        default: false
        }
    }

    private var isAllowedInConnack: Bool {
        switch rawValue {
        case 0x00, 0x80...0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99...0x9D, 0x9F: true
        default: false
        }
    }

    private var isAllowedInPubackOrPubrec: Bool {
        switch rawValue {
        case 0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99: true
        default: false
        }
    }

    private var isAllowedInSuback: Bool {
        switch rawValue {
        case 0x00...0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2: true
        default: false
        }
    }

    private var isAllowedInUnsuback: Bool {
        switch rawValue {
        case 0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91: true
        default: false
        }
    }

    private var isAllowedInClientDisconnect: Bool {
        switch rawValue {
        case 0x00, 0x04, 0x80...0x83, 0x90, 0x93...0x99: true
        default: false
        }
    }

    private var isAllowedInServerDisconnect: Bool {
        switch rawValue {
        case 0x00, 0x80...0x83, 0x87, 0x89, 0x8B, 0x8D...0x90, 0x93...0xA2: true
        default: false
        }
    }

    /// Only a client starts a re-authentication, only a server ends one.
    private func isAllowedInAuth(from sender: PacketSender) -> Bool {
        switch self {
        case .continueAuthentication: true
        case .success: sender == .server
        case .reauthenticate: sender == .client
        default: false
        }
    }
}
