// SPDX-License-Identifier: Apache-2.0
import CMartlet
import PluginHost
import Synchronization
import Testing

@testable import HTTPHost

/// What a plugin may do with a request, and when every call is stale.
@Suite struct ExchangeTests {
    private let ok = martlet_status(MARTLET_OK)
    private let stale = martlet_status(MARTLET_E_STALE)
    private let state = martlet_status(MARTLET_E_STATE)
    private let busy = martlet_status(MARTLET_E_BUSY)
    private let route = HTTPRoute(1, owner: 7, plugin: "p", method: "GET", pattern: HTTPPattern("/")!)
    private let fine = HTTPHead(status: 200)

    private func asked(_ method: String = "GET") -> Exchange {
        let exchange = Exchange(id: 1, method: method) { _ in }
        #expect(exchange.expectAnswer(of: route))
        return exchange
    }

    @Test func anAnswerIsGivenOnce() async {
        let exchange = asked()
        #expect(exchange.respond(8, fine, []) == stale, "another plugin's request")
        #expect(exchange.respond(7, fine, [1]) == ok)
        #expect(exchange.respond(7, fine, []) == stale)
        #expect(exchange.begin(7, fine) == stale)
        #expect(await exchange.next() == .whole(fine, [1]))
    }

    @Test func nothingIsAnsweredBeforeAnybodyWasAsked() {
        let exchange = Exchange(id: 1, method: "GET") { _ in }
        #expect(exchange.respond(0, fine, []) == stale)
        #expect(exchange.end(0) == stale)
    }

    @Test func aStreamHasAnOrder() async {
        let exchange = asked()
        #expect(exchange.write(7, [1]) == state)
        #expect(exchange.end(7) == state)
        #expect(exchange.begin(7, fine) == ok)
        #expect(exchange.respond(7, fine, []) == state)
        #expect(exchange.write(7, [1]) == ok)
        #expect(exchange.write(7, []) == ok)
        #expect(exchange.end(7) == ok)
        #expect(exchange.write(7, [1]) == stale)
        var outputs: [Exchange.Output] = []
        for _ in 0..<3 { outputs.append(await exchange.next()) }
        #expect(outputs == [.head(fine), .bytes([1]), .end])
    }

    @Test func aStreamHoldsABoundedAmountAndTellsOfRoom() async {
        let calls = Mutex(0)
        let exchange = Exchange(id: 1, method: "GET") { _ in calls.withLock { $0 += 1 } }
        #expect(exchange.expectAnswer(of: route))
        #expect(exchange.begin(7, fine) == ok)
        let block = [UInt8](repeating: 0, count: 64 << 10)
        var taken = 0
        while exchange.write(7, block) == ok { taken += 1 }
        #expect(taken * block.count == Exchange.highWater)
        #expect(exchange.write(7, [1]) == busy)
        for _ in 0..<2 { exchange.written(block.count) }
        #expect(calls.withLock { $0 } == 0, "still above the low water")
        exchange.written(block.count)
        #expect(calls.withLock { $0 } == 1)
        #expect(exchange.write(7, block) == ok)
    }

    @Test func theClientsEndMakesEverythingStaleAndIsToldOnce() async {
        let calls = Mutex(0)
        let exchange = Exchange(id: 1, method: "GET") { _ in calls.withLock { $0 += 1 } }
        #expect(exchange.expectAnswer(of: route))
        exchange.leave(martlet_status(MARTLET_E_IO))
        exchange.leave(martlet_status(MARTLET_E_IO))
        #expect(calls.withLock { $0 } == 1)
        #expect(exchange.respond(7, fine, []) == stale)
        #expect(await exchange.next() == .gone)
    }

    @Test func timeIsUpOnlyForAnAnswerThatHasNotBegun() async {
        let late = asked()
        late.giveUp(504, martlet_status(MARTLET_E_TIMEOUT))
        #expect(await late.next() == .fail(504))
        #expect(late.respond(7, fine, []) == stale)
        let begun = asked()
        #expect(begun.begin(7, fine) == ok)
        begun.giveUp(504, martlet_status(MARTLET_E_TIMEOUT))
        #expect(begun.write(7, [1]) == ok)
    }

    @Test func anUnloadAnswersAndAReloadAsksAgainWhatWasOnlyAsked() async {
        let unloaded = asked()
        unloaded.revoke(again: false)
        #expect(await unloaded.next() == .fail(503))
        let get = asked()
        get.revoke(again: true)
        #expect(await get.next() == .again)
        #expect(get.respond(7, fine, []) == stale)
        #expect(get.expectAnswer(of: route), "the new image is asked")
        let post = asked("POST")
        post.revoke(again: true)
        #expect(await post.next() == .fail(503), "it may have been done already")
        let unseen = asked("POST")
        unseen.revoke(again: true, wasAsked: false)
        #expect(await unseen.next() == .again)
    }

    @Test func aVerdictIsGivenOnceAndByWhoWasAsked() async {
        let exchange = Exchange(id: 1, method: "GET") { _ in }
        exchange.expectVerdict(of: 7)
        #expect(exchange.answerAuth(8, .denied) == stale)
        #expect(exchange.answerAuth(7, .allowed(user: "a")) == ok)
        #expect(exchange.answerAuth(7, .denied) == stale)
        #expect(await exchange.verdict() == .allowed(user: "a"))
        exchange.expectVerdict(of: 7)
        exchange.revokeAuth(of: 7)
        #expect(await exchange.verdict() == nil)
    }

    /// The client left while the first of two authenticators was asked.
    @Test func nobodyWaitsForAVerdictOnARequestThatIsOver() async {
        let exchange = Exchange(id: 1, method: "GET") { _ in }
        exchange.leave(martlet_status(MARTLET_E_IO))
        exchange.expectVerdict(of: 7)
        #expect(exchange.answerAuth(7, .allowed(user: "a")) == stale)
        #expect(await exchange.verdict() == nil)
    }

    @Test func heartbeatsOnlyWhereAnEventStreamIsSilent() async {
        let exchange = asked()
        exchange.beat()
        #expect(exchange.event(7, HTTPEvent()) == ok)
        exchange.beat()
        for _ in 0..<2 { _ = await exchange.next() }
        exchange.written(HTTPEvent().encoded.count)
        exchange.beat()
        #expect(await exchange.next() == .bytes(eventStreamHeartbeat))
    }

    @Test func aPausedBodyGoesOnWhenAsked() async {
        let exchange = asked("POST")
        exchange.pauseBody()
        #expect(exchange.resume(8) == stale)
        #expect(exchange.resume(7) == ok)
        #expect(await exchange.mayFeed())
        exchange.pauseBody()
        #expect(exchange.respond(7, fine, []) == ok)
        #expect(await !exchange.mayFeed())
    }
}
