// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Testing

@testable import Reactor

@Suite("Who watches a loop may rest")
struct RestTests {
    @Test("The first loop that has something to do calls back, once")
    func calledOnce() {
        let (rest, called) = (Rest(), Semaphore())
        let loop = EventLoop(index: 0, rest: rest)
        let thread = startThread("resting-loop") { loop.run() }
        defer {
            loop.stop()
            pthread_join(thread, nil)
        }
        nonisolated(unsafe) var calls = 0
        let pipe = pipePair()
        loop.sync { _ = loop.watch(fd: pipe.read, events: UInt32(CR_IN)) { _ in drain(pipe.read) } }
        for round in 1...3 {
            // Its turn before may still be about to empty the pipe.
            while !loop.isAsleep { sched_yield() }
            let before = loop.eventCount
            rest.begin {
                calls += 1
                called.signal()
            }
            _ = write(pipe.write, "xx", 2)
            #expect(called.wait(milliseconds: 60_000))
            #expect(calls == round && loop.eventCount > before)
        }
        rest.end()
        #expect(calls == 3)
        loop.sync {}
        close(pipe.read)
        close(pipe.write)
    }

    @Test("A loop that only waits leaves it alone, and says that it sleeps")
    func asleep() {
        let rest = Rest()
        let loop = EventLoop(index: 0, rest: rest)
        nonisolated(unsafe) var calls = 0
        rest.begin { calls += 1 }
        loop.stir()
        #expect(calls == 1)
        rest.begin { calls += 1 }
        let fired = Semaphore()
        _ = loop.after(20) { fired.signal() }
        let thread = startThread("resting-loop") { loop.run() }
        #expect(fired.wait(milliseconds: 60_000))
        while !loop.isAsleep { sched_yield() }
        #expect(calls == 1 && loop.eventCount == 0)
        loop.stop()
        pthread_join(thread, nil)
    }

    private func pipePair() -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0)
        return (ends[0], ends[1])
    }
}

private func drain(_ fd: Int32) {
    var bytes: (UInt64, UInt64) = (0, 0)
    while read(fd, &bytes, 16) > 0 {}
}
