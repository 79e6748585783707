// SPDX-License-Identifier: Apache-2.0

/// The protocol level a client announces in CONNECT (MQTT 5 §3.1.2.2).
public enum ProtocolVersion: UInt8, Sendable, Comparable {
    /// MQTT 3.1, protocol name `MQIsdp`.
    case v31 = 3
    case v311 = 4
    case v5 = 5

    @inlinable
    public static func < (a: ProtocolVersion, b: ProtocolVersion) -> Bool { a.rawValue < b.rawValue }
}

/// The upper four bits of a packet's first byte (MQTT 5 §2.1.2).
public enum PacketType: UInt8, Sendable {
    case connect = 1
    case connack = 2
    case publish = 3
    case puback = 4
    case pubrec = 5
    case pubrel = 6
    case pubcomp = 7
    case subscribe = 8
    case suback = 9
    case unsubscribe = 10
    case unsuback = 11
    case pingreq = 12
    case pingresp = 13
    case disconnect = 14
    case auth = 15

    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    @inlinable public var isAcknowledgement: Bool { (Self.puback.rawValue...Self.pubcomp.rawValue).contains(rawValue) }
}

/// Which end of the connection sent a packet: some reason codes and properties belong to one end only.
public enum PacketSender: UInt8, Sendable {
    case client
    case server
}
