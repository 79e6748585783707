// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Schedules
import Synchronization
import Testing

@testable import Broker

@Suite("Deferred answers")
struct DeferralTests {
    private func open(_ deferrals: Deferrals, owner: UInt32 = 1, connection: UInt64 = 5) -> UInt64 {
        deferrals.open(shard: 2, owner: owner, connection: connection, kind: .auth)
    }

    @Test("An answer is taken once, with what was noted, and by the right kind of call")
    func once() {
        let deferrals = Deferrals()
        let id = open(deferrals)
        #expect(id != 0)
        #expect(deferrals.take(id, kind: .hook) == nil)
        let slot = deferrals.take(id, kind: .auth)
        #expect(slot?.shard == 2 && slot?.owner == 1 && slot?.connection == 5)
        #expect(deferrals.take(id) == nil)
        #expect(deferrals.take(0) == nil)
        #expect(deferrals.take(.max) == nil)
        #expect(deferrals.take(id + 1) == nil)
    }

    @Test("An old number does not answer the next one in its place")
    func generations() {
        let deferrals = Deferrals()
        var ids: [UInt64] = []
        for n in 0..<100 {
            let id = open(deferrals, connection: UInt64(n))
            #expect(!ids.contains(id))
            for old in ids { #expect(deferrals.take(old) == nil) }
            ids.append(id)
            deferrals.abandon(id)
            #expect(deferrals.take(id) == nil)
        }
    }

    @Test("Those a plugin owes are listed until they are taken")
    func ofOwner() {
        let deferrals = Deferrals()
        let mine = (0..<5).map { _ in open(deferrals, owner: 7) }
        let others = (0..<5).map { _ in open(deferrals, owner: 8) }
        #expect(Set(deferrals.open(of: 7)) == Set(mine))
        deferrals.abandon(mine[2])
        #expect(Set(deferrals.open(of: 7)) == Set(mine).subtracting([mine[2]]))
        #expect(Set(deferrals.open(of: 8)) == Set(others))
        #expect(deferrals.open(of: 9) == [])
    }

    @Test("65,536 can be owed at once, and no more")
    func full() {
        let deferrals = Deferrals()
        var ids = Set<UInt64>()
        for _ in 0..<Deferrals.capacity { ids.insert(open(deferrals)) }
        #expect(ids.count == Deferrals.capacity && !ids.contains(0))
        #expect(open(deferrals) == 0)
        deferrals.abandon(ids.first!)
        #expect(open(deferrals) != 0)
        #expect(open(deferrals) == 0)
    }

    @Test("Answer, timeout and unloading race for it: exactly one gets each")
    func race() {
        let race = Race(deferrals: Deferrals(), rounds: 600, racers: 3)
        var threads = (0..<race.racers).map { racer in startThread("racer") { race.take(as: racer) } }
        threads.append(startThread("opener") { race.open { self.open($0, connection: $1) } })
        for thread in threads { pthread_join(thread, nil) }
        #expect((0..<race.rounds).allSatisfy { race.takers[$0] == 1 })
        #expect(race.mixedUp.pointee == 0)
        #expect(race.deferrals.open(of: 1) == [])
    }
}

/// One thread opens a deferral a round, all others want to answer it at the same moment.
private final class Race: @unchecked Sendable {
    let deferrals: Deferrals
    let rounds: Int
    let racers: Int
    /// How many got each; of those whose slot was somebody else's, all together.
    let takers: UnsafeMutablePointer<UInt32>
    let mixedUp: UnsafeMutablePointer<UInt32>
    private let ready: UnsafeMutablePointer<UInt32>
    private let ids: UnsafeMutablePointer<UInt64>
    /// A slot that was given out twice would leave somebody waiting: then the test fails, but ends.
    private let isStuck = Atomic<Bool>(false)

    init(deferrals: Deferrals, rounds: Int, racers: Int) {
        self.deferrals = deferrals
        self.rounds = rounds
        self.racers = racers
        ready = .allocate(capacity: rounds)
        ready.initialize(repeating: 0, count: rounds)
        ids = .allocate(capacity: rounds)
        ids.initialize(repeating: 0, count: rounds)
        takers = .allocate(capacity: rounds)
        takers.initialize(repeating: 0, count: rounds)
        mixedUp = .allocate(capacity: 1)
        mixedUp.initialize(to: 0)
    }

    deinit {
        ready.deallocate()
        ids.deallocate()
        takers.deallocate()
        mixedUp.deallocate()
    }

    private func wait(while condition: () -> Bool) {
        let deadline = cr_clock_ms() + 60_000
        while condition(), !isStuck.load(ordering: .relaxed) {
            if cr_clock_ms() >= deadline { isStuck.store(true, ordering: .relaxed) }
            sched_yield()
        }
    }

    func take(as racer: Int) {
        for round in 0..<rounds {
            // All at the same moment, while the opener uses slots again.
            wait { cr_load_u64(ids + round) == 0 }
            _ = cr_add_u32(ready + round, 1)
            wait { cr_load_u32(ready + round) < racers }
            let id = cr_load_u64(ids + round)
            if racer == 2, round % 16 == 0, !deferrals.open(of: 1).contains(id) { continue }
            guard let slot = deferrals.take(id) else { continue }
            if slot.connection != UInt64(round) { _ = cr_add_u32(mixedUp, 1) }
            _ = cr_add_u32(takers + round, 1)
        }
    }

    func open(_ body: (Deferrals, _ connection: UInt64) -> UInt64) {
        for round in 0..<rounds {
            // Not far ahead, so that what was just answered is opened again.
            wait { round > 4 && cr_load_u32(takers + round - 4) == 0 }
            cr_store_u64(ids + round, body(deferrals, UInt64(round)))
        }
    }
}
