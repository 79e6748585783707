// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    /// Sets of TLS options that plugins name when they listen or connect.
    static let tlsProfiles: [ConfigKey] = [
        profile(
            "certfile", .path, example: "etc/certs/cert.pem",
            "The certificate that is shown to the other side, PEM, followed by those between it and its authority. A "
                + "plugin's listener needs one, unless psk = only; a plugin that connects may have one."),
        profile("keyfile", .path, example: "etc/certs/key.pem", "Its private key, PEM, without a passphrase."),
        profile(
            "cacertfile", .path, example: "etc/certs/cacert.pem",
            "The authorities that the other side's certificate comes from, PEM; for a plugin that connects, those of "
                + "the system when not set. A server's certificate is always checked."),
        profile("crlfile", .path, example: "etc/certs/crl.pem", "Lists of revoked certificates, PEM."),
        profile(
            "verify", .enumeration(["verify_none", "verify_peer"]), default: "verify_none",
            "Whether a listener asks its clients for a certificate, which must then come from an authority in "
                + "cacertfile."),
        profile(
            "fail_if_no_peer_cert", .bool, default: "off",
            "Whether a client without a certificate is refused, with verify_peer."),
        profile("tls_versions", .list, default: "tlsv1.3,tlsv1.2", "Versions of TLS that may be spoken."),
        profile(
            "ciphers", .list, example: "ECDHE-ECDSA-AES128-GCM-SHA256,TLS_AES_128_GCM_SHA256",
            "Cipher suites in OpenSSL's names, those of TLS 1.2 and TLS 1.3 in one list, the best first; for a "
                + "version without any, OpenSSL's own."),
        profile(
            "psk", .enumeration(["off", "on", "only"]), default: "off", words: ["true": "on", "false": "off"],
            "Whether a listener takes clients with a shared key that the auth_psk plugin knows, beside certificates or "
                + "instead of them."),
        profile("psk_hint", .string, example: "martlet", "Helps TLS 1.2 clients choose their identity."),
        profile(
            "psk_identity", .string, example: "gateway-1",
            "The identity with which a plugin that connects names its shared key."),
        profile(
            "psk_key", .string, secret: true, example: "00112233445566778899aabbccddeeff", "That key, hexadecimal."),
    ]

    private static func profile(
        _ option: String, _ type: ConfigType, default defaultText: String? = nil, words: [String: String] = [:],
        secret: Bool = false, example: String? = nil, _ help: String
    ) -> ConfigKey {
        ConfigKey(
            "tls.*.\(option)", type, default: defaultText, flags: secret ? [.immutable, .secret] : .immutable,
            section: "TLS profiles", words: words, sample: .init(name: "gateway", value: example), help: help)
    }
}
