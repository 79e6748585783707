// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Synchronization
import Testing

@testable import Reactor

@Suite struct ThreadTimeTests {
    private let ms: UInt64 = 1_000_000

    @Test(arguments: [(0, 10, true), (4, 10, true), (5, 10, false), (10, 10, false), (30, 100, true), (0, 4, false)])
    func aThreadWithLessThanHalfOfTheTimeWasKept(_ used: UInt64, _ elapsed: UInt64, _ wasKept: Bool) {
        let before = ThreadTime(used: 700 * ms, at: 9_000 * ms)
        let now = ThreadTime(used: (700 + used) * ms, at: (9_000 + elapsed) * ms)
        #expect(now.wasKept(since: before) == wasKept)
    }

    @Test func anotherThreadOfTheSameNumberTellsNothing() {
        let before = ThreadTime(used: 700 * ms, at: 9_000 * ms)
        #expect(!ThreadTime(used: 0, at: 9_010 * ms).wasKept(since: before))
    }

    @Test func whatThreadsDoCanBeSeen() {
        let number = Atomic<Int32>(0)
        let isSpinning = Atomic<Bool>(true)
        let isOver = Semaphore()
        let thread = startThread("a) S (b") {
            number.store(cr_thread_id(), ordering: .sequentiallyConsistent)
            while isSpinning.load(ordering: .relaxed) {}
            _ = isOver.wait(milliseconds: 60_000)
        }
        while number.load(ordering: .sequentiallyConsistent) == 0 { sched_yield() }
        let id = number.load(ordering: .sequentiallyConsistent)
        #expect(ThreadTime.isReady(id))
        let first = ThreadTime(of: id)
        while let first, let now = ThreadTime(of: id), now.used < first.used + ms { sched_yield() }
        isSpinning.store(false, ordering: .sequentiallyConsistent)
        // It goes to sleep as soon as it has a core.
        while ThreadTime.isReady(id) { sched_yield() }
        isOver.signal()
        pthread_join(thread, nil)
        #expect(!ThreadTime.isReady(id) && ThreadTime(of: id) == nil && ThreadTime(of: 0) == nil)
        #expect(first != nil)
    }
}
