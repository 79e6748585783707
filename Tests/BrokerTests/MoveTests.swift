// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Testing

@testable import Broker

/// A layer that answers whatever arrives before it hands it on, as the last word of a handshake does.
private final class AnsweringLayer: StreamLayer, @unchecked Sendable {
    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        [UInt8]("hello".utf8).withUnsafeBytes { down($0) }
        up(bytes)
        return .open
    }
}

@Suite("Connections whose session is on another loop", .serialized)
struct MoveTests {
    /// MQTT 3.1.1, client id "x", a session that is kept.
    private static let connect: [UInt8] =
        [0x10, 13, 0, 4] + Array("MQTT".utf8) + [4, 0, 0, 60, 0, 1] + Array("x".utf8)

    private func ends() throws -> (ours: Int32, theirs: Int32) {
        var pair: [Int32] = [0, 0]
        let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        try #require(socketpair(AF_UNIX, Int32(kind), 0, &pair) == 0)
        return (pair[0], pair[1])
    }

    private func accept(_ broker: Broker, _ loop: Int, _ fd: Int32, _ listener: UInt16, _ layers: LayerStack? = nil) {
        _ = broker.takePlace(listener)
        broker.shards[loop].sync {
            broker.accept(fd: fd, peer: PeerAddress("127.0.0.1", port: 1)!, listener: listener, layers: layers)
        }
    }

    @Test("A client that is gone when its layers' last word is sent is given up once, not moved as well")
    func goneBeforeTheMove() throws {
        var settings = BrokerSettings()
        settings.loops = 2
        let broker = Broker(settings: settings)
        broker.start()
        let listener = broker.addListener(ListenerTerms(name: "test"))
        let first = try ends()
        accept(broker, 1, first.ours, listener)
        _ = Self.connect.withUnsafeBytes { write(first.theirs, $0.baseAddress!, $0.count) }
        var waiting = pollfd(fd: first.theirs, events: Int16(POLLIN), revents: 0)
        try #require(poll(&waiting, 1, 60_000) == 1)
        for _ in 0..<5 {
            let second = try ends()
            _ = Self.connect.withUnsafeBytes { write(second.theirs, $0.baseAddress!, $0.count) }
            // A program that another test starts just now may hold a copy of it.
            shutdown(second.theirs, Int32(SHUT_RDWR))
            close(second.theirs)
            accept(broker, 0, second.ours, listener, LayerStack([AnsweringLayer()]))
            let deadline = cr_clock_ms() + 60_000
            while broker.listenerCounts(listener).current > 1, cr_clock_ms() < deadline { sched_yield() }
            for shard in broker.shards { shard.sync {} }
            #expect(broker.listenerCounts(listener).current == 1)
        }
        // No place among the connections is there twice.
        nonisolated(unsafe) var slots: [UInt32] = []
        broker.shards[0].sync { slots = (0..<8).map { _ in broker.shards[0].connections.take().0 } }
        #expect(Set(slots).count == slots.count)
        close(first.theirs)
        broker.stop()
    }
}
