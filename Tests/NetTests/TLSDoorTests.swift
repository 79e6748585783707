// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Broker
@testable import Net
@testable import TLS

@Suite("What the TLS connections of a listener share")
struct TLSDoorTests {
    @Test("Only so many complaints are logged, and how many were not is said with the next")
    func complaints() {
        var rate = ComplaintRate()
        for _ in 0..<ComplaintRate.perWindow { #expect(rate.take(now: 5) == 0) }
        for _ in 0..<7 { #expect(rate.take(now: 6) == nil) }
        #expect(rate.take(now: 5 + ComplaintRate.window) == 7)
        #expect(rate.take(now: 6 + ComplaintRate.window) == 0)
    }

    @Test("Beyond the limit the oldest handshake ends; one that is over leaves its place")
    func handshakes() {
        let broker = Broker(settings: BrokerSettings())
        let listener = Listener(ListenerOptions(name: "ssl:test", host: "127.0.0.1", port: 1), broker: broker)
        let peer = [UInt8](repeating: 127, count: 4).withUnsafeBytes { PeerAddress($0, port: 1) }
        let handshakes = Handshakes(limit: 3)
        var layers = (0..<5).map { _ in ListenerTLS(listener, peer) }
        for layer in layers[..<3] { handshakes.add(layer) }
        layers[1].handshakeEnded()
        #expect(handshakes.count == 2)
        handshakes.add(layers[3])
        handshakes.add(layers[4])
        #expect(layers.map { $0.handshakes != nil } == [false, false, true, true, true])
        // A connection that is gone leaves too.
        layers.removeLast()
        #expect(handshakes.count == 2)
        handshakes.add(layers[0])
        handshakes.add(layers[1])
        #expect(layers.map { $0.handshakes != nil } == [true, true, false, true])
    }
}
