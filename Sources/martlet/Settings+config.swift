// SPDX-License-Identifier: Apache-2.0
import Broker
import Config
import Net
import Sessions
import TLS
import WebSocket

/// From configuration keys to what the modules are told. The only place where both are known.
extension BrokerSettings {
    static let release = "0.1.0"

    init(_ config: ConfigFile, zones names: [String]) {
        self.init()
        nodeName = config.string("node.name")
        version = Self.release
        loops = config.int("node.loops")
        inboxLimit = config.bytes("node.max_inbox")
        authDeferTimeout = UInt32(config.durationMS("auth.defer_timeout"))
        hookDeferTimeout = UInt32(config.durationMS("hook.defer_timeout"))
        aclCacheSize = config.int("mqtt.acl_cache_size")
        if config.bool("flapping_detect.enable") {
            flapping = FlappingSettings(
                maxCount: config.int("flapping_detect.max_count"),
                window: UInt64(config.durationMS("flapping_detect.window_time")),
                banTime: UInt64(config.durationMS("flapping_detect.ban_time")))
        }
        responseTopicPrefix = config.stringIfSet("mqtt.response_topic_prefix") ?? ""
        shareStrategy =
            switch config.string("broker.shared_subscription_strategy") {
            case "round_robin": .roundRobin
            case "sticky": .sticky
            case "hash_clientid": .hashClientID
            case "hash_topic": .hashTopic
            case "local": .local
            default: .random
            }
        sharedRedispatchesAll = config.string("broker.shared_redispatch") == "all"
        zones = names.map { Zone($0, config) }
    }

    /// The default zone first, then every zone that the file names.
    static func zoneNames(_ config: ConfigFile) -> [String] {
        var names = ["external"]
        let listed = config.names(matching: "zone.*.*").map { String($0.split(separator: ".")[0]) }
        // One that only a listener names has no options of its own, and its clients are shown in it all the same.
        let used = mqttListeners(config).map { config.string("listener.\($0.family).\($0.name).zone") }
        for name in listed + used where !names.contains(name) { names.append(name) }
        return names
    }
}

/// Every `listener.FAMILY.NAME = ADDRESS` of the file that MQTT clients come in by.
private func mqttListeners(_ config: ConfigFile) -> [(family: String, name: String)] {
    CoreKeys.listenerFamilies.filter { $0.parts.contains(.mqtt) }.flatMap { family in
        config.names(matching: "listener.\(family.name).*").map { (family.name, $0) }
    }
}

private func has(_ part: ListenerFamily.Parts, _ family: String) -> Bool {
    CoreKeys.listenerFamilies.contains { $0.name == family && $0.parts.contains(part) }
}

extension Zone {
    init(_ name: String, _ config: ConfigFile) {
        self.init()
        self.name = name
        func key(_ option: String) -> String { "zone.\(name).\(option)" }
        setAccess(config, key)
        setLimits(config, key)
        setSession(config, key)
        setQueue(config, key)
        mountpoint = config.stringIfSet(key("mountpoint")) ?? ""
        outputHighWater = config.bytes("mqtt.output_high_water")
        outputLimit = config.bytes("mqtt.max_output_buffer")
    }

    private mutating func setAccess(_ config: ConfigFile, _ key: (String) -> String) {
        allowAnonymous =
            switch config.string(key("allow_anonymous")) {
            case "true": .all
            case "false": .none
            default: .loopback
            }
        aclNomatchAllows = config.string(key("acl_nomatch")) == "allow"
        aclDenyDisconnects = config.string(key("acl_deny_action")) == "disconnect"
        deniedSubscribeCode = config.string("mqtt.acl_deny_suback") == "not_authorized" ? 0x87 : 0x80
        enableACL = config.bool(key("enable_acl"))
        enableBan = config.bool(key("enable_ban"))
        cacheACL = config.bool("mqtt.acl_cache")
        aclCacheTTL = UInt64(config.durationMS("mqtt.acl_cache_ttl"))
        useUsernameAsClientID = config.bool(key("use_username_as_clientid"))
    }

    private mutating func setLimits(_ config: ConfigFile, _ key: (String) -> String) {
        maxPacketSize = config.bytes(key("max_packet_size"))
        maxClientIDLength = config.int(key("max_clientid_len"))
        longClientIDs31 = config.bool(key("long_clientids"))
        maxTopicLevels = config.int(key("max_topic_levels"))
        maxQoS = UInt8(config.int(key("max_qos_allowed")))
        maxTopicAlias = UInt16(config.int(key("max_topic_alias")))
        retainAvailable = config.bool(key("retain_available"))
        wildcardSubscription = config.bool(key("wildcard_subscription"))
        sharedSubscription = config.bool(key("shared_subscription"))
        subscriptionIdentifiers = config.bool(key("subscription_ids"))
        serverKeepAlive = UInt16(config.int(key("server_keepalive")))
        redirectCode =
            switch config.string(key("redirect")) {
            case "use_another_server": 0x9C
            case "server_moved": 0x9D
            default: 0
            }
        checksPayloadFormat = config.bool(key("payload_format_check"))
        reasonStrings = config.bool(key("reason_strings"))
        serverReference = Array((config.stringIfSet(key("server_reference")) ?? "").utf8)
        keepAliveBackoff = config.decimal(key("keepalive_backoff"))
        idleTimeout = UInt64(config.durationMS(key("idle_timeout")))
        publishLimit = config.rateIfSet(key("publish_limit")).map(RateLimit.init) ?? .none
    }

