// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TLS

@Suite("What both ends agree on")
struct AgreementTests {
    private let key: [UInt8] = Array(repeating: 0xA5, count: 32)

    private func lookup() -> TLSContext.KeyLookup {
        let key = key
        return { identity in String(decoding: identity, as: UTF8.self) == "sensor-1" ? key : nil }
    }

    @Test("Without a version in common nobody comes in")
    func versions() throws {
        let link = try link(.server { $0.versions = .tls13 }, .client { $0.versions = .tls12 })
        #expect(link.server.state == "tls_version")
        #expect(link.client.state == "tls_refused_by_peer")
    }

    @Test("Cipher suites of both versions may be named, best first")
    func ciphers() throws {
        let options = TLSOptions.server {
            $0.ciphers = ["ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_CHACHA20_POLY1305_SHA256"]
        }
        #expect(try link(options, .client()).server.tls.cipher == "TLS_CHACHA20_POLY1305_SHA256")
        let old = try link(options, .client { $0.versions = .tls12 })
        #expect(old.server.tls.cipher == "ECDHE-ECDSA-CHACHA20-POLY1305")
        let none = try link(
            options,
            .client {
                $0.versions = .tls12
                $0.ciphers = ["ECDHE-ECDSA-AES128-GCM-SHA256"]
            })
        #expect(none.server.state == "tls_no_shared_cipher")
    }

    @Test("A session is resumed with its ticket", arguments: [TLSOptions.Versions.tls12, .tls13])
    func resumption(_ version: TLSOptions.Versions) throws {
        let server = try TLSContext(
            .server {
                $0.versions = version
                $0.verify = .required
                $0.authorities = Certificates.shared.path("cacert.pem")
            }, scope: "ssl:test")
        let client = try TLSContext(.client { $0.certificate = Certificates.shared.client })
        let first = Link(End(client, host: "localhost"), End(server))
        first.pump()
        #expect(!first.server.tls.isResumed)
        let session = try #require(first.client.tls.session)
        let second = Link(End(client, host: "localhost", session: session), End(server))
        second.pump()
        #expect(second.server.tls.isResumed)
        // Who it was stands in the ticket.
        #expect(second.server.tls.certificate?.commonName == "client")
        // A door that was loaded anew does not know the ticket and asks for everything again.
        let anew = try TLSContext(server.options, scope: "ssl:test")
        let third = Link(End(client, host: "localhost", session: session), End(anew))
        third.pump()
        #expect(third.server.tls.isReady && !third.server.tls.isResumed)
    }

    @Test("Without resumption there is no ticket", arguments: [TLSOptions.Versions.tls12, .tls13])
    func noResumption(_ version: TLSOptions.Versions) throws {
        let link = try link(
            .server {
                $0.versions = version
                $0.resumes = false
            }, .client())
        #expect(link.client.tls.isReady)
        #expect(link.client.tls.session == nil)
    }

    @Test("A client without the application protocol is refused only where it is required")
    func protocols() throws {
        func served(_ wanted: [String], required: Bool) throws -> Link {
            try link(
                .server {
                    $0.protocols = ["mqtt"]
                    $0.requiresProtocol = required
                }, .client { $0.protocols = wanted })
        }
        #expect(try served(["h2", "mqtt"], required: true).server.tls.applicationProtocol == "mqtt")
        #expect(try served(["h2"], required: false).server.tls.isReady)
        #expect(try served([], required: false).server.tls.isReady)
        #expect(try served(["h2"], required: true).server.state == "tls_no_alpn")
        #expect(try served([], required: true).server.state == "tls_no_alpn")
    }

    @Test(
        "A shared key takes the place of a certificate",
        arguments: [TLSOptions.Versions.tls12, .tls13], [TLSOptions.SharedKeys.also, .only])
    func sharedKey(_ version: TLSOptions.Versions, _ terms: TLSOptions.SharedKeys) throws {
        let server = TLSOptions.server {
            $0.sharedKeys = terms
            if terms == .only { $0.certificate = nil }
        }
        func client(_ identity: String, _ key: [UInt8]) -> TLSOptions {
            .client {
                $0.versions = version
                $0.ownKey = .init(identity: identity, key: key)
                $0.ciphers = version == .tls12 ? ["PSK"] : []
            }
        }
        let known = try link(server, client("sensor-1", key), host: nil, keys: lookup())
        #expect(known.server.tls.isReady && known.client.tls.isReady)
        #expect(known.server.tls.sharedKeyIdentity == "sensor-1")
        #expect(known.server.tls.certificate == .init(sharedKey: "sensor-1"))
        let stranger = try link(server, client("sensor-2", key), host: nil, keys: lookup())
        #expect(stranger.server.state == "tls_unknown_psk")
        let wrong = try link(server, client("sensor-1", [1, 2, 3, 4]), host: nil, keys: lookup())
        #expect(wrong.server.state == "tls_unknown_psk")
    }

    @Test("A ticket does not outlive the key it was given for", arguments: [TLSOptions.Versions.tls12, .tls13])
    func keysAndTickets(_ version: TLSOptions.Versions) throws {
        final class Known: @unchecked Sendable { var key: [UInt8]? }
        let known = Known()
        known.key = key
        let server = try TLSContext(
            .server {
                $0.sharedKeys = .only
                $0.certificate = nil
                $0.versions = version
            }, scope: "psk", keys: { _ in known.key })
        let client = try TLSContext(
            .client {
                $0.ownKey = .init(identity: "sensor-1", key: key)
                $0.ciphers = version == .tls12 ? ["PSK"] : []
            })
        let first = Link(End(client), End(server))
        first.pump()
        guard version == .tls12 else {
            #expect(first.client.tls.isReady && first.client.tls.session == nil)
            return
        }
        let session = try #require(first.client.tls.session)
        let second = Link(End(client, session: session), End(server))
        second.pump()
        #expect(second.server.tls.isReady && second.server.tls.isResumed)
        #expect(second.server.tls.sharedKeyIdentity == "sensor-1")
        known.key = nil
        let third = Link(End(client, session: session), End(server))
        third.pump()
        #expect(third.server.state == "tls_unknown_psk")
        #expect(!third.server.tls.isReady)
    }

    @Test("A door with shared keys beside certificates still takes certificates")
    func both() throws {
        let link = try link(.server { $0.sharedKeys = .also }, .client(), keys: lookup())
        #expect(link.server.tls.isReady && link.client.tls.isReady)
    }
}
