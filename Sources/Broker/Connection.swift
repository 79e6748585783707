// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Reactor
import Sessions
import Topics

typealias ConnectionRef = UnsafeMutablePointer<Connection>

/// One MQTT connection: what lives from accept to close. A slot in its shard's slab; three cache lines, of which a
/// message needs the first two.
struct Connection: SlabSlot {
    var slot: UInt32
    var generation: UInt32
    var transport: TransportRef
    var session: SessionRef?
    var zone: UnsafePointer<Zone>
    var phase: Phase
    var version: ProtocolVersion
    var flags: Flags
    var listener: UInt16
    /// Seconds in force; 0: none.
    var keepAlive: UInt16
    /// The client's Maximum Packet Size; larger packets are not sent. [MQTT-3.1.2-24]
    var maxPacketOut: UInt32
    /// Nil: it may send as much as it likes.
    var limits: UnsafeMutablePointer<ConnectionLimits>?
    /// The packet at the head of the input that waits for a plugin's answer.
    var replay: UnsafeMutablePointer<Replay>?

    var aliasesOut: UnsafeMutablePointer<OutboundAliases>?
    var aliasesIn: UnsafeMutablePointer<InboundAliases>?
    /// Owned; empty: none.
    var mountpoint: Bytes
    /// Of the topic it published to last, 0: none.
    var lastHash: UInt64 = 0
    /// Idle time before CONNECT, keep-alive after it, linger at the end.
    var timer: TimerNode
    /// The client's Receive Maximum.
    var receiveMaximum: UInt16
    var peer: PeerAddress
    /// Reason it is being closed with, for hooks and counters.
    var closeReason: UInt8
    var will: UnsafeMutablePointer<Will>?
    /// Enhanced authentication under way or done: method, owner of the exchange.
    var enhanced: UnsafeMutablePointer<EnhancedAuth>?
    var connectedAt: Int64

    enum Phase: UInt8 {
        case waitingForConnect, authenticating, connected, closing
    }

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let superuser = Flags(rawValue: 1)
        static let bridge = Flags(rawValue: 2)
        static let problemInformation = Flags(rawValue: 4)
        static let responseInformation = Flags(rawValue: 8)
        static let reauthenticating = Flags(rawValue: 16)
        /// Reading is paused because a receiver cannot keep up.
        static let held = Flags(rawValue: 32)
        static let takenOver = Flags(rawValue: 64)
        static let cleanStart = Flags(rawValue: 128)
        static let willSuppressed = Flags(rawValue: 256)
        /// The session expiry in force is not the one asked for.
        static let expiryCapped = Flags(rawValue: 512)
        static let keepAliveReplaced = Flags(rawValue: 8192)
        /// Reading is paused because the client is over its limit.
        static let throttled = Flags(rawValue: 1024)
        /// In the shard's list of outputs that wait for their peer.
        static let outputWaits = Flags(rawValue: 2048)
        /// Reading is paused because the client does not take our answers.
        static let choked = Flags(rawValue: 4096)
        /// The ACL's last answer about publishing was for any topic: it may be in the cache.
        static let aclForAnyTopic = Flags(rawValue: 16384)
        /// The topics of its last two messages were not the same.
        static let topicsDiffer = Flags(rawValue: 32768)
    }

    var isV5: Bool { version == .v5 }
}

/// Where a client connects from: address and port in 19 bytes.
public struct PeerAddress: Sendable {
    /// Network order; an IPv4 address in the first four bytes.
    public internal(set) var address: InlineArray<16, UInt8>
    public internal(set) var port: UInt16
    public internal(set) var isIPv6: Bool

    var isLoopback: Bool {
        if !isIPv6 { return address[0] == 127 }
        for i in 0..<15 where address[i] != 0 { return isMappedLoopback }
        return address[15] == 1
    }

    /// ::ffff:127.x.y.z
    private var isMappedLoopback: Bool {
        for i in 0..<10 where address[i] != 0 { return false }
        return address[10] == 0xFF && address[11] == 0xFF && address[12] == 127
    }
}

/// An enhanced authentication exchange. MQTT 5 §4.12.
struct EnhancedAuth {
    /// Owned.
    var method: Bytes
    var step: UInt32
    /// Owned copy of the CONNECT packet's body until the exchange is complete.
    var connect: Bytes
    var connectFlags: UInt8
}
