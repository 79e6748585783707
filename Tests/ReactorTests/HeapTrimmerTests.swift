// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Reactor

/// A process whose memory and time are what the test says.
private final class FakeHeap {
    var now: UInt64 = 5_000_000
    var free = 0
    var resident = 100 << 20
    /// What a trim takes of the clock, ms, and gives back, bytes.
    var cost: UInt64 = 0
    var yield = 0
    private(set) var trims: [UInt64] = []

    var probe: HeapProbe {
        HeapProbe(
            clock: { self.now }, free: { self.free }, resident: { self.resident },
            trim: {
                self.trims.append(self.now)
                self.now += self.cost
                self.resident -= self.yield
            })
    }

    /// Looks each 20 s for so long; when it trimmed, ms after the beginning.
    func looks(_ trimmer: inout HeapTrimmer, for time: UInt64, _ before: () -> Void = {}) -> [UInt64] {
        let begun = now
        let known = trims.count
        var next = now
        while next < begun + time {
            now = max(now, next)
            before()
            trimmer.look()
            next += 20_000
        }
        return trims[known...].map { $0 - begun }
    }
}

@Suite("When the allocator is asked to return memory")
struct HeapTrimmerTests {
    private static let minute: UInt64 = 60_000

    @Test("Not for the little that it may keep")
    func slack() {
        let heap = FakeHeap()
        var trimmer = HeapTrimmer(heap.probe)
        heap.free = HeapTrimmer.slack
        #expect(heap.looks(&trimmer, for: 10 * Self.minute).isEmpty)
        heap.free += 1
        #expect(heap.looks(&trimmer, for: 1) == [0])
    }

    @Test("Where it was of no use, after 20, 40, 80 … seconds and at most ten minutes")
    func uselessTrims() {
        let heap = FakeHeap()
        var trimmer = HeapTrimmer(heap.probe)
        heap.free = 50 << 20
        let trims = heap.looks(&trimmer, for: 60 * Self.minute)
        #expect(
            Array(zip(trims, trims.dropFirst()).map { ($1 - $0) / 1000 }.prefix(7)) == [20, 40, 80, 160, 320, 600, 600])
    }

    @Test("Each time while it is of use")
    func usefulTrims() {
        let heap = FakeHeap()
        var trimmer = HeapTrimmer(heap.probe)
        heap.free = 50 << 20
        heap.yield = 2 << 20
        #expect(heap.looks(&trimmer, for: Self.minute) == [0, 20_000, 40_000])
    }

    @Test("A new burst is returned at once, however long the wait was by then")
    func burstAfterUselessTrims() {
        let heap = FakeHeap()
        var trimmer = HeapTrimmer(heap.probe)
        heap.free = 50 << 20
        _ = heap.looks(&trimmer, for: 60 * Self.minute)
        heap.now += 20_000
        // The same bytes are free afterwards, and only what is resident tells.
        heap.resident += 30 << 20
        #expect(heap.looks(&trimmer, for: 1) == [0])
        _ = heap.looks(&trimmer, for: 60 * Self.minute)
        heap.now += 20_000
        heap.free += 10 << 20
        #expect(heap.looks(&trimmer, for: 1) == [0])
    }

    @Test("Half a percent of the time", arguments: [(cost: 100 as UInt64, rest: 20_000 as UInt64), (140, 40_000)])
    func restAfterLongTrims(_ cost: UInt64, _ rest: UInt64) {
        let heap = FakeHeap()
        var trimmer = HeapTrimmer(heap.probe)
        (heap.free, heap.cost) = (50 << 20, cost)
        // Of use each time.
        let trims = heap.looks(&trimmer, for: 10 * Self.minute) { heap.resident += 3 << 20 }
        #expect(zip(trims, trims.dropFirst()).allSatisfy { $1 - $0 == rest })
        #expect(trims.count > 10)
    }

    @Test("A minute at most, however long the allocator takes", arguments: [1000, 10_000, 29_000] as [UInt64])
    func nothingStaysLongerThanAMinute(_ cost: UInt64) {
        let heap = FakeHeap()
        var trimmer = HeapTrimmer(heap.probe)
        (heap.free, heap.cost) = (50 << 20, cost)
        let trims = heap.looks(&trimmer, for: 10 * Self.minute) { heap.resident += 3 << 20 }
        #expect(zip(trims, trims.dropFirst()).allSatisfy { $1 - $0 <= Self.minute })
        #expect(trims.count >= 9)
    }

    @Test("A clock that has run for three hundred years")
    func largeNumbers() {
        let heap = FakeHeap()
        heap.now = .max / 2
        (heap.free, heap.resident, heap.cost) = (.max / 4, .max / 2, 1 << 40)
        var trimmer = HeapTrimmer(heap.probe)
        trimmer.look()
        trimmer.look()
        #expect(heap.trims.count == 2)
    }
}
