// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Testing

@testable import Broker

@Suite struct TokenBucketTests {
    private func bucket(_ amount: Int, _ perMS: Int, _ burst: Int) -> TokenBucket {
        TokenBucket(RateLimit(amount: amount, perMS: perMS, burst: burst), now: 1000)
    }

    /// What a look at a bucket finds at a time in ms.
    enum Look: Sendable {
        case has(Int, at: UInt64)
        case waits(UInt64, at: UInt64)
    }

    /// A bucket of `amount` in `perMS` with a burst, and what is seen of it once `spent` were taken at 1000 ms.
    struct Course: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var amount, perMS, burst, spent: Int
        var looks: [Look]
    }

    @Test(arguments: [
        Course(
            testDescription: "full at first and never fuller", amount: 100, perMS: 1000, burst: 200, spent: 0,
            looks: [.has(200, at: 1000), .has(200, at: 1_000_000)]),
        Course(
            testDescription: "filled at its rate", amount: 100, perMS: 1000, burst: 200, spent: 200,
            looks: [.has(0, at: 1000), .has(0, at: 1009), .has(1, at: 1010), .has(100, at: 2000)]),
        Course(
            testDescription: "debt is waited for, and 50 ms worth to go on with", amount: 1000, perMS: 1000,
            burst: 1000, spent: 3000, looks: [.waits(2050, at: 1000), .has(0, at: 2999), .waits(0, at: 3050)]),
        Course(
            testDescription: "a slow one is waited for a token at a time", amount: 3, perMS: 60_000, burst: 3, spent: 3,
            looks: [.waits(20_000, at: 1000), .has(0, at: 20_999), .has(1, at: 21_000)]),
        Course(
            testDescription: "a burst smaller than 50 ms is not waited for longer", amount: 1_000_000, perMS: 1000,
            burst: 10, spent: 10, looks: [.waits(1, at: 1000)]),
        Course(
            testDescription: "a clock that stands still earns nothing", amount: 1000, perMS: 1000, burst: 1000,
            spent: 1000, looks: [.has(0, at: 900), .has(0, at: 1000)]),
    ])
    func course(_ course: Course) {
        var b = bucket(course.amount, course.perMS, course.burst)
        b.spend(course.spent, now: 1000)
        for look in course.looks {
            switch look {
            case .has(let count, let time): #expect(b.available(now: time) == count, "at \(time)")
            case .waits(let ms, let time): #expect(b.wait(now: time) == ms, "at \(time)")
            }
        }
    }

    @Test func nothingIsLostBetweenLooks() {
        var b = bucket(7, 1000, 1_000_000)
        b.spend(1_000_000, now: 1000)
        var now: UInt64 = 1000
        while now < 101_000 {
            now += 13
            _ = b.available(now: now)
        }
        #expect(b.available(now: 101_000 + 13) == 700)
    }

    @Test func theLargestValuesDoNotOverflow() {
        var b = bucket(.max, .max, .max)
        b.spend(1 << 28, now: 1000)
        #expect(b.available(now: .max) == 1 << 31)
        b.spend(1 << 28, now: .max)
        #expect(b.wait(now: .max) == 0)
    }
}

@Suite struct LeadingPacketsTests {
    private let publish: [UInt8] = [0x30, 4, 0, 1, 0x74, 0x78]
    private let ping: [UInt8] = [0xC0, 0]

    private func leading(_ bytes: [UInt8], _ publishes: Int) -> [Int] {
        let found = bytes.withUnsafeBytes { leadingPackets($0, publishes: publishes) }
        return [found.end, found.count]
    }

    @Test func itEndsBeforeThePublishThatIsTooMany() {
        let stream = ping + publish + ping + publish + ping
        #expect(leading(stream, 0) == [2, 0])
        #expect(leading(stream, 1) == [10, 1])
        #expect(leading(stream, 2) == [stream.count, 2])
        #expect(leading(stream, .max) == [stream.count, 2])
    }

    @Test func aPacketThatIsNotWholeBelongsToWhatIsLookedAt() {
        for cut in 1..<publish.count {
            #expect(leading(publish + publish[..<cut], 2) == [publish.count + cut, 2])
            #expect(leading(publish + publish[..<cut], 1) == [publish.count, 1])
        }
    }

