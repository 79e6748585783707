// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reactor
import Sessions
import Testing
import Topics

@Suite("Messages and their references")
struct MessageTests {
    private func withMessage<R>(_ body: (MessageRef) -> R) -> R {
        withTopic("some/topic") { topic in
            withTopic("payload") { payload in
                withTopic("properties") { properties in
                    withTopic("client") { client in
                        var message = Message(
                            topic: topic, payload: payload, properties: properties, qos: 1, flags: [.retain, .expires],
                            expiry: 10, timestamp: 1000, id: 77, clientID: client,
                            username: properties)
                        return withUnsafeMutablePointer(to: &message) { body($0) }
                    }
                }
            }
        }
    }

    @Test("A borrowed message becomes a copy of its own, a counted one gets another reference")
    func own() {
        let copy = withMessage { borrowed in
            let copy = borrowed.own()
            #expect(copy != borrowed)
            #expect(borrowed.pointee.references == 0)
            return copy
        }
        #expect(copy.pointee.references == 1)
        #expect(copy.own() == copy)
        #expect(copy.pointee.references == 2)
        copy.release()
        #expect(text(copy.pointee.topic) == "some/topic")
        #expect(text(copy.pointee.payload) == "payload")
        #expect(text(copy.pointee.properties) == "properties")
        #expect(text(copy.pointee.clientID) == "client")
        #expect(text(copy.pointee.username) == "properties")
        let own = UnsafeRawPointer(copy)..<UnsafeRawPointer(copy) + copy.pointee.footprint
        let message = copy.pointee
        for part in [message.topic, message.payload, message.properties, message.clientID, message.username] {
            #expect(own.contains(part.baseAddress!))
        }
        #expect((copy.pointee.qos, copy.pointee.id, copy.pointee.flags) == (1, 77, [.retain, .expires]))
        copy.release()
    }

    @Test("A plugin may give a message any time", arguments: [.min, .min + 1, -1, 0, .max - 1, .max] as [Int64])
    func anyTime(_ time: Int64) {
        let now: Int64 = 1_795_000_000_000
        for expiry in [0, 10, .max] as [UInt32] {
            let message = withTopic("t") {
                Message(topic: $0, payload: $0, flags: .expires, expiry: expiry, timestamp: time)
            }
            let left = message.expiryLeft(at: now)
            if time > now {
                #expect(message.isExpired(at: now) == (expiry == 0) && left == expiry && message.deadline! >= time)
            } else if expiry < .max {
                #expect(message.isExpired(at: now) && left == 0)
            }
        }
    }

    @Test("Copies share nothing")
    func copied() {
        let first = withMessage { $0.copied() }
        let second = first.copied()
        #expect(first.pointee.payload.baseAddress != second.pointee.payload.baseAddress)
        #expect(first.pointee.references == 1)
        first.release()
        #expect(text(second.pointee.topic) == "some/topic")
        second.release()
    }

    @Test("Expiry: the interval told is what was left minus the time waited [MQTT-3.3.2-5] [MQTT-3.3.2-6]")
    func expiry() {
        withMessage { message in
            #expect(message.pointee.deadline == 11_000)
            #expect(!message.pointee.isExpired(at: 10_999))
            #expect(message.pointee.isExpired(at: 11_000))
            #expect(message.pointee.expiryLeft(at: 1000) == 10)
            #expect(message.pointee.expiryLeft(at: 1999) == 10)
            #expect(message.pointee.expiryLeft(at: 2000) == 9)
            #expect(message.pointee.expiryLeft(at: 50_000) == 0)
            // A clock that was set back makes nobody wait longer.
            #expect(message.pointee.expiryLeft(at: 0) == 10)
            message.pointee.flags.remove(.expires)
            #expect(message.pointee.deadline == nil)
            #expect(!message.pointee.isExpired(at: .max))
        }
    }

    @Test("Threads that take and give references leave exactly the last one")
    func threads() {
        nonisolated(unsafe) let message = withMessage { $0.copied() }
        let threads = (0..<4).map { n in
            startThread("references-\(n)") {
                for _ in 0..<20_000 {
                    let mine = message.own()
                    mine.retain()
                    mine.release()
                    mine.release()
                }
            }
        }
        for thread in threads { pthread_join(thread, nil) }
        #expect(message.pointee.references == 1)
        message.release()
    }
}
