// SPDX-License-Identifier: Apache-2.0
import CTLS

/// Why a TLS connection ended before its time.
public struct TLSFailure: Sendable, Equatable {
    public enum Kind: Sendable {
        /// The peer speaks something else, such as plain MQTT or HTTP.
        case notTLS
        case version, cipher
        /// The peer has to have a certificate and has none.
        case noCertificate
        /// The peer's certificate is not accepted.
        case badCertificate
        /// The peer sent an alert, perhaps because it does not accept our certificate.
        case refused
        /// The peer's shared key is not known, or not the one we know.
        case unknownIdentity
        /// No application protocol in common.
        case noProtocol
        /// Whatever else went wrong in a handshake.
        case handshake
        /// A record after the handshake was damaged or out of place.
        case record
        /// It keeps TLS answering (new keys, another handshake) and takes none of the answers.
        case flood
        /// Made room for others: too many handshakes were under way.
        case crowded
        case timeout
    }

    public var kind: Kind
    /// What OpenSSL says of it, a clause such as "certificate has expired".
    public var text: String

    public init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    /// What it is counted under.
    public var reason: StaticString {
        switch kind {
        case .notTLS: "tls_not_tls"
        case .version: "tls_version"
        case .cipher: "tls_no_shared_cipher"
        case .noCertificate: "tls_no_peer_cert"
        case .badCertificate: "tls_bad_peer_cert"
        case .refused: "tls_refused_by_peer"
        case .unknownIdentity: "tls_unknown_psk"
        case .noProtocol: "tls_no_alpn"
        case .handshake: "tls_handshake_failed"
        case .record: "tls_bad_record"
        case .flood: "tls_flood"
        case .crowded: "tls_handshakes_full"
        case .timeout: "tls_handshake_timeout"
        }
    }

    init(of stream: OpaquePointer, wasReady: Bool) {
        let text = String(cString: ctls_stream_failure_text(stream))
        switch Int(ctls_stream_failure(stream)) {
        case CTLS_FAILURE_NOT_TLS where !wasReady: self.init(.notTLS, text)
        case CTLS_FAILURE_VERSION: self.init(.version, text)
        case CTLS_FAILURE_CIPHER: self.init(.cipher, text)
        case CTLS_FAILURE_NO_CERTIFICATE: self.init(.noCertificate, text)
        case CTLS_FAILURE_CERTIFICATE: self.init(.badCertificate, text)
        case CTLS_FAILURE_REFUSED: self.init(.refused, text)
        case CTLS_FAILURE_IDENTITY: self.init(.unknownIdentity, text)
        case CTLS_FAILURE_PROTOCOL: self.init(.noProtocol, text)
        default: self.init(wasReady ? .record : .handshake, text)
        }
    }
}
