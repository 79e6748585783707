// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@testable import Broker

/// That what is found is right, the model of the filter table says; here: what is found without a look at the table.
@Suite("Routes for topics of a pattern")
struct RoutePatternTests {
    private let model = SubscriptionModel(shards: 2)

    private func subscribe(_ session: Int, _ filter: String) {
        let entry = SubscriptionModel.Entry(options: options(qos: 0), identifier: 0)
        #expect(model.subscribe(SubscriptionKey(session: session, filter: filter, group: ""), entry) == nil)
    }

    /// Who on the first shard gets it; nil as the second: without a look at the table.
    private func ask(_ topic: String, of publisher: UInt64 = 5) -> (receivers: Int, hash: UInt64?) {
        var hash: UInt64 = 0
        let route = withBytes(topic) { model.broker.shards[0].findRoute($0, &hash, ofMany: publisher) }
        return (route.pointee.targetCount, hash == 0 ? nil : hash)
    }

    @Test("The third topic of a kind is known, also of a kind that nobody subscribes to")
    func third() {
        subscribe(0, "t/5/#")
        for (kind, receivers) in [("t/5/", 1), ("q/", 0)] {
            for i in 0..<2 {
                let answer = ask("\(kind)\(i)")
                #expect(answer.receivers == receivers && answer.hash != nil)
            }
            for i in 2..<5 {
                let answer = ask("\(kind)\(i)/and/more")
                #expect(answer.receivers == receivers && answer.hash == nil)
            }
        }
    }

    @Test("A filter that tells them apart is seen at once, and when it is gone, whoever's it is", arguments: [1, 4])
    func change(session: Int) {
        subscribe(0, "t/5/#")
        for i in 0..<3 { _ = ask("t/5/\(i)") }
        #expect(ask("t/5/x").hash == nil)
        subscribe(session, "t/5/77")
        #expect(ask("t/5/77").hash != nil)
        #expect(ask("t/5/77").receivers == (session == 1 ? 2 : 1))
        model.endSession(session)
        #expect(ask("t/5/77").hash != nil && ask("t/5/78").hash != nil && ask("t/5/79").hash == nil)
        #expect(ask("t/5/77").receivers == 1)
    }

    @Test("Topics of different kinds in turn are not looked for here, and one publisher's kind is not another's")
    func turns() {
        subscribe(0, "t/+/#")
        for i in 0..<3 { _ = ask("t/\(i)") }
        #expect(ask("t/x").hash == nil && ask("t/x", of: 6).hash != nil)
        func isTrusted() -> Bool { model.broker.shards[0].patterns.isTrusted(5) }
        #expect(isTrusted())
        #expect(ask("u").hash != nil)
        #expect(!isTrusted())
        for _ in 0..<8 { _ = ask("u") }
        #expect(ask("t/x").hash != nil, "its patience is at an end")
    }

    @Test("Nothing is left after clear")
    func clear() {
        subscribe(0, "t/#")
        for i in 0..<3 { _ = ask("t/\(i)") }
        #expect(ask("t/x").hash == nil)
        model.broker.shards[0].patterns.clear()
        #expect(ask("t/x").hash != nil && ask("t/y").hash != nil && ask("t/z").hash == nil)
        #expect(ask("t/z").receivers == 1)
    }

    @Test("Routes take as many bytes as they may, and are found again")
    func limit() {
        subscribe(0, "t/#")
        model.broker.shards[0].patterns = RoutePatterns(mostBytes: 1_000)
        var most = 0
        for publisher in 1...50 {
            for i in 0..<3 { #expect(ask("t/\(publisher)/\(i)", of: UInt64(publisher)).receivers == 1) }
            #expect(ask("t/\(publisher)/x", of: UInt64(publisher)).hash == nil)
            most = max(most, model.broker.shards[0].patterns.bytes)
        }
        #expect(most > 500 && most <= 1_000)
        model.broker.shards[0].patterns.clear()
        #expect(model.broker.shards[0].patterns.bytes == 0)
    }
}
