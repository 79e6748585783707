// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Testing

@testable import Reactor

@Suite("Event loop: tasks, timers, watches")
struct LoopTests {
    /// Numbers collected on the loop, and a signal for each.
    private final class Notes: @unchecked Sendable {
        var all: [Int] = []
        let semaphore = Semaphore()

        func note(_ n: Int) {
            all.append(n)
            semaphore.signal()
        }

        func wait(_ n: Int) -> Bool {
            for _ in 0..<n where !semaphore.wait(milliseconds: 60_000) { return false }
            return true
        }
    }

    @Test("Tasks run in the order they were posted, from each of several threads")
    func post() {
        let loop = TestLoop()
        let notes = Notes()
        let each = 3000
        let threads = (0..<4).map { thread in
            startThread("poster") { for n in 0..<each { loop.post { notes.note(thread * each + n) } } }
        }
        #expect(notes.wait(4 * each))
        for thread in threads { pthread_join(thread, nil) }
        loop.end()
        for thread in 0..<4 {
            let mine = notes.all.filter { $0 / each == thread }
            #expect(mine == (thread * each..<(thread + 1) * each).map { $0 })
        }
    }

    @Test("sync waits, after what was posted before, and runs at once on the loop itself")
    func sync() {
        let loop = TestLoop()
        let notes = Notes()
        for n in 0..<100 { loop.post { notes.note(n) } }
        loop.sync {
            notes.note(100)
            loop.sync { notes.note(101) }
            notes.note(102)
        }
        #expect(notes.all == Array(0...102))
        loop.end()
    }

    @Test("A task posted by a task runs, in a later round")
    func postFromTask() {
        let loop = TestLoop()
        let notes = Notes()
        loop.post {
            loop.post { notes.note(2) }
            notes.note(1)
        }
        #expect(notes.wait(2))
        #expect(notes.all == [1, 2])
        loop.end()
    }

    @Test("stop ends a sleeping loop, and one that was never idle")
    func stop() {
        let sleeping = TestLoop()
        sleeping.sync {}
        sleeping.end()
        let busy = TestLoop()
        @Sendable func again() { busy.post { again() } }
        again()
        busy.sync {}
        busy.end()
    }

    @Test("Timers: once, again and again, cancelled, cancelled while they fire")
    func timers() {
        let loop = TestLoop()
        let notes = Notes()
        loop.sync {
            nonisolated(unsafe) var repeating: UInt64 = 0
            nonisolated(unsafe) var count = 0
            _ = loop.after(20) { notes.note(1) }
            let never = loop.after(30) { notes.note(2) }
            repeating = loop.after(10, every: 10) {
                count += 1
                notes.note(3)
                if count == 5 { loop.cancel(timer: repeating) }
            }
            loop.cancel(timer: never)
            loop.cancel(timer: never)
        }
        #expect(notes.wait(6))
        let last = Notes()
        loop.sync { _ = loop.after(60) { last.note(0) } }
        #expect(last.wait(1))
        #expect(notes.all.sorted() == [1, 3, 3, 3, 3, 3])
        nonisolated(unsafe) var left = -1
        loop.sync { left = loop.loopTimers.count + loop.timers.armed }
        #expect(left == 0)
        loop.end()
    }

    // MARK: - Watches

    private func put(_ fd: Int32) {
        var byte: UInt8 = 1
        _ = write(fd, &byte, 1)
    }

    @Test("A watch reports as long as there is something, and can end itself while it fires")
    func unwatchItself() {
        let loop = TestLoop()
        let notes = Notes()
        let ends = makeEnds()
        loop.sync {
            nonisolated(unsafe) var id: UInt64 = 0
            id = loop.watch(fd: ends.ours, events: UInt32(CR_IN)) { events in
                notes.note(Int(events))
                if notes.all.count == 3 { loop.unwatch(id) }
            }!
        }
        put(ends.theirs)
        #expect(notes.wait(3))
        for _ in 0..<3 { loop.sync {} }
        #expect(notes.all == [Int(CR_IN), Int(CR_IN), Int(CR_IN)])
        loop.end()
        close(ends.ours)
        close(ends.theirs)
    }

    @Test("A watch that another ended in the same round does not fire")
    func unwatchOther() {
        let loop = TestLoop()
        let notes = Notes()
        let pairs = (0..<20).map { _ in makeEnds() }
        loop.sync {
            nonisolated(unsafe) var ids: [UInt64] = []
            for (n, ends) in pairs.enumerated() {
                ids.append(
                    loop.watch(fd: ends.ours, events: UInt32(CR_IN)) { _ in
                        notes.note(n)
                        for id in ids { loop.unwatch(id) }
                    }!)
            }
            for ends in pairs { put(ends.theirs) }
        }
        #expect(notes.wait(1))
        for _ in 0..<3 { loop.sync {} }
        #expect(notes.all.count == 1)
        nonisolated(unsafe) var left = -1
        loop.sync { left = loop.watches.count }
        #expect(left == 0)
        loop.end()
        for ends in pairs {
            close(ends.ours)
            close(ends.theirs)
        }
    }

    @Test("A watch may begin another while it fires, and change what it waits for")
    func rewatch() {
        let loop = TestLoop()
        let notes = Notes()
        let (first, second) = (makeEnds(), makeEnds())
        loop.sync {
            nonisolated(unsafe) var id: UInt64 = 0
            id = loop.watch(fd: first.ours, events: UInt32(CR_IN)) { _ in
                notes.note(1)
                loop.rewatch(id, events: 0)
                _ = loop.watch(fd: second.ours, events: UInt32(CR_OUT)) { _ in
                    notes.note(2)
                    loop.rewatch(id, events: UInt32(CR_IN))
                    loop.unwatch(id + 1)
                }
            }!
        }
        put(first.theirs)
        #expect(notes.wait(4))
        nonisolated(unsafe) var first4: [Int] = []
        loop.sync { first4 = Array(notes.all.prefix(4)) }
        #expect(first4 == [1, 2, 1, 2])
        loop.end()
        for fd in [first.ours, first.theirs, second.ours, second.theirs] { close(fd) }
    }
}
