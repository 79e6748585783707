// SPDX-License-Identifier: Apache-2.0
import Broker
import Config
import PluginHost
import TLS

extension TLSProfiles {
    /// All of `tls.NAME.*`.
    convenience init(_ config: ConfigFile) {
        let names = config.names(matching: "tls.*.*")
        let profiles = names.map { ($0, TLSProfile(config, "tls.\($0)")) }
        self.init(Dictionary(uniqueKeysWithValues: profiles), keys: { Broker.sharedKey(of: $0) })
    }
}

extension TLSProfile {
    fileprivate init(_ config: ConfigFile, _ prefix: String) {
        func key(_ option: String) -> String { "\(prefix).\(option)" }
        var both = TLSOptions(.server)
        both.versions = .init(words: config.list(key("tls_versions")))
        both.ciphers = config.listIfSet(key("ciphers")) ?? []
        both.authorities = config.pathIfSet(key("cacertfile"))
        both.revoked = config.pathIfSet(key("crlfile"))
        if let chain = config.pathIfSet(key("certfile")), let file = config.pathIfSet(key("keyfile")) {
            both.certificate = .init(chain: chain, key: file)
        }
        var client = both
        client.role = .client
        client.verify = .required
        if let identity = config.stringIfSet(key("psk_identity")), let text = config.stringIfSet(key("psk_key")) {
            client.ownKey = .init(identity: identity, key: bytes(ofHex: text))
        }
        if config.string(key("verify")) == "verify_peer" {
            both.verify = config.bool(key("fail_if_no_peer_cert")) ? .required : .optional
        } else {
            both.authorities = nil
            both.revoked = nil
        }
        both.setSharedKeys(config, prefix)
        self.init(server: both, client: client)
    }
}

/// Nothing when it is none: the handshake says so then.
private func bytes(ofHex text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    guard digits.count == text.count, digits.count % 2 == 0 else { return [] }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}
