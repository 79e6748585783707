// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Testing

@testable import Broker

@Suite struct TokenBucketTests {
    private func bucket(_ amount: Int, _ perMS: Int, _ burst: Int) -> TokenBucket {
        TokenBucket(RateLimit(amount: amount, perMS: perMS, burst: burst), now: 1000)
    }

    @Test func itIsFullAtFirstAndNeverFuller() {
        var b = bucket(100, 1000, 200)
        #expect(b.available(now: 1000) == 200)
        #expect(b.available(now: 1_000_000) == 200)
    }

    @Test func itFillsAtItsRate() {
        var b = bucket(100, 1000, 200)
        b.spend(200, now: 1000)
        #expect(b.available(now: 1000) == 0)
        #expect(b.available(now: 1009) == 0)
        #expect(b.available(now: 1010) == 1)
        #expect(b.available(now: 2000) == 100)
    }

    @Test func debtIsWaitedFor() {
        var b = bucket(1000, 1000, 1000)
        b.spend(3000, now: 1000)
        // 2000 of debt, and 50 ms worth to go on with.
        #expect(b.wait(now: 1000) == 2050)
        #expect(b.available(now: 2999) == 0)
        #expect(b.wait(now: 3050) == 0)
    }

    @Test func aSlowOneIsWaitedForATokenAtATime() {
        var b = bucket(3, 60_000, 3)
        b.spend(3, now: 1000)
        #expect(b.wait(now: 1000) == 20_000)
        #expect(b.available(now: 20_999) == 0)
        #expect(b.available(now: 21_000) == 1)
    }

    @Test func aBurstSmallerThanFiftyMillisecondsIsNotWaitedForLonger() {
        var b = bucket(1_000_000, 1000, 10)
        b.spend(10, now: 1000)
        #expect(b.wait(now: 1000) == 1)
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

    @Test func aClockThatStandsStillEarnsNothing() {
        var b = bucket(1000, 1000, 1000)
        b.spend(1000, now: 1000)
        #expect(b.available(now: 900) == 0)
        #expect(b.available(now: 1000) == 0)
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

@Suite struct ACLCacheSizeTests {
    @Test(arguments: [(1, 1), (2, 2), (3, 4), (4096, 4096), (4097, 8192)])
    func isAPowerOfTwo(_ asked: Int, _ room: Int) { #expect(ACLCacheEntry.room(for: asked) == room) }
}
