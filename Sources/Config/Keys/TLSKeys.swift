// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    static func tlsOptions(_ family: ListenerFamily) -> [ConfigKey] {
        certificates(family) + clients(family) + agreement(family) + handshakes(family)
    }

    /// Of a family whose clients are not encrypted, where a proxy in front may know their certificates.
    static func proxiedCertificate(_ family: ListenerFamily) -> [ConfigKey] {
        guard family.parts.contains(.mqtt) else { return [] }
        return [
            family.option(
                "peer_cert_as_username", .enumeration(["off", "cn"]), default: "off",
                "Whether the common name takes the place of the user name that a proxy in front has found in the "
                    + "client's certificate, with proxy_protocol in version 2 (haproxy: send-proxy-v2-ssl-cn). A client "
                    + "about whom it says none has no user name then.")
        ]
    }

    private static func certificates(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "certfile", .path, default: "etc/certs/cert.pem",
                "The certificate, PEM, followed by those between it and its authority. bin/martlet makes one to try "
                    + "TLS with at the first start. `martlet_ctl listeners reload-certs` and SIGHUP read all these "
                    + "files again while clients stay."),
            family.option(
                "keyfile", .path, default: "etc/certs/key.pem", "Its private key, PEM, without a passphrase."),
            family.option(
                "sni.*", .list, example: "mqtt.example.org,etc/certs/example.pem,etc/certs/example-key.pem",
                "A further certificate for clients that ask for this host, which may begin with *. for one more "
                    + "level: host, certificate file, key file. sni.1, sni.2 and so on."),
        ]
    }

    private static func clients(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "verify", .enumeration(["verify_none", "verify_peer"]), default: "verify_none",
                "Whether clients are asked for a certificate, which must then come from an authority in cacertfile."),
            family.option(
                "fail_if_no_peer_cert", .bool, default: "off",
                "Whether a client without a certificate is refused, with verify_peer."),
            family.option(
                "cacertfile", .path, example: "etc/certs/cacert.pem",
                "The authorities that clients' certificates come from, PEM."),
            family.option(
                "crlfile", .path, example: "etc/certs/crl.pem",
                "Lists of revoked certificates, PEM, one of each authority that has issued clients' certificates. A "
                    + "list that is out of date refuses everybody."),
            family.option(
                "peer_cert_as_username", .enumeration(["off", "cn", "dn", "subject"]), default: "off",
                "Which name in a client's certificate takes the place of the user name in CONNECT: its common name, "
                    + "CN=device-1,O=Acme, or /O=Acme/CN=device-1. A client with a shared key is called by its "
                    + "identity. One that has neither has no user name then."),
            family.option(
                "psk", .enumeration(["off", "on", "only"]), default: "off", words: ["true": "on", "false": "off"],
                "Whether clients may come with a shared key that the auth_psk plugin knows, beside certificates or "
                    + "instead of them: with only, the listener needs no certificate."),
            family.option(
                "psk_hint", .string, example: "martlet", "Helps TLS 1.2 clients choose their identity."),
        ]
    }

    private static func agreement(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "tls_versions", .list, default: "tlsv1.3,tlsv1.2", "Versions of TLS that clients may speak."),
            family.option(
                "ciphers", .list, example: "ECDHE-ECDSA-AES128-GCM-SHA256,TLS_AES_128_GCM_SHA256",
                "Cipher suites in OpenSSL's names, those of TLS 1.2 and TLS 1.3 in one list, the best first; for a "
                    + "version without any, OpenSSL's own."),
            family.option(
                "honor_cipher_order", .bool, default: "on",
                "Whether the listener's order of cipher suites counts, not the client's."),
            family.option(
                "dhfile", .path, example: "etc/certs/dh-params.pem",
                "Diffie-Hellman parameters, PEM, for the DHE suites of TLS 1.2; OpenSSL has its own when not set."),
            family.option(
                "alpn_required", .bool, default: "off",
                "Whether a client is refused that does not name the application protocol (ALPN) of the listener: mqtt, "
                    + "or http/1.1 where it speaks WebSocket."),
            family.option(
                "reuse_sessions", .bool, default: "on",
                "Whether clients get tickets that make their next handshake short. Loading certificates again makes "
                    + "them worthless."),
        ]
    }

    private static func handshakes(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "max_handshakes", .int(1...1 << 20), default: "4096",
                "Handshakes under way at once; a further one ends the oldest. Each takes about 45 KB.")
        ]
    }
}
