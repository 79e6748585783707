// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import TLS

@Suite("TLS on one connection")
struct LayerTests {
    private let bytes: [UInt8] = Array("hello".utf8)

    @Test("Both versions shake hands and carry bytes both ways", arguments: [TLSOptions.Versions.tls12, .tls13])
    func handshake(_ version: TLSOptions.Versions) throws {
        let link = try link(.server { $0.versions = version }, .client())
        #expect(link.server.tls.isReady && link.client.tls.isReady)
        #expect(link.server.tls.version == (version == .tls12 ? "TLSv1.2" : "TLSv1.3"))
        #expect(link.server.tls.handshakes == (1, 1))
        link.client.send(bytes)
        link.server.send(Array(bytes.reversed()))
        link.pump()
        #expect(link.server.owner.received == bytes)
        #expect(link.client.owner.received == bytes.reversed())
    }

    @Test("A handshake may come byte by byte", arguments: [TLSOptions.Versions.tls12, .tls13])
    func byteByByte(_ version: TLSOptions.Versions) throws {
        let certificates = Certificates.shared
        let link = Link(
            End(try TLSContext(.client { $0.certificate = certificates.client }), host: "localhost"),
            End(
                try TLSContext(
                    .server {
                        $0.versions = version
                        $0.verify = .required
                        $0.authorities = certificates.path("cacert.pem")
                    })))
        link.piece = 1
        link.pump()
        #expect(link.server.tls.isReady)
        link.client.send(bytes)
        link.pump()
        #expect(link.server.owner.received == bytes)
    }

    @Test("A megabyte arrives whole and in order")
    func large() throws {
        let link = try link(.server(), .client())
        let body = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
        // The loop hands a layer at most 64 KiB at a time.
        for start in stride(from: 0, to: body.count, by: 65_536) {
            link.client.send(Array(body[start..<start + 65_536]))
        }
        link.pump()
        #expect(link.server.owner.received == body)
    }

    @Test("Records that come together bring more than the scratch room holds")
    func overflow() throws {
        let link = try link(.server(), .client())
        let body = [UInt8](repeating: 7, count: 65_536)
        link.client.send(body)
        link.client.send(body)
        link.server.receive(link.client.wire.sent)
        #expect(link.server.owner.received.count == 131_072)
    }

    @Test("Beyond the limit the oldest handshake ends; one that is over leaves its place")
    func places() throws {
        let handshakes = Handshakes(limit: 3)
        var layers = (0..<5).map { _ in TLSLayer(nil) }
        for layer in layers[..<3] { handshakes.add(layer) }
        handshakes.remove(layers[1])
        #expect(handshakes.count == 2)
        handshakes.add(layers[3])
        handshakes.add(layers[4])
        #expect(layers.map { $0.places != nil } == [false, false, true, true, true])
        // A connection that is gone leaves too.
        layers.removeLast()
        #expect(handshakes.count == 2)
        handshakes.add(layers[0])
        handshakes.add(layers[1])
        #expect(layers.map { $0.places != nil } == [true, true, false, true])
    }

    @Test("A handshake takes its place with the first bytes and leaves it at its end, good or bad")
    func place() throws {
        let handshakes = Handshakes(limit: 8)
        let link = Link(End(try TLSContext(.client()), host: "localhost"), End(try TLSContext(.server())))
        link.server.tls.room = handshakes
        #expect(handshakes.count == 0)
        link.server.receive(link.client.wire.sent)
        link.client.wire.sent = []
        #expect(handshakes.count == 1)
        link.pump()
        #expect(link.server.tls.isReady && handshakes.count == 0)
        let bad = End(try TLSContext(.server()))
        bad.tls.room = handshakes
        bad.receive(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        #expect(bad.state == "tls_not_tls" && handshakes.count == 0)
    }

    @Test("Whoever has not spoken costs no OpenSSL connection")
    func silent() throws {
        let server = End(try TLSContext(.server()))
        #expect(server.tls.version == nil)
        #expect(server.tls.handshakes == (0, 0))
        #expect(!server.tls.isReady)
    }

    @Test(
        "Bytes of another protocol are told apart",
        arguments: [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{10}\u{10}\0\u{4}MQTT\u{4}\u{2}\0\u{3C}\0\u{4}abcd",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ])
    func garbage(_ text: String) throws {
        let server = End(try TLSContext(.server()))
        server.receive(Array(text.utf8))
        #expect(server.state == "tls_not_tls")
        #expect(server.tls.failures.map(\.kind) == [.notTLS])
        #expect(!server.tls.failures[0].text.isEmpty)
        // Nothing, or a record of type alert. RFC 8446 §6
        #expect(server.wire.sent.first == nil || server.wire.sent.first == 21)
    }

    @Test("A record that was changed on its way ends the connection")
    func damaged() throws {
        let link = try link(.server(), .client())
        link.client.send(bytes)
        let last = try #require(link.client.wire.sent.indices.last)
        link.client.wire.sent[last] ^= 1
        link.pump()
        #expect(link.server.state == "tls_bad_record")
        #expect(link.server.owner.received.isEmpty)
    }

    @Test("close_notify is the peer's end and is answered", arguments: [TLSOptions.Versions.tls12, .tls13])
    func goodbye(_ version: TLSOptions.Versions) throws {
        let link = try link(.server { $0.versions = version }, .client())
        link.client.send(bytes)
        link.client.tls.finish()
        link.pump()
        #expect(link.server.owner.received == bytes)
        #expect(link.server.state == "ended")
        #expect(link.client.state == "ended")
    }

    @Test("Nobody says goodbye who has not said hello")
    func noGoodbye() throws {
        let server = End(try TLSContext(.server()))
        server.tls.finish()
        #expect(server.wire.sent.isEmpty)
    }

    @Test("An abandoned handshake fails once, by its reason, and gives its memory back")
    func abandoned() throws {
        let client = End(try TLSContext(.client()), host: "localhost")
        let server = End(try TLSContext(.server()))
        server.receive(Array(client.wire.sent.prefix(40)))
        #expect(server.tls.version != nil)
        server.tls.abandon(TLSFailure(.crowded, "too many"))
        server.tls.abandon(TLSFailure(.crowded, "too many"))
        #expect(server.tls.failures.count == 1)
        #expect(server.tls.version == nil)
        #expect(server.state == "tls_handshakes_full")
    }

    @Test("A client that is refused hears why and the server keeps OpenSSL's words")
    func words() throws {
        let link = try link(
            .server {
                $0.verify = .required
                $0.authorities = Certificates.shared.path("cacert.pem")
                $0.versions = .tls12
            }, .client { $0.certificate = Certificates.shared.otherClient })
        #expect(link.server.state == "tls_bad_peer_cert")
        #expect(link.server.tls.failures[0].text.contains("unable to get local issuer certificate"))
        #expect(link.client.state == "tls_refused_by_peer")
        #expect(link.client.tls.failures[0].text == "unknown CA")
    }
}
