// SPDX-License-Identifier: Apache-2.0

extension ListenerFamily.Parts {
    /// HTTP for plugins, not MQTT.
    static let http = Self(rawValue: 1 << 4)
}

extension CoreKeys {
    static func httpPlaces(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "max_connections", .int(1...Int.max), default: "64", aliases: ["max_clients"],
                "Connections at once. A further one takes the place of the one that has waited longest for a request, "
                    + "and is closed where none waits."),
            family.option(
                "max_conn_rate", .count, default: "0",
                "Connections accepted in a second; further ones wait in the kernel's backlog. 0 sets no limit."),
        ]
    }

    /// Whom a listener of plugins' HTTP routes lets in, and how long it waits for whom.
    static func httpOptions(_ family: ListenerFamily) -> [ConfigKey] {
        (family.parts.contains(.tls) ? httpsOptions(family) : []) + httpTimes(family) + [
            family.option(
                "max_header", .bytes(1024...1 << 20), default: "16KB",
                "A request whose header is larger is refused with 431."),
            family.option(
                "max_body", .bytes(0...1 << 30), default: "1MB",
                "A request whose body is larger is refused with 413, unless its route has a limit of its own."),
            family.option(
                "cors_origins", .list, default: "", example: "https://ops.example.org",
                "Origins whose pages may ask from a browser and read the answers (CORS); * for every origin, without "
                    + "credentials. None when empty."),
        ]
    }

    /// Those of TLS that have a meaning without MQTT. A handshake must be over within header_timeout.
    private static func httpsOptions(_ family: ListenerFamily) -> [ConfigKey] {
        let others = [
            "peer_cert_as_username", "psk", "psk_hint", "alpn_required", "handshake_timeout", "max_handshakes",
        ]
        return tlsOptions(family).filter { !others.contains(levelsOf($0.name)[3]) }
    }

    private static func httpTimes(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "header_timeout", .duration(100...600_000), default: "10s",
                "A connection whose first request is not complete up to its body by then is closed."),
            family.option(
                "idle_timeout", .duration(100...3_600_000), default: "60s",
                "How long a connection is kept between two requests."),
            family.option(
                "request_timeout", .duration(100...3_600_000), default: "30s",
                "How long a body may take to arrive, and then a plugin to begin its answer; beyond it the host answers "
                    + "408 or 504."),
        ]
    }
}
