// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Sessions
import Testing
import Topics

@testable import Broker

@Suite("One message for many")
struct FanOutTests {
    @Test("Sessions that keep one message share one copy of it")
    func oneCopy() {
        let broker = Broker(settings: BrokerSettings())
        let shard = broker.shards[0]
        let sessions = (0..<5).map { _ in shard.bareSession() }
        withBytes("kept") { topic in
            var sub = martlet_sub()
            sub.qos = 1
            for s in sessions { _ = shard.addSubscription(s, topic, sub) }
            var message = Message(topic: topic, payload: topic, qos: 1)
            withUnsafeMutablePointer(to: &message) { m in
                #expect(shard.route(m, Topics.hash(topic, seed: broker.table.seed), from: nil))
                #expect(m.pointee.references == 0)
            }
        }
        var kept: [MessageRef] = []
        for s in sessions {
            let delivery = s.pointee.outbound!.pointee.queue.pop(limits: QueueLimits())!
            kept.append(delivery.message)
        }
        #expect(Set(kept).count == 1)
        #expect(kept[0].pointee.references == 5)
        for message in kept { message.release() }
    }
}
