// SPDX-License-Identifier: Apache-2.0
import Foundation
import Reactor
import Testing

@testable import TLS

@Suite("Who is at the other end")
struct PeerTests {
    private let certificates = Certificates.shared

    private func server(_ verify: TLSOptions.Verify, _ version: TLSOptions.Versions = .tls13) -> TLSOptions {
        .server {
            $0.verify = verify
            $0.authorities = certificates.path("cacert.pem")
            $0.versions = version
        }
    }

    @Test("The names in a client's certificate are known after the handshake")
    func names() throws {
        let link = try link(server(.required), .client { $0.certificate = certificates.client })
        let peer = try #require(link.server.tls.certificate)
        #expect(peer.commonName == "client")
        #expect(peer.distinguishedName == "CN=client,O=Martlet")
        #expect(peer.subject == "/O=Martlet/CN=client")
    }

    @Test(
        "Of a client's certificate the server keeps the bytes, and reads all out of them that can be asked",
        arguments: [TLSOptions.Versions.tls12, .tls13])
    func proofs(_ version: TLSOptions.Versions) throws {
        let link = try link(server(.required, version), .client { $0.certificate = certificates.client })
        let tls = link.server.tls
        let pem = try String(contentsOfFile: certificates.path("client-cert.pem"), encoding: .utf8)
        let der = try #require(Data(base64Encoded: pem.split(separator: "\n").dropFirst().dropLast().joined()))
        #expect(tls.proof(.der) == Array(der))
        #expect(tls.proof(.pem) == Array(pem.utf8))
        #expect(tls.proof(.fingerprint) == certificates.fingerprint("client-cert.pem"))
        #expect(tls.proof(.commonName) == Array("client".utf8))
        #expect(tls.proof(.distinguishedName) == Array("CN=client,O=Martlet".utf8))
        #expect(tls.proof(.subject) == Array("/O=Martlet/CN=client".utf8))
        #expect(tls.proof(.sharedKey) == nil)
        #expect(link.server.stack.proof(.commonName) == Array("client".utf8))
        // The server's, for the client.
        #expect(link.client.tls.proof(.fingerprint) == certificates.fingerprint("cert.pem"))
    }

    @Test(
        "What the server has let go of is missed neither by the records that follow nor by a resumption",
        arguments: [TLSOptions.Versions.tls12, .tls13])
    func slim(_ version: TLSOptions.Versions) throws {
        let options = server(.required, version)
        let context = try TLSContext(options)
        var session: [UInt8]?
        for round in 0..<3 {
            let client = TLSOptions.client { $0.certificate = certificates.client }
            let link = Link(End(try TLSContext(client), host: "localhost", session: session), End(context))
            link.pump()
            link.client.send(Array("to the server".utf8))
            link.server.send(Array("to the client".utf8))
            link.pump()
            #expect(link.server.owner.received == Array("to the server".utf8))
            #expect(link.client.owner.received == Array("to the client".utf8))
            #expect(link.server.tls.isResumed == (round > 0))
            #expect(link.server.tls.certificate?.commonName == "client")
            #expect(link.server.tls.proof(.fingerprint) == certificates.fingerprint("client-cert.pem"))
            session = link.client.tls.session
        }
    }

    @Test("Before the handshake is over, and of a peer without a certificate, nothing is proven")
    func nothing() throws {
        let link = try link(server(.optional), .client())
        for what in [PeerProof.commonName, .fingerprint, .der, .pem, .sharedKey] {
            #expect(link.server.tls.proof(what) == nil)
        }
        let new = End(try TLSContext(server(.required)))
        #expect(new.tls.proof(.der) == nil)
    }

    @Test("A client without a certificate is let in only where it may", arguments: [TLSOptions.Versions.tls12, .tls13])
    func without(_ version: TLSOptions.Versions) throws {
        let open = try link(server(.optional, version), .client())
        #expect(open.server.tls.isReady)
        #expect(open.server.tls.certificate == nil)
        let closed = try link(server(.required, version), .client())
        #expect(closed.server.state == "tls_no_peer_cert")
    }

    @Test("A client's certificate of an unknown authority is refused even where none is required")
    func stranger() throws {
        let link = try link(server(.optional), .client { $0.certificate = certificates.otherClient })
        #expect(link.server.state == "tls_bad_peer_cert")
    }

    @Test("A revoked certificate is refused")
    func revoked() throws {
        var options = server(.required)
        options.revoked = certificates.revocationList()
        let link = try link(options, .client { $0.certificate = certificates.client })
        #expect(link.server.state == "tls_bad_peer_cert")
        #expect(link.server.tls.failures[0].text == "certificate revoked")
    }

    @Test("A client refuses a server that is not whom it wants, and one of an unknown authority")
    func clientRefuses() throws {
        #expect(try link(.server(), .client(), host: "127.0.0.1").client.tls.isReady)
        let name = try link(.server(), .client(), host: "elsewhere.example")
        #expect(name.client.state == "tls_bad_peer_cert")
        #expect(name.client.tls.failures[0].text.lowercased().contains("hostname mismatch"))
        let authority = try link(.server { $0.certificate = certificates.otherServer }, .client())
        #expect(authority.client.state == "tls_bad_peer_cert")
        #expect(authority.server.state == "tls_refused_by_peer")
    }

    @Test("The name a client asks for chooses the certificate")
    func serverNames() throws {
        let options = TLSOptions.server {
            $0.named = [.init(host: "second.example", certificate: certificates.otherServer)]
        }
        let trusting = TLSOptions.client { $0.authorities = certificates.path("other/cacert.pem") }
        #expect(try link(options, trusting, host: "second.example").client.tls.isReady)
        #expect(try link(options, trusting, host: "SECOND.example").client.tls.isReady)
        #expect(!(try link(options, trusting, host: "localhost").client.tls.isReady))
        #expect(try link(options, .client(), host: "localhost").client.tls.isReady)
    }

    @Test("A tunable wildcard stands for one label")
    func wildcards() throws {
        let options = TLSOptions.server {
            $0.named = [.init(host: "*.example", certificate: certificates.otherServer)]
        }
        let trusting = TLSOptions.client { $0.authorities = certificates.path("other/cacert.pem") }
        #expect(try link(options, trusting, host: "second.example").client.tls.isReady)
        // Not covered: it gets the door's own certificate, of an authority this client does not know.
        let deep = try link(options, trusting, host: "a.second.example")
        #expect(deep.client.tls.failures.map(\.text) == ["unable to get local issuer certificate"])
    }
}
