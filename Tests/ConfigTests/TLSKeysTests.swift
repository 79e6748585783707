// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite("Keys of TLS listeners")
struct TLSKeysTests {
    private func messages(_ lines: String...) throws -> [String] {
        let folder = try TemporaryFolder()
        let text = (["listener.ssl.a = 8883"] + lines).joined(separator: "\n")
        let path = try folder.write("etc/martlet.conf", text)
        return CoreConfig.load(path: path, environment: [:], root: folder.path).diagnostics
            .map { "\($0.line): \($0.key): \($0.message)" }
    }

    @Test("Versions below TLS 1.2 are refused and it is said why")
    func versions() throws {
        #expect(try messages("listener.ssl.a.tls_versions = tlsv1.3") == [])
        #expect(
            try messages("listener.ssl.a.tls_versions = tlsv1.2,tlsv1.1,tlsv1") == [
                "2: listener.ssl.a.tls_versions: tlsv1.1 is not offered, because it is broken (RFC 8996), expected "
                    + "tlsv1.3, tlsv1.2 or both"
            ])
        #expect(
            try messages("listener.ssl.a.tls_versions = 1.2") == [
                "2: listener.ssl.a.tls_versions: \"1.2\" is not valid, expected tlsv1.3, tlsv1.2 or both"
            ])
        #expect(try messages("listener.ssl.a.tls_versions =").count == 1)
    }

    @Test("Options about certificates that nobody is asked for are a mistake")
    func nobodyIsAsked() throws {
        #expect(
            try messages("listener.ssl.a.fail_if_no_peer_cert = on") == [
                "2: listener.ssl.a.fail_if_no_peer_cert: clients are not asked for a certificate, expected "
                    + "listener.ssl.a.verify = verify_peer beside it"
            ])
        #expect(try messages("listener.ssl.a.crlfile = x").count == 1)
        #expect(try messages("listener.ssl.a.peer_cert_as_username = cn").count == 1)
        #expect(
            try messages("listener.ssl.a.verify = verify_peer") == [
                "2: listener.ssl.a.verify: nobody could be verified, expected listener.ssl.a.cacertfile = FILE beside it"
            ])
        #expect(
            try messages(
                "listener.ssl.a.verify = verify_peer", "listener.ssl.a.cacertfile = ca.pem",
                "listener.ssl.a.fail_if_no_peer_cert = on", "listener.ssl.a.peer_cert_as_username = dn") == [])
        // A client with a shared key has a name too.
        #expect(try messages("listener.ssl.a.psk = on", "listener.ssl.a.peer_cert_as_username = cn") == [])
    }

    @Test("Only a proxy knows the certificates of clients that are not encrypted")
    func proxied() throws {
        #expect(
            try messages("listener.tcp.b = 1", "listener.tcp.b.peer_cert_as_username = cn") == [
                "3: listener.tcp.b.peer_cert_as_username: only a proxy in front knows certificates here, expected "
                    + "listener.tcp.b.proxy_protocol = on beside it"
            ])
        #expect(
            try messages(
                "listener.tcp.b = 1", "listener.tcp.b.proxy_protocol = on",
                "listener.tcp.b.peer_cert_as_username = cn") == [])
        #expect(try messages("listener.tcp.b = 1", "listener.tcp.b.peer_cert_as_username = dn").count == 1)
    }

    @Test("A certificate for a host is three words")
    func hosts() throws {
        #expect(try messages("listener.ssl.a.sni.1 = h,c,k", "listener.ssl.a.sni.2 = *.h,c,k") == [])
        #expect(
            try messages("listener.ssl.a.sni.1 = h,c") == [
                "2: listener.ssl.a.sni.1: expected a host, a certificate file and a key file, separated by commas"
            ])
    }

    @Test("What EMQ's file says about a TLS listener is understood")
    func emq() throws {
        let found = try messages(
            "listener.ssl.a.handshake_timeout = 15s", "listener.ssl.a.keyfile = etc/certs/key.pem",
            "listener.ssl.a.max_clients = 1024", "listener.ssl.a.reuse_sessions = on",
            "listener.ssl.a.ciphers = ECDHE-ECDSA-AES256-GCM-SHA384,ECDHE-RSA-AES256-GCM-SHA384",
            "listener.ssl.a.acceptors = 16", "listener.ssl.a.secure_renegotiate = off")
        #expect(found.count == 2)
        #expect(found.allSatisfy { $0.contains("no effect here: ") })
    }
}
