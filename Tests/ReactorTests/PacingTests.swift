// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Reactor

/// A loop's input that is made up, and a clock that the test moves.
private final class Stream {
    var pacing = Pacing()
    var input = Pacing.Input()
    var now: UInt64 = 50_000

    init() { pacing.look(input, at: now) }

    /// - Parameter packets: in ten events.
    func run(events: UInt64, packets: UInt64) -> Bool {
        now += Pacing.step
        input.events += events * Pacing.step
        input.packets += events * Pacing.step * packets / 10
        pacing.look(input, at: now)
        return pacing.pauses
    }
}

@Suite("When a loop pauses so that input can gather")
struct PacingTests {
    @Test("For streams: much of it, and more than one packet at a time")
    func streams() {
        let stream = Stream()
        #expect(stream.run(events: 20, packets: 20))
        #expect(stream.run(events: 500, packets: 15))
        #expect(stream.run(events: 16, packets: 2000))
    }

    @Test("Not for those who wait for an answer before they send again, however many they are")
    func oneByOne() {
        let stream = Stream()
        for events in [16, 100, 1000, 10_000] as [UInt64] { #expect(!stream.run(events: events, packets: 10)) }
        #expect(stream.run(events: 100, packets: 20))
        #expect(!stream.run(events: 100, packets: 10))
    }

    @Test("Not where little comes, in batches or one by one, and not after a rest")
    func little() {
        let stream = Stream()
        #expect(!stream.run(events: 15, packets: 20))
        #expect(!stream.run(events: 5, packets: 10_000))
        #expect(!stream.run(events: 0, packets: 0))
        #expect(stream.run(events: 100, packets: 20))
        stream.now += 60_000
        #expect(!stream.run(events: 100, packets: 20))
    }

    @Test("The thread that serves all loops does not pause")
    func gathered() {
        let loop = EventLoop(index: 0)
        let group = LoopGroup([loop, EventLoop(index: 1)])!
        group.hold(gathered: true)
        loop.pauseForMore()
        #expect(loop.pauseCount == 0)
        group.hold(gathered: false)
        loop.pauseForMore()
        #expect(loop.pauseCount == 1)
    }
}
