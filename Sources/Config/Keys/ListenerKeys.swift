// SPDX-License-Identifier: Apache-2.0

/// The listeners whose keys begin with `listener.NAME.`: which options they have, and the one the shipped file shows.
public struct ListenerFamily: Sendable {
    /// tcp, ssl, ws …: the word in the key, and the first half of a listener's name (`tcp:external`).
    public let name: String
    public let parts: Parts
    /// Completes "…: where the listener of this name accepts clients."
    let what: String
    /// The listener of the shipped file: what stands for NAME, its address, and whether it is opened.
    let sample: (name: String, address: String, isActive: Bool)
    /// More about the address.
    var note = ""

    /// Groups of options beside those that every listener has.
    public struct Parts: OptionSet, Sendable {
        public let rawValue: Int
        public init(rawValue: Int) { self.rawValue = rawValue }
        /// Clients of the broker come in here.
        public static let mqtt = Parts(rawValue: 1)
        /// They come encrypted.
        public static let tls = Parts(rawValue: 2)
        /// They speak WebSocket.
        public static let webSocket = Parts(rawValue: 4)
    }

    /// An option of this family. Live in the shipped file (`shown`) only for a family that says so.
    func option(
        _ name: String, _ type: ConfigType, default defaultText: String? = nil, aliases: [String] = [],
        words: [String: String] = [:], inherits: String? = nil, example: String? = nil, shown: Bool = false,
        _ help: String
    ) -> ConfigKey {
        core(
            CoreKeys.listenerSection, "listener.\(self.name).*.\(name)", type, default: defaultText,
            aliases: aliases.map { "listener.\(self.name).*.\($0)" }, words: words, inherits: inherits,
            sample: .init(name: sample.name, value: example, isActive: shown), help)
    }
}

extension CoreKeys {
    static let listenerSection = "Listeners"

    /// Every family, in the order of the generated files.
    public static let listenerFamilies: [ListenerFamily] = [
        .init(name: "tcp", parts: .mqtt, what: "MQTT over TCP", sample: ("external", "0.0.0.0:1883", true)),
        .init(
            name: "ssl", parts: [.mqtt, .tls], what: "MQTT over TLS", sample: ("external", "0.0.0.0:8883", true)),
        .init(
            name: "ws", parts: [.mqtt, .webSocket], what: "MQTT over WebSocket",
            sample: ("external", "0.0.0.0:8083", true)),
        .init(
            name: "wss", parts: [.mqtt, .tls, .webSocket], what: "MQTT over WebSocket over TLS",
            sample: ("external", "0.0.0.0:8084", true)),
        .init(
            name: "api", parts: .http,
            what: "HTTP for plugins", sample: ("management", "127.0.0.1:8080", true),
            note: " A plugin's routes name the listener they are for: management where they name none, dashboard for "
                + "the dashboard, at port 18083 by custom. As shipped only this machine gets in: "
                + "nobody has an account yet."),
        .init(
            name: "apis", parts: [.http, .tls], what: "HTTPS for plugins",
            sample: ("management", "127.0.0.1:8081", false)),
    ]

    static let listeners: [ConfigKey] = describedOnce(listenerFamilies.flatMap(keys))

    /// What a family has. A further group of options is a line here and a `Parts`.
    private static func keys(_ family: ListenerFamily) -> [ConfigKey] {
        if family.parts.contains(.http) {
            return bind(family) + httpPlaces(family) + admission(family) + proxy(family) + socket(family)
                + httpOptions(family)
        }
        var keys = bind(family) + places(family)
        if family.parts.contains(.mqtt) { keys += mqttOptions(family) }
        if family.parts.contains(.tls) {
            keys += tlsOptions(family)
        } else if family.parts.contains(.mqtt) {
            keys += proxiedCertificate(family)
        }
        if family.parts.contains(.webSocket) { keys += webSocketOptions(family) }
        if !family.parts.isDisjoint(with: [.tls, .webSocket]) { keys += handshakeOptions(family) }
        return keys + admission(family) + proxy(family) + socket(family)
    }

