// SPDX-License-Identifier: Apache-2.0
import Sessions
import Topics

/// Who may come in without an auth plugin saying so. `mqtt.allow_anonymous`
public enum AnonymousAccess: UInt8, Sendable { case none, loopback, all }

/// How a share group picks its member. `mqtt.shared_subscription_strategy`
public enum ShareStrategy: UInt8, Sendable { case random, roundRobin, sticky, hashClientID, hashTopic, local }

/// The limits of a group of clients: everything a zone may set. Plain values, read on the data path.
public struct Zone: Sendable {
    public var allowAnonymous = AnonymousAccess.loopback
    public var aclNomatchAllows = true
    public var enableACL = true
    public var enableBan = true
    public var aclDenyDisconnects = false
    /// What SUBACK says to an MQTT 5 client of a filter the ACL denies: 0x87, or 0x80 for clients that know no other.
    public var deniedSubscribeCode: UInt8 = 0x87
    public var cacheACL = true
    public var aclCacheTTL: UInt64 = 60_000
    /// Bytes, fixed header included.
    public var maxPacketSize = 2 << 20
    public var maxClientIDLength = 65535
    /// 0: no limit.
    public var maxTopicLevels = 256
    public var maxQoS: UInt8 = 2
    public var maxTopicAlias: UInt16 = 10
    public var retainAvailable = true
    public var wildcardSubscription = true
    public var sharedSubscription = true
    public var subscriptionIdentifiers = true
    /// Every CONNECT is refused with this code, 0x9C or 0x9D; 0: none is. MQTT 5 §4.13
    public var redirectCode: UInt8 = 0
    /// Where clients are sent: "host:port", or several with spaces between. MQTT 5 §4.11. Empty: they are not told.
    public var serverReference: [UInt8] = []
    /// Whether a payload that its Payload Format Indicator calls text must be UTF-8. MQTT 5 §3.3.2.3.2
    public var checksPayloadFormat = true
    /// Whether MQTT 5 clients are told in words, too, what was refused and why.
    public var reasonStrings = false
    /// Longest keep alive in seconds an MQTT 5 client may have; 0: its own choice.
    public var serverKeepAlive: UInt16 = 0
    /// Times two, times the interval, is the silence after which a client is gone: 0.75 makes the 1.5 of the
    /// specification. [MQTT-3.1.2-22]
    public var keepAliveBackoff = 0.75
    /// Milliseconds in which CONNECT must arrive.
    public var idleTimeout: UInt64 = 15_000
    /// Messages a client may publish.
    public var publishLimit = RateLimit.none
    /// 0: no limit.
    public var maxSubscriptions = 0
    public var upgradeQoS = false
    public var maxInflight = 32
    /// Milliseconds after which an unacknowledged message is sent again to a 3.x client; 0: only on reconnect.
    public var retryInterval: UInt64 = 20_000
    /// QoS 2 messages awaiting PUBREL, and the Receive Maximum MQTT 5 clients are told; 0: 65535.
    public var maxAwaitingRel = 100
    /// Milliseconds.
    public var awaitRelTimeout: UInt64 = 300_000
    /// Seconds: of 3.x persistent sessions, and the cap for MQTT 5; UInt32.max: no cap.
    public var sessionExpiry: UInt32 = 7200
    public var queue = QueueLimits()
    public var priorities = TopicPriorities()
    public var ignoreLoopDeliver = false
    public var useUsernameAsClientID = false
    /// 3.1 clients may have client ids longer than 23 bytes.
    public var longClientIDs31 = true
    public var mountpoint = ""
    public var name = "default"
    /// Above this many bytes of unwritten output a client is slow: publishers wait for it a moment, then its QoS 0
    /// is dropped.
    public var outputHighWater = 512 << 10
    /// Hard bound of unwritten output: beyond it QoS 0 is dropped without a wait, and nothing more is read from the
    /// client, whose answers would have no place.
    public var outputLimit = 4 << 20

    public init() {}
}

/// What the broker is told once at start.
public struct BrokerSettings: Sendable {
    public var nodeName = "martlet@127.0.0.1"
    public var version = "0.1.0"
    /// Data loops; 0: one per core.
    public var loops = 0
    /// Zones by number; the first is the default.
    public var zones = [Zone()]
    public var shareStrategy = ShareStrategy.roundRobin
    /// QoS 2 messages that a leaving member was sent and has not received go to another, too, which
    /// [MQTT-4.8.2-4] forbids. `broker.shared_redispatch`
    public var sharedRedispatchesAll = false
    /// Prefix of the response information an MQTT 5 client may ask for; empty: none is given. MQTT 5 §3.2.2.3.15.
    public var responseTopicPrefix = ""
    /// Milliseconds, and upper bound of what a plugin may ask for.
    public var authDeferTimeout: UInt32 = 5000
    public var hookDeferTimeout: UInt32 = 5000
    /// Milliseconds a closing connection is given to read our last packet.
    public var lingerTimeout: UInt64 = 2000
    /// ACL answers each loop remembers, of all its clients; rounded up to a power of two.
    public var aclCacheSize = 65536
    /// Bytes one loop may have waiting for another before publishers are slowed.
    public var inboxLimit = 4 << 20
    /// nil: client ids that come and go are left alone.
    public var flapping: FlappingSettings?

    public init() {}
}
