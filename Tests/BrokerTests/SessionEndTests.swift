// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import Reactor
import Sessions
import Testing
import Topics

@testable import Broker

@Suite("The end of a session with many subscriptions")
struct SessionEndTests {
    /// One shard on a thread of its own; `ask` runs there, between two ticks.
    private func onLoop(_ body: (Broker, _ ask: (@escaping @Sendable (Shard) -> Int) -> Int) -> Void) {
        var settings = BrokerSettings()
        settings.loops = 1
        let broker = Broker(settings: settings)
        let shard = broker.shards[0]
        let thread = startThread("loop") { shard.run() }
        body(broker) { question in
            nonisolated(unsafe) var answer = 0
            shard.sync { answer = question(shard) }
            return answer
        }
        shard.stop()
        pthread_join(thread, nil)
    }

    @Test("Its filters leave the table some in each tick; until then nothing is kept for it, and its handle is stale")
    func byParts() {
        onLoop { broker, ask in
            nonisolated(unsafe) var s: SessionRef! = nil
            let slot = ask { shard in
                s = shard.bareSession()
                var sub = martlet_sub()
                sub.qos = 1
                for n in 0..<5000 { withBytes("many/\(n)") { _ = shard.addSubscription(s, $0, sub) } }
                let handle = shard.handle(s)
                shard.endSession(s, reason: .sessionEnd)
                #expect(shard.session(handle) == nil)
                shard.forEachSession { _ in Issue.record("an ended session is listed") }
                withBytes("many/7") { topic in
                    var message = Message(topic: topic, payload: topic, qos: 1)
                    _ = withUnsafeMutablePointer(to: &message) {
                        shard.route($0, Topics.hash(topic, seed: shard.table.seed), from: nil)
                    }
                }
                #expect(s.pointee.outbound == nil)
                #expect(shard.bareSession() != s)
                return Int(s.pointee.slot)
            }
            let left = broker.table.count().subscriptions
            #expect(left > 0 && left <= 4000)
            var rounds = 0
            while broker.table.count().subscriptions > 0, rounds < 50 { rounds += ask { _ in 1 } }
            #expect(broker.table.count().filters == 0)
            _ = ask { _ in 0 }
            #expect(ask { Int($0.bareSession().pointee.slot) } == slot)
        }
    }

    @Test("Places in share groups are given up at once, wherever they are in its list")
    func shares() {
        onLoop { broker, ask in
            _ = ask { shard in
                let s = shard.bareSession()
                for n in 0..<3000 {
                    withBytes("many/\(n)") { filter in
                        withBytes(n % 100 == 0 ? "group" : "") { group in
                            var sub = martlet_sub()
                            sub.share_group = group.c
                            _ = shard.addSubscription(s, filter, sub)
                        }
                    }
                }
                s.pointee.flags.insert(.hasShares)
                #expect(broker.table.count().shared == 30)
                shard.endSession(s, reason: .sessionEnd)
                #expect(broker.table.count().shared == 0)
                return 0
            }
            var rounds = 0
            while broker.table.count().subscriptions > 0, rounds < 50 { rounds += ask { _ in 1 } }
            #expect(broker.table.count().filters == 0)
        }
    }
}
