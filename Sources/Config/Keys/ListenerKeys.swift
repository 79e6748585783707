// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Listeners"

    static let listeners: [ConfigKey] = bind("tcp", "0.0.0.0:1883", "MQTT over TCP") + common("tcp") + socket("tcp")

    /// The addresses a family listens on; a further family is one more line in `listeners`.
    private static func bind(_ family: String, _ address: String, _ what: String) -> [ConfigKey] {
        [
            core(
                section, "listener.\(family).*", .address,
                sample: .init(name: "external", value: address, isActive: true),
                "\(what): where the listener of this name accepts clients. A bare port listens on every interface. "
                    + "There may be any number of names.")
        ]
    }

    private static func common(_ family: String) -> [ConfigKey] {
        let prefix = "listener.\(family).*"
        return [
            core(
                section, "\(prefix).max_connections", .int(1...Int.max), default: "1024000",
                aliases: ["\(prefix).max_clients"], sample: active, "Connections at once; a further one is closed."),
            core(
                section, "\(prefix).max_conn_rate", .count, default: "0", sample: passive,
                "Connections accepted in a second; further ones wait in the kernel's backlog. 0 sets no limit."),
            core(
                section, "\(prefix).zone", .string, default: "external", sample: active,
                "The zone whose limits hold for these clients."),
            core(
                section, "\(prefix).mountpoint", .string, sample: .init(name: "external", value: "devices/"),
                "As zone.NAME.mountpoint, for this listener; it wins over the zone's."),
            core(
                section, "\(prefix).rate_limit", .byteRate, default: "0",
                sample: passive,
                "Bytes a client may send in a second, and the burst it may save up (100KB,200KB); beyond it the "
                    + "broker reads more slowly. 0 sets no limit."),
            core(
                section, "\(prefix).access.*", .accessRule,
                sample: .init(name: "external", value: "allow all", isActive: false),
                "Who may connect: rules access.1, access.2 and so on in the order of their numbers, the first that "
                    + "fits decides, and where none fits the client may. With proxy_protocol they hold for the proxy "
                    + "and then for the client it speaks for."),
            core(
                section, "\(prefix).proxy_protocol", .bool, default: "off",
                sample: passive,
                "Whether a proxy in front sends the client's address first (PROXY protocol, version 1 or 2)."),
            core(
                section, "\(prefix).proxy_protocol_timeout", .duration(100...Int.max), default: "3s",
                sample: passive,
                "A connection without that header by then is closed."),
        ]
    }

    private static func socket(_ family: String) -> [ConfigKey] {
        let prefix = "listener.\(family).*"
        return [
            core(
                section, "\(prefix).backlog", .int(1...65_535), default: "1024", sample: active,
                "Connections the kernel holds until they are accepted."),
            core(
                section, "\(prefix).send_timeout", .duration(100...Int.max), default: "15s",
                sample: active,
                "How long a client may take nothing while data waits for it."),
            core(
                section, "\(prefix).send_timeout_close", .bool, default: "on",
                sample: active,
                "Whether such a client is disconnected."),
            core(
                section, "\(prefix).recbuf", .bytes(1024...1 << 30), sample: .init(name: "external", value: "16KB"),
                "The kernel's receive buffer of a connection; it sizes the buffer itself when not set."),
            core(
                section, "\(prefix).sndbuf", .bytes(1024...1 << 30), sample: .init(name: "external", value: "16KB"),
                "The kernel's send buffer of a connection; it sizes the buffer itself when not set."),
            core(
                section, "\(prefix).nodelay", .bool, default: "on", sample: active,
                "Whether the kernel sends small segments at once (TCP_NODELAY)."),
            core(
                section, "\(prefix).reuseaddr", .bool, default: "on", sample: active,
                "Whether a restart may take the address over at once (SO_REUSEADDR)."),
        ]
    }

    private static let active = ConfigKey.Sample(name: "external", isActive: true)
    private static let passive = ConfigKey.Sample(name: "external")
}