    /// An option that an earlier family has too is described there; in the conf file only its line stands again.
    private static func describedOnce(_ keys: [ConfigKey]) -> [ConfigKey] {
        var first: [String: String] = [:]
        return keys.map { key in
            let option = levelsOf(key.name).dropFirst(3).joined(separator: ".")
            guard !option.isEmpty else { return key }
            // One that means something else in another family is described there too.
            let meaning = option + " " + key.help
            if let name = first[meaning] { return key.described(by: name) }
            first[meaning] = key.name
            return key
        }
    }

    private static func bind(_ family: ListenerFamily) -> [ConfigKey] {
        let sample = family.sample
        return [
            core(
                listenerSection, "listener.\(family.name).*", .address,
                sample: .init(name: sample.name, value: sample.address, isActive: sample.isActive),
                "\(family.what): where the listener of this name accepts clients. A bare port listens on every "
                    + "interface. There may be any number of names.\(family.note)")
        ]
    }

    private static func places(_ family: ListenerFamily) -> [ConfigKey] {
        let shown = family.name == "tcp"
        return [
            family.option(
                "max_connections", .int(1...Int.max), default: "1024000",
                aliases: ["max_clients"], shown: shown,
                "Connections at once; a further one is closed."),
            family.option(
                "max_conn_rate", .count, default: "0",
                "Connections accepted in a second; further ones wait in the kernel's backlog. 0 sets no limit."),
        ]
    }

    private static func mqttOptions(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "zone", .string, default: "external", shown: family.name == "tcp",
                "The zone whose limits hold for these clients."),
            family.option(
                "mountpoint", .string, example: "devices/",
                "As zone.NAME.mountpoint, for this listener; it wins over the zone's."),
            family.option(
                "rate_limit", .byteRate, default: "0",
                "Bytes a client may send in a second, and the burst it may save up (100KB,200KB); beyond it the "
                    + "broker reads more slowly. 0 sets no limit."),
        ]
    }

    private static func handshakeOptions(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "handshake_timeout", .duration(100...3_600_000), default: "15s",
                "A client whose handshakes, of TLS and of WebSocket, are not over by then is disconnected.")
        ]
    }

    private static func admission(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "access.*", .accessRule, example: "allow all",
                "Who may connect: rules access.1, access.2 and so on in the order of their numbers, the first that "
                    + "fits decides, and where none fits the client may. With proxy_protocol they hold for the proxy "
                    + "and then for the client it speaks for.")
        ]
    }

    private static func proxy(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "proxy_protocol", .bool, default: "off",
                "Whether a proxy in front sends the client's address first (PROXY protocol, version 1 or 2)."),
            family.option(
                "proxy_protocol_timeout", .duration(100...Int.max), default: "3s",
                "A connection without that header by then is closed."),
        ]
    }

    private static func socket(_ family: ListenerFamily) -> [ConfigKey] {
        let shown = family.name == "tcp"
        return [
            family.option(
                "backlog", .int(1...65_535), default: family.parts.contains(.http) ? "512" : "1024", shown: shown,
                "Connections the kernel holds until they are accepted."),
            family.option(
                "send_timeout", .duration(100...Int.max), default: "15s", shown: shown,
                "How long a client may take nothing while data waits for it."),
            family.option(
                "send_timeout_close", .bool, default: "on", shown: shown, "Whether such a client is disconnected."),
            family.option(
                "recbuf", .bytes(1024...1 << 30), example: "16KB",
                "The kernel's receive buffer of a connection; it sizes the buffer itself when not set."),
            family.option(
                "sndbuf", .bytes(1024...1 << 30), example: "16KB",
                "The kernel's send buffer of a connection; it sizes the buffer itself when not set."),
            family.option(
                "nodelay", .bool, default: "on", shown: shown,
                "Whether the kernel sends small segments at once (TCP_NODELAY)."),
            family.option(
                "reuseaddr", .bool, default: "on", shown: shown,
                "Whether a restart may take the address over at once (SO_REUSEADDR)."),
        ]
    }
}
