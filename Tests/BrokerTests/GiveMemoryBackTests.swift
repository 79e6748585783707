// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Testing

@testable import Broker

@Suite("Giving memory back between two connections", .serialized)
struct GiveMemoryBackTests {
    @Test("A connection that ends with something to write, and another that takes its slot in the same tick")
    func slotOfOneThatEnds() throws {
        var settings = BrokerSettings()
        settings.loops = 1
        let broker = Broker(settings: settings)
        broker.start()
        let shard = broker.shards[0]
        var ends: [[Int32]] = []
        for _ in 0..<2 {
            var pair: [Int32] = [0, 0]
            let kind = SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
            try #require(socketpair(AF_UNIX, Int32(kind), 0, &pair) == 0)
            ends.append(pair)
        }
        defer { for pair in ends { close(pair[1]) } }
        let (first, second) = (ends[0][0], ends[1][0])
        let go = Semaphore()
        nonisolated(unsafe) let rounds = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        rounds.initialize(to: 0)
        // All that is posted while the loop waits here runs in its next tick.
        shard.post { go.wait() }
        shard.post {
            guard let t = shard.adopt(fd: first) else { return }
            shard.reserve(t, 4).storeBytes(of: 1, as: UInt32.self)
            shard.close(t)
        }
        broker.giveMemoryBack()
        shard.post {
            guard let t = shard.adopt(fd: second) else { return }
            shard.reserve(t, 4).storeBytes(of: 7, as: UInt32.self)
        }
        go.signal()
        var waiting = pollfd(fd: ends[1][1], events: Int16(POLLIN), revents: 0)
        #expect(poll(&waiting, 1, 60_000) == 1)
        shard.post { cr_store_u64(rounds, 1) }
        let deadline = cr_clock_ms() + 60_000
        while cr_load_u64(rounds) == 0, cr_clock_ms() < deadline { usleep(1000) }
        // A loop that goes round its list for ever is not asked to end, either.
        try #require(cr_load_u64(rounds) == 1)
        broker.stop()
    }
}
