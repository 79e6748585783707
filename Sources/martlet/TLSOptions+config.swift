// SPDX-License-Identifier: Apache-2.0
import Broker
import Config
import Net
import TLS

extension ListenerOptions {
    /// The options that only a listener of TLS clients has.
    mutating func setTLS(_ config: ConfigFile, _ prefix: String) {
        tls = TLSOptions(config, prefix)
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
    init(_ config: ConfigFile, _ prefix: String) {
        self.init(.server)
        func key(_ option: String) -> String { "\(prefix).\(option)" }
        let words = config.list(key("tls_versions"))
        versions = Versions(words.map { $0 == "tlsv1.2" ? .tls12 : .tls13 })
        sharedKeys =
            switch config.string(key("psk")) {
            case "on": .also
            case "only": .only
            default: .off
            }
        sharedKeyHint = config.stringIfSet(key("psk_hint"))
        if sharedKeys != .only {
            certificate = Certificate(chain: config.path(key("certfile")), key: config.path(key("keyfile")))
        }
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
        requiresProtocol = config.bool(key("alpn_required"))
    }
}
