// SPDX-License-Identifier: Apache-2.0
import Broker
import Config
import Net
import TLS

extension ListenerOptions {
    /// The options that only a listener of TLS clients has.
    mutating func setTLS(_ config: ConfigFile, _ prefix: String) {
        tls = TLSOptions(listener: prefix, config)
        tls?.setSharedKeys(config, prefix)
        tls?.requiresProtocol = config.bool("\(prefix).alpn_required")
        // RFC 7301; a browser that opens a WebSocket offers http/1.1.
        tls?.protocols = prefix.hasPrefix("listener.wss.") ? ["http/1.1"] : ["mqtt"]
        handshakeTimeout = UInt64(config.durationMS("\(prefix).handshake_timeout"))
        maxHandshakes = config.int("\(prefix).max_handshakes")
    }

    mutating func setCertificateName(_ config: ConfigFile, _ prefix: String) {
        certificateName =
            switch config.string("\(prefix).peer_cert_as_username") {
            case "cn": .common
            case "dn": .distinguished
            case "subject": .subject
            default: .unused
            }
    }
}

extension TLSOptions {
    /// What listeners of every family have, those of MQTT and of HTTP.
    init(listener prefix: String, _ config: ConfigFile) {
        self.init(.server)
        func key(_ option: String) -> String { "\(prefix).\(option)" }
        versions = Versions(words: config.list(key("tls_versions")))
        certificate = Certificate(chain: config.path(key("certfile")), key: config.path(key("keyfile")))
        named = config.each(prefix: key("sni.")).map { entry in
            let parts = config.list(entry.key)
            return Named(
                host: parts[0],
                certificate: Certificate(chain: config.absolute(parts[1]), key: config.absolute(parts[2])))
        }
        if config.string(key("verify")) == "verify_peer" {
            verify = config.bool(key("fail_if_no_peer_cert")) ? .required : .optional
            authorities = config.pathIfSet(key("cacertfile"))
            revoked = config.pathIfSet(key("crlfile"))
        }
        ciphers = config.listIfSet(key("ciphers")) ?? []
        honorsOwnOrder = config.bool(key("honor_cipher_order"))
        dhParameters = config.pathIfSet(key("dhfile"))
        resumes = config.bool(key("reuse_sessions"))
    }

    /// A listener or a profile for which nothing but shared keys counts has no certificate.
    mutating func setSharedKeys(_ config: ConfigFile, _ prefix: String) {
        sharedKeys =
            switch config.string("\(prefix).psk") {
            case "on": .also
            case "only": .only
            default: .off
            }
        sharedKeyHint = config.stringIfSet("\(prefix).psk_hint")
        if sharedKeys == .only { certificate = nil }
    }
}

extension TLSOptions.Versions {
    init(words: [String]) { self.init(words.map { $0 == "tlsv1.2" ? .tls12 : .tls13 }) }
}
