// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import BenchCore

@Suite(.serialized) struct AccountsTests {
    @Test func theGeneratorCountsExactlyWhatAFaultyBrokerDid() throws {
        // Against the clock: a starved machine may end a run before its last messages are in. Accounts that are wrong are
        // wrong every time.
        var wrong = try SelfTest.faults().filter { !$0.isGood }
        for _ in 0..<2 where !wrong.isEmpty { wrong = try SelfTest.faults().filter { !$0.isGood } }
        #expect(wrong.isEmpty, "\(wrong.map { "\($0.name): \($0.detail)" })")
    }

    @Test func anAbsentBrokerIsOneSentence() throws {
        var settings = Settings(.pairs)
        settings.port = try SocketAddress.freePort()
        #expect {
            try Bench.run(settings)
        } throws: { error in
            "\(error)".contains("0 of 100 clients connected, then: cannot connect: Connection refused")
        }
    }

    @Test func aScenarioThatCannotBeIsRefusedBeforeItConnects() {
        var settings = Settings(.pairs)
        settings.size = 8
        #expect(throws: BenchError.self) { try Bench.run(settings) }
        settings = Settings(.pairs)
        settings.subscribers = 3
        #expect(throws: BenchError.self) { try Bench.run(settings) }
        settings = Settings(.offline)
        settings.qos = 0
        #expect(throws: BenchError.self) { try OfflineRun(settings: settings, broker: nil).run() }
    }
}

@Suite struct LayoutTests {
    @Test func everyWildcardFilterBelongsToOneClientAndItsNumbers() throws {
        var settings = Settings(.wildcard)
        (settings.filters, settings.subscribers) = (1003, 10)
        let layout = try FlowLayout(settings, run: 1)
        let filters = layout.receivers.flatMap(\.filters)
        #expect(Set(filters).count == 1003)
        #expect(filters.contains("bench/+/x/001002/#"))
        #expect(layout.subscriptions == 1003)
    }

    @Test func aCountIsDealtOutToThePublishersWithoutARest() throws {
        var settings = Settings(.fanin)
        settings.count = 1001
        let layout = try FlowLayout(settings, run: 1)
        #expect(layout.limit == 1001)
        #expect(layout.receiversPerMessage == 1)
    }
}

@Suite struct ScheduleTests {
    @Test func messagesAreDueInTurnAtTheRate() {
        var schedule = Schedule()
        schedule.begin(rate: 1000, publishers: 3, at: 5_000)
        var due: [(Int, UInt64)] = []
        schedule.advance(to: 3_000_000) { due.append(($0, $1)) }
        #expect(due.map(\.0) == [0, 1, 2])
        #expect(due.map(\.1) == [5_000, 1_005_000, 2_005_000])
        #expect(schedule.nextDue == 3_005_000)
        #expect(schedule.publisherInterval == 3_000_000)
    }

    @Test func whatFallsIntoAMillisecondIsDueAtItsBeginning() {
        var schedule = Schedule()
        schedule.begin(rate: 4000, publishers: 3, at: 5_000, beat: .millisecond)
        var due: [(Int, UInt64)] = []
        schedule.advance(to: 1_500_000) { due.append(($0, $1)) }
        #expect(due.map(\.0) == [0, 1, 2, 0, 1, 2, 0, 1])
        #expect(due.map(\.1) == Array(repeating: 5_000, count: 4) + Array(repeating: 1_005_000, count: 4))
    }

    @Test func messagesOfARandomBeatKeepTheRateAndNoDistance() {
        var schedule = Schedule()
        schedule.begin(rate: 1000, publishers: 3, at: 5_000, beat: .random)
        var due: [UInt64] = []
        schedule.advance(to: 100_000_000_000) { due.append($1) }
        // 100,000 of them: their number has a standard deviation of 316.
        #expect(abs(due.count - 100_000) < 3_000)
        let gaps = zip(due.dropFirst(), due).map { Double($0 - $1) }
        let long = gaps.filter { $0 > 1_000_000 }.count
        #expect(abs(Double(long) / Double(gaps.count) - 0.368) < 0.02)
    }
}