    @Test func whatCannotBeReadIsLeftToItsJudge() {
        #expect(leading([0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1], 1) == [6, 1])
        #expect(leading([0x00, 0x01], 0) == [2, 0])
        #expect(leading([], 0) == [0, 0])
    }
}

@Suite struct ACLCacheTests {
    private func key(_ n: UInt64, action: UInt8 = 1, epoch: UInt32 = 1) -> ACLCache.Key {
        ACLCache.Key(
            connection: n, hash: n &* 0xD6E8_FEB8_6659_FD93, check: 7, action: action, epoch: epoch)
    }

    @Test func answersAreRememberedByActionUntilTheirTimeOrEpochIsOver() {
        var cache = ACLCache(limit: 1024)
        cache.insert(key(1), isAllowed: true, now: 1000, ttl: 2000)
        cache.insert(key(1, action: 2), isAllowed: false, now: 1000, ttl: 2000)
        let found = [
            cache.find(key(1), now: 1500), cache.find(key(1, action: 2), now: 1500), cache.find(key(2), now: 1500),
            cache.find(key(1), now: 3000), cache.find(key(1, epoch: 2), now: 1500),
        ]
        #expect(found == [true, false, nil, nil, nil])
        cache.insert(key(1), isAllowed: false, now: 1500, ttl: 2000)
        let (again, other) = (cache.find(key(1), now: 1500), cache.find(key(1, action: 2), now: 1500))
        #expect(again == false && other == false)
    }

    @Test func theTableGrowsWhenAnswersPushEachOtherOutAndNoFurtherThanItsLimit() {
        var cache = ACLCache(limit: 20_000)
        #expect(cache.capacity == 4096)
        for round in 0..<8 {
            for n in 1...10_000 where cache.find(key(UInt64(n)), now: UInt64(round)) == nil {
                cache.insert(key(UInt64(n)), isAllowed: n % 3 == 0, now: UInt64(round), ttl: 60_000)
            }
        }
        #expect(cache.capacity == 32_768)
        let answers = (1...10_000).map { cache.find(key(UInt64($0)), now: 10) }
        #expect(answers.count { $0 == nil } < 1000)
        let isRight = answers.enumerated().allSatisfy { $1 == nil || $1 == (($0 + 1) % 3 == 0) }
        #expect(isRight)
    }

    @Test(arguments: [UInt64.max, UInt64(Int.max), 1 << 50, 1 << 41]) func answersMayBeGoodForEver(ttl: UInt64) {
        var cache = ACLCache(limit: 1024)
        cache.insert(key(1), isAllowed: true, now: 5000, ttl: ttl)
        let found = [cache.find(key(1), now: 5000), cache.find(key(1), now: 1 << 39)]
        #expect(found == [true, true])
    }

    @Test func answersNobodyAsksForAgainDoNotMakeTheTableGrow() {
        var cache = ACLCache(limit: 65_536)
        for n in 1...200_000 { cache.insert(key(UInt64(n)), isAllowed: true, now: 0, ttl: 60_000) }
        #expect(cache.capacity == 4096)
        // Answers whose time is over, or that were withdrawn, come back without the table having been too small.
        for round in 1...20 {
            for n in 1...1000 {
                let again = key(UInt64(n), epoch: UInt32(round))
                cache.insert(again, isAllowed: true, now: UInt64(round) * 60_000, ttl: 60_000)
            }
        }
        #expect(cache.capacity == 4096)
    }

    @Test func twoAnswersAreTheLeast() {
        var cache = ACLCache(limit: 1)
        #expect(cache.capacity == 2)
        for n in 1...3 { cache.insert(key(UInt64(n)), isAllowed: true, now: 0, ttl: 60_000) }
        let found = (1...3).map { cache.find(key(UInt64($0)), now: 1) }
        #expect(found == [nil, true, true])
    }

    @Test func whatIsForgottenIsWorthlessAtOnce() {
        let epochs = ACLEpochs()
        let clients = [UInt64](0x0100_0001_0000_0000...0x0100_0001_0000_0003)
        let before = clients.map { epochs[$0] }
        epochs.forget(clients[1])
        #expect(clients.map { epochs[$0] } == [before[0], before[1] + 1, before[2], before[3]])
        epochs.forgetAll()
        #expect(clients.map { epochs[$0] } == [before[0] + 1, before[1] + 2, before[2] + 1, before[3] + 1])
    }
}
