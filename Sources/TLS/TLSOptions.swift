// SPDX-License-Identifier: Apache-2.0
import CTLS

/// What a TLS door or a TLS client is told. Plain values; files are read when a `TLSContext` is made of them.
public struct TLSOptions: Sendable, Equatable {
    public enum Role: Sendable { case server, client }

    public struct Versions: OptionSet, Sendable {
        public let rawValue: Int32
        public init(rawValue: Int32) { self.rawValue = rawValue }
        public static let tls12 = Versions(rawValue: Int32(CTLS_TLS12))
        public static let tls13 = Versions(rawValue: Int32(CTLS_TLS13))
    }

    /// Paths of PEM files.
    public struct Certificate: Sendable, Equatable {
        /// The certificate, and those between it and its authority.
        public var chain: String
        public var key: String
        public init(chain: String, key: String) {
            self.chain = chain
            self.key = key
        }
    }

    /// What a server wants of its clients' certificates. A client always checks the server's.
    public enum Verify: Sendable { case none, optional, required }

    /// Whether clients may come with a shared key.
    public enum SharedKeys: Sendable {
        case off
        /// Beside certificates.
        case also
        /// Nothing else; the door needs no certificate.
        case only
    }

    /// A further certificate, for clients that ask for this host. RFC 6066 §3
    public struct Named: Sendable, Equatable {
        /// "mqtt.example.org", "*.example.org"
        public var host: String
        public var certificate: Certificate
        public init(host: String, certificate: Certificate) {
            self.host = host
            self.certificate = certificate
        }
    }

    public var role: Role
    /// DTLS 1.2 over datagrams instead of TLS over a stream.
    public var isDatagram = false
    public var versions: Versions = [.tls12, .tls13]
    public var certificate: Certificate?
    public var named: [Named] = []
    /// PEM file of the authorities that the peer's certificate must come from; nil: for a client those of the system.
    public var authorities: String?
    /// PEM file of certificate revocation lists.
    public var revoked: String?
    public var verify = Verify.none
    /// Names of TLS 1.2 and TLS 1.3 cipher suites, best first; where there is none of a version, the library's own.
    public var ciphers: [String] = []
    /// The server's order of ciphers counts, not the client's.
    public var honorsOwnOrder = true
    /// PEM file of Diffie-Hellman parameters; nil: of a size that fits the certificate.
    public var dhParameters: String?
    /// Clients get tickets with which a further handshake is short.
    public var resumes = true
    /// Application protocols, best first. RFC 7301
    public var protocols: [String] = []
    /// A client that has none of them in common, or names none, is refused.
    public var requiresProtocol = false
    public var sharedKeys = SharedKeys.off
    public var sharedKeyHint: String?
    /// As a client: identity and key to offer.
    public var ownKey: OwnKey?

    public struct OwnKey: Sendable, Equatable {
        public var identity: String
        public var key: [UInt8]
        public init(identity: String, key: [UInt8]) {
            self.identity = identity
            self.key = key
        }
    }

    public init(_ role: Role) { self.role = role }
}

/// One sentence that says what is wrong.
public struct TLSError: Error, CustomStringConvertible, Equatable {
    public var description: String
    public init(description: String) { self.description = description }
}
