// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
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

    @Test("Properties of a message on its way stay where they are while a hook's feed is held against the filters")
    func scratch() {
        let broker = Broker(settings: BrokerSettings())
        defer { withExtendedLifetime(broker) {} }
        let shard = broker.shards[0]
        let s = shard.bareSession()
        withBytes("a/b") { _ = shard.addSubscription(s, $0, martlet_sub()) }
        let properties = shard.scratch(4)
        properties.storeBytes(of: 7, as: UInt32.self)
        shard.withFilter(of: s.pointee.subs![0].node) { #expect(text($0) == "a/b") }
        #expect(shard.scratch(4) == properties)
        #expect(properties.load(as: UInt32.self) == 7)
    }

    @Test("A large message on its way to another loop counts with all its bytes, so that publishers are held back")
    func largeInInbox() {
        var settings = BrokerSettings()
        settings.loops = 2
        let broker = Broker(settings: settings)
        let (from, to) = (broker.shards[0], broker.shards[1])
        let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: 1_500_000, alignment: 16)
        payload.initializeMemory(as: UInt8.self, repeating: 7)
        defer { payload.deallocate() }
        withBytes("large") { topic in
            var sub = martlet_sub()
            sub.qos = 1
            let s = to.bareSession()
            _ = to.addSubscription(s, topic, sub)
            var message = Message(topic: topic, payload: Bytes(payload), qos: 1)
            for _ in 0..<2 {
                withUnsafeMutablePointer(to: &message) {
                    #expect(from.route($0, Topics.hash(topic, seed: broker.table.seed), from: nil))
                }
            }
            #expect(cr_load_i64(to.inbox.waiting) > 3_000_000)
            _ = to.takeInbox()
            #expect(cr_load_i64(to.inbox.waiting) == 0)
            #expect(s.pointee.outbound?.pointee.queue.count == 2)
        }
    }
}
