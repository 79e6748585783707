// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Sessions
import Testing
import Topics

@testable import Broker

/// The messages that `replacing` has put in place, each with one reference more, so that they can be looked at.
nonisolated(unsafe) private var made: [MessageRef] = []
nonisolated(unsafe) private var seen: [String] = []
nonisolated(unsafe) private var ends = 0

private func replacing(_ user: UnsafeMutableRawPointer?, _ event: UnsafeMutablePointer<martlet_event>) -> Int32 {
    guard let shown = event.pointee.msg.map({ MessageRef($0) }) else {
        seen.append("nothing")
        return Int32(MARTLET_NEXT)
    }
    seen.append(text(shown.pointee.payload))
    let new = shown.copied()
    new.retain()
    made.append(new)
    event.pointee.msg = OpaquePointer(new)
    return Int32(MARTLET_NEXT)
}

private func forgetting(_ user: UnsafeMutableRawPointer?, _ event: UnsafeMutablePointer<martlet_event>) -> Int32 {
    event.pointee.msg = nil
    return Int32(MARTLET_NEXT)
}

@Suite("References that plugins hand over", .serialized)
struct HookReferenceTests {
    private let broker: Broker
    private let cost: UnsafeMutablePointer<CallCost>

    init() {
        var settings = BrokerSettings()
        settings.loops = 1
        broker = Broker(settings: settings)
        cost = .allocate(capacity: 1)
        cost.initialize(to: CallCost())
        (made, seen, ends) = ([], [], 0)
    }

    /// One more reference than the message's own.
    private func message(_ payload: String) -> MessageRef {
        withBytes("t") { topic in
            withBytes(payload) { payload in
                var message = Message(topic: topic, payload: payload)
                let counted = withUnsafeMutablePointer(to: &message) { $0.copied() }
                counted.retain()
                return counted
            }
        }
    }

    private func install(_ functions: [martlet_hook_fn]) {
        let entries = UnsafeMutableBufferPointer<HookEntry>.allocate(capacity: functions.count)
        for (i, function) in functions.enumerated() {
            entries.initializeElement(
                at: i,
                to: HookEntry(function: function, user: nil, owner: 1, priority: 0, filter: noBytes, cost: cost))
        }
        let set = UnsafeMutablePointer<ChainSet>.allocate(capacity: 1)
        set.initialize(to: ChainSet())
        set.pointee.hooks[Int(MARTLET_HOOK_MESSAGE_PUBLISH)] = entries
        set.pointee.everyPublish = true
        _ = broker.install(set)
    }

    @Test("Of hooks that replace a message in turn, each replacement but the last is given back")
    func replacedTwice() {
        install([replacing, replacing, replacing])
        let first = message("x")
        broker.shards[0].publishOwned(first, runHooks: true, skipping: .max)
        #expect(seen == ["x", "x", "x"])
        #expect(first.pointee.references == 1)
        #expect(made.map(\.pointee.references) == [1, 1, 1])
        for message in made + [first] { message.release() }
    }

    @Test("A hook that takes the message out of the event takes it from nobody")
    func takenOut() {
        install([replacing, forgetting, replacing])
        let first = message("x")
        broker.shards[0].publishOwned(first, runHooks: true, skipping: .max)
        #expect(seen == ["x", "x"])
        #expect(made.map(\.pointee.references) == [1, 1])
        for message in made + [first] { message.release() }
    }

    @Test("The message of an answer that comes too late is given back")
    func lateAnswer() {
        let late = message("x")
        #expect(
            broker.resumeHook(1 << 32 | 1, verdict: Int32(MARTLET_NEXT), replacement: late)
                == martlet_status(MARTLET_E_STALE))
        #expect(late.pointee.references == 1)
        late.release()
    }

    @Test("When a plugin's last feed ends, nothing is left of the doubt about it")
    func doubt() {
        let shard = broker.shards[0]
        let s = shard.bareSession()
        shard.addFeed(
            s,
            martlet_feed(
                size: 0, qos: 0, retain: false, subscription_id: 0, next: { _, _ in nil }, end: { _ in ends += 1 },
                user: nil),
            owner: 3)
        s.pointee.flags.insert(.feedDoubtful)
        shard.endFeeds(of: 4)
        #expect(ends == 0 && s.pointee.flags.contains(.feedDoubtful))
        shard.endFeeds(of: 3)
        #expect(ends == 1 && s.pointee.feeds == nil && !s.pointee.flags.contains(.feedDoubtful))
    }
}
