// SPDX-License-Identifier: Apache-2.0

extension CoreConfig {
    /// What the options of one TLS listener say together.
    static func tlsListeners(_ values: ConfigFile) -> [Diagnostic] {
        CoreKeys.listenerFamilies.filter { $0.parts.contains(.mqtt) || $0.parts.contains(.tls) }.flatMap { family in
            values.names(matching: "listener.\(family.name).*").flatMap { name in
                let prefix = "listener.\(family.name).\(name)"
                guard family.parts.contains(.tls) else { return proxied(values, prefix) }
                return versions(values, prefix) + hosts(values, prefix)
                    + peers(values, prefix, isMQTT: family.parts.contains(.mqtt))
            }
        }
    }

    private static func wrong(_ values: ConfigFile, _ key: String, _ message: String) -> [Diagnostic] {
        values.value(key).map { [Diagnostic(.error, at: $0.source, key: key, message: message)] } ?? []
    }

    private static func proxied(_ values: ConfigFile, _ prefix: String) -> [Diagnostic] {
        let key = "\(prefix).peer_cert_as_username"
        guard values.string(key) != "off", !values.bool("\(prefix).proxy_protocol") else { return [] }
        return wrong(
            values, key,
            "only a proxy in front knows certificates here, expected \(prefix).proxy_protocol = on beside it")
    }

    private static func versions(_ values: ConfigFile, _ prefix: String) -> [Diagnostic] {
        let key = "\(prefix).tls_versions"
        let words = values.list(key)
        if words.isEmpty { return wrong(values, key, "there is no version in it, expected tlsv1.3, tlsv1.2 or both") }
        guard let odd = words.first(where: { !["tlsv1.2", "tlsv1.3"].contains($0) }) else { return [] }
        let isOld = ["tlsv1.1", "tlsv1", "tlsv1.0", "sslv3"].contains(odd)
        return wrong(
            values, key,
            isOld
                ? "\(odd) is not offered, because it is broken (RFC 8996), expected tlsv1.3, tlsv1.2 or both"
                : "\"\(odd)\" is not valid, expected tlsv1.3, tlsv1.2 or both")
    }

    private static func hosts(_ values: ConfigFile, _ prefix: String) -> [Diagnostic] {
        values.each(prefix: "\(prefix).sni.").flatMap { key, _ in
            values.list(key).count == 3
                ? [] : wrong(values, key, "expected a host, a certificate file and a key file, separated by commas")
        }
    }

    /// Options about clients' certificates that nobody is asked for.
    private static func peers(_ values: ConfigFile, _ prefix: String, isMQTT: Bool) -> [Diagnostic] {
        let verify = "\(prefix).verify"
        if values.string(verify) == "verify_peer" {
            guard values.stringIfSet("\(prefix).cacertfile") == nil else { return [] }
            return wrong(values, verify, "nobody could be verified, expected \(prefix).cacertfile = FILE beside it")
        }
        let hasKeys = !isMQTT || values.string("\(prefix).psk") != "off"
        let idle = [
            ("fail_if_no_peer_cert", values.bool("\(prefix).fail_if_no_peer_cert")),
            ("crlfile", values.stringIfSet("\(prefix).crlfile") != nil),
            ("peer_cert_as_username", !hasKeys && values.string("\(prefix).peer_cert_as_username") != "off"),
        ]
        return idle.filter(\.1).flatMap { option, _ in
            wrong(
                values, "\(prefix).\(option)",
                "clients are not asked for a certificate, expected \(verify) = verify_peer beside it")
        }
    }
}
