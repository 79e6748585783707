// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import Reactor
import Sessions
import Testing
import Topics

@testable import Broker

@Suite("Lists for the control plane")
struct ListTests {
    /// One shard, with the calling thread as its loop: it answers at once.
    private func onLoop(_ body: @escaping @Sendable (Broker, Shard) -> Void) {
        let thread = startThread("loop") {
            cr_set_current_loop(0)
            var settings = BrokerSettings()
            settings.loops = 1
            let broker = Broker(settings: settings)
            body(broker, broker.shards[0])
        }
        pthread_join(thread, nil)
    }

    @Test("The loop goes on between two parts of a list: who ends meanwhile is not in a later one")
    func sessions() {
        onLoop { broker, shard in
            let sessions = (0..<3 * Broker.rowsAtOnce).map { _ in shard.bareSession() }
            let later = sessions.filter { Int($0.pointee.slot) >= Broker.rowsAtOnce }
            var rows = 0
            broker.forEachSession { _ in
                if rows == 0 { for s in later { shard.end(s) } }
                rows += 1
                return true
            }
            #expect(rows == sessions.count - later.count)
        }
    }

    @Test("A list ends when its reader has enough")
    func enough() {
        onLoop { broker, shard in
            for n in 0..<2 * Broker.rowsAtOnce { shard.subscribe(shard.bareSession(), "one/\(n)") }
            var rows = (sessions: 0, subscriptions: 0, topics: 0)
            broker.forEachSession { _ in
                rows.sessions += 1
                return rows.sessions < 600
            }
            broker.forEachSubscription { _ in
                rows.subscriptions += 1
                return rows.subscriptions < 600
            }
            broker.forEachTopic { _ in
                rows.topics += 1
                return rows.topics < 600
            }
            #expect(rows == (600, 600, 600))
        }
    }

    @Test("Every subscription is listed once, whether one session has many or many have one")
    func subscriptions() {
        onLoop { broker, shard in
            let greedy = shard.bareSession()
            var expected: [String] = []
            func subscribe(_ s: SessionRef, _ filter: String) {
                shard.subscribe(s, filter)
                expected.append(filter)
            }
            for n in 0..<700 { subscribe(shard.bareSession(), "one/\(n)") }
            for n in 0..<2 * Broker.rowsAtOnce { subscribe(greedy, "many/\(n)/+") }
            for n in 0..<5000 { subscribe(shard.bareSession(), "late/\(n % 100)") }
            var listed: [String] = []
            broker.forEachSubscription {
                listed.append($0.topic)
                return true
            }
            #expect(listed.sorted() == expected.sorted())
            var topics: [String] = []
            broker.forEachTopic {
                topics.append($0)
                return true
            }
            #expect(topics.sorted() == Set(expected).sorted())
            #expect(broker.hasTopic("many/3/+") && broker.hasTopic("late/99"))
            #expect(!broker.hasTopic("many/3/x") && !broker.hasTopic("late") && !broker.hasTopic(""))
        }
    }

    @Test("A session that loses subscriptions while they are listed is asked for no others")
    func shrinking() {
        onLoop { broker, shard in
            let s = shard.bareSession()
            for n in 0..<3 * Broker.rowsAtOnce { shard.subscribe(s, "many/\(n)") }
            var rows = 0
            broker.forEachSubscription { _ in
                if rows == 0 { while s.pointee.subCount > 5 { shard.removeSubscription(s, 5) } }
                rows += 1
                return true
            }
            #expect(rows == Broker.rowsAtOnce)
        }
    }

    @Test("The table of filters is free between two parts of the list of topics")
    func topics() {
        onLoop { broker, shard in
            let s = shard.bareSession()
            for n in 0..<5000 { shard.subscribe(s, "many/\(n)") }
            var topics: [String] = []
            broker.forEachTopic {
                if topics.isEmpty {
                    while s.pointee.subCount > 0 { shard.removeSubscription(s, Int(s.pointee.subCount) - 1) }
                    shard.subscribe(s, "new")
                }
                topics.append($0)
                return true
            }
            #expect(topics.count < 2000 && topics.contains("many/0"))
        }
    }

    @Test("What is counted over all sessions is counted over each of them")
    func counts() {
        onLoop { broker, shard in
            for n in 0..<2 * Broker.countsAtOnce + 7 {
                shard.bareSession().pointee.expiryInterval = n % 2 == 0 ? 60 : 0
            }
            let persistent = broker.stats().first { $0.name == "sessions/persistent/count" }
            #expect(persistent?.value == Broker.countsAtOnce + 4)
        }
    }
}

extension Shard {
    fileprivate func subscribe(_ s: SessionRef, _ filter: String) {
        withBytes(filter) { _ = addSubscription(s, $0, martlet_sub()) }
    }

    fileprivate func end(_ s: SessionRef) {
        s.pointee.generation += 1
        sessions.give(s.pointee.slot)
    }
}