    private mutating func setSession(_ config: ConfigFile, _ key: (String) -> String) {
        maxSubscriptions = config.int(key("max_subscriptions"))
        upgradeQoS = config.bool(key("upgrade_qos"))
        maxInflight = config.int(key("max_inflight"))
        retryInterval = UInt64(config.durationMS(key("retry_interval")))
        maxAwaitingRel = config.int(key("max_awaiting_rel"))
        awaitRelTimeout = UInt64(config.durationMS(key("await_rel_timeout")))
        sessionExpiry = UInt32(clamping: config.durationMS(key("session_expiry_interval")) / 1000)
        ignoreLoopDeliver = config.bool(key("ignore_loop_deliver"))
    }

    private mutating func setQueue(_ config: ConfigFile, _ key: (String) -> String) {
        queue.maxLength = config.int(key("max_mqueue_len"))
        queue.maxBytes = config.bytes(key("max_mqueue_bytes"))
        queue.storeQoS0 = config.bool(key("mqueue_store_qos0"))
        queue.highWatermark = config.percent("mqtt.mqueue.high_watermark")
        queue.lowWatermark = config.percent("mqtt.mqueue.low_watermark")
        queue.drop =
            switch config.string(key("mqueue_drop")) {
            case "newest": .newest
            case "qos0_first": .qos0First
            default: .oldest
            }
        guard config.string("mqtt.mqueue.type") == "priority" else { return }
        priorities = TopicPriorities(
            config.list(key("mqueue_priorities")).compactMap { entry in
                guard let equals = entry.lastIndex(of: "="), let number = Int(entry[entry.index(after: equals)...])
                else { return nil }
                return (String(entry[..<equals]), number)
            }, defaultHighest: config.string(key("mqueue_default_priority")) == "highest")
    }
}

extension ListenerOptions {
    static func all(_ config: ConfigFile, zones: [String]) -> [ListenerOptions] {
        mqttListeners(config).map { family, name in
            let prefix = "listener.\(family).\(name)"
            let address = config.address(prefix)
            var options = ListenerOptions(
                name: "\(family):\(name)", host: address.host ?? "0.0.0.0", port: UInt16(address.port))
            options.backlog = Int32(config.int("\(prefix).backlog"))
            options.noDelay = config.bool("\(prefix).nodelay")
            options.reuseAddress = config.bool("\(prefix).reuseaddr")
            options.receiveBuffer = Int32(config.intIfSet("\(prefix).recbuf") ?? 0)
            options.sendBuffer = Int32(config.intIfSet("\(prefix).sndbuf") ?? 0)
            options.maxConnections = config.int("\(prefix).max_connections")
            options.maxConnectionRate = config.int("\(prefix).max_conn_rate")
            options.rateLimit = config.rateIfSet("\(prefix).rate_limit").map(RateLimit.init) ?? .none
            options.access = config.accessRules("\(prefix).access").map(AccessRule.init)
            options.proxyProtocol = config.bool("\(prefix).proxy_protocol")
            options.proxyTimeout = UInt64(config.durationMS("\(prefix).proxy_protocol_timeout"))
            let isGivenUp = config.bool("\(prefix).send_timeout_close")
            options.sendTimeout = isGivenUp ? UInt64(config.durationMS("\(prefix).send_timeout")) : 0
            options.mountpoint = config.stringIfSet("\(prefix).mountpoint") ?? ""
            options.setCertificateName(config, prefix)
            if has(.tls, family) { options.setTLS(config, prefix) }
            if has(.webSocket, family) { options.setWebSocket(config, prefix) }
            options.zone = zones.firstIndex(of: config.string("\(prefix).zone")) ?? 0
            return options
        }
    }

    /// The options that only a listener of WebSocket clients has; after those of TLS.
    private mutating func setWebSocket(_ config: ConfigFile, _ prefix: String) {
        webSocket = UpgradeTerms(config, prefix)
        handshakeTimeout = UInt64(config.durationMS("\(prefix).handshake_timeout"))
        // What the first bytes under TLS are. RFC 7301
        tls?.protocols = ["http/1.1"]
    }
}

extension UpgradeTerms {
    init(_ config: ConfigFile, _ prefix: String) {
        self.init()
        path = config.string("\(prefix).mqtt_path")
        verifiesProtocol = config.bool("\(prefix).verify_protocol_header")
        addressHeader = config.stringIfSet("\(prefix).proxy_address_header") ?? ""
        portHeader = config.stringIfSet("\(prefix).proxy_port_header") ?? ""
        origins = config.listIfSet("\(prefix).allowed_origins") ?? []
    }
}

extension RateLimit {
    init(_ rate: ConfigRate) { self.init(amount: rate.amount, perMS: rate.perMS, burst: rate.burst) }
}

extension AccessRule {
    init(_ rule: ConfigAccessRule) {
        self.init(
            isAllowed: rule.isAllowed,
            network: rule.network.map { Network(bytes: $0.bytes, prefix: $0.prefix) })
    }
}
