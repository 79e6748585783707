// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Synchronization
import Testing
import Topics

@testable import Broker

/// Which locks the loops wait for, and how: those of the filter table spin for a moment and then sleep.
@Suite("The locks of the filter table", .serialized)
struct TableLockTests {
    private static let deadline = 60_000

    private func sessions(_ count: Int) -> (BareSessions, @Sendable (Int) -> Subscriber) {
        let bare = BareSessions(count)
        nonisolated(unsafe) let kept = bare
        return (
            bare, { Subscriber(session: kept[$0], index: 0, identifier: 0, options: SubOptions(rawValue: 1)) }
        )
    }

    @Test("Writers and readers on four loops all come to their end, and none sees half a change")
    func everybody() {
        let table = FilterTable(shards: 4, seed: 7)
        let (bare, subscriber) = sessions(4)
        let done = Semaphore()
        let wrong = Atomic<Int>(0)
        let threads = (0..<4).map { shard in
            startThread("loop") {
                for round in 0..<1500 {
                    withBytes("a/\(round % 7)") { filter in
                        let (node, position) = table.add(filter, subscriber(shard), shard: shard)
                        // Its own list is there as long as it does not change it, whoever else adds and removes.
                        let isThere = table.read(shard) { trie, values in
                            let list = FilterTable.list(values[node].pointee, shard)
                            return trie.find(filter) == node && list?.pointee.count == 1
                        }
                        if !isThere { wrong.add(1, ordering: .relaxed) }
                        if table.remove(node, position: position, filter: filter, shard: shard) != nil {
                            wrong.add(1, ordering: .relaxed)
                        }
                    }
                }
                done.signal()
            }
        }
        for _ in threads { #expect(done.wait(milliseconds: Self.deadline)) }
        for thread in threads { pthread_join(thread, nil) }
        #expect(wrong.load(ordering: .relaxed) == 0)
        let counts = table.count()
        #expect(counts.filters == 0 && counts.subscriptions == 0)
        withExtendedLifetime(bare) {}
    }

    @Test("Who writes gets in although three loops never stop reading")
    func writerAmongReaders() {
        let table = FilterTable(shards: 4, seed: 7)
        let (bare, subscriber) = sessions(4)
        let isOver = Atomic<Bool>(false)
        let (started, done) = (Semaphore(), Semaphore())
        let readers = (1..<4).map { shard in
            startThread("reader") {
                func read() { withBytes("a/b") { filter in _ = table.find(filter, shard: shard) } }
                read()
                started.signal()
                while !isOver.load(ordering: .relaxed) { read() }
            }
        }
        for _ in readers { started.wait() }
        let writer = startThread("writer") {
            for _ in 0..<500 {
                withBytes("a/b") { filter in
                    let (node, position) = table.add(filter, subscriber(0), shard: 0)
                    _ = table.remove(node, position: position, filter: filter, shard: 0)
                }
            }
            done.signal()
        }
        #expect(done.wait(milliseconds: Self.deadline))
        isOver.store(true, ordering: .relaxed)
        for thread in readers + [writer] { pthread_join(thread, nil) }
        withExtendedLifetime(bare) {}
    }

    @Test("Who waits for long sleeps instead of spinning, and is woken each time")
    func waiting() {
        let table = FilterTable(shards: 2, seed: 7)
        let (hold, inside, letGo) = (Semaphore(), Semaphore(), Semaphore())
        let (begin, done) = (Semaphore(), Semaphore())
        let waiterID = Atomic<Int32>(0)
        let rounds = 100
        let holder = startThread("holder") {
            for _ in 0..<rounds {
                hold.wait()
                table.read(1) { _, _ in
                    inside.signal()
                    letGo.wait()
                }
            }
        }
        let waiter = startThread("waiter") {
            for _ in 0..<rounds {
                begin.wait()
                waiterID.store(cr_thread_id(), ordering: .releasing)
                table.write { waiterID.store(0, ordering: .releasing) }
                done.signal()
            }
        }
        for round in 0..<rounds {
            hold.signal()
            #expect(inside.wait(milliseconds: Self.deadline))
            begin.signal()
            guard becomesIdle(waiterID) else {
                Issue.record("round \(round): it spins or does not wait")
                return letGo.signal()
            }
            letGo.signal()
            guard done.wait(milliseconds: Self.deadline) else {
                Issue.record("round \(round): it was not woken")
                return
            }
        }
        for thread in [holder, waiter] { pthread_join(thread, nil) }
    }

    /// Until the thread whose number appears in `id` sleeps in the kernel; false after a minute.
    private func becomesIdle(_ id: borrowing Atomic<Int32>) -> Bool {
        let end = cr_clock_ms() + 60_000
        while cr_clock_ms() < end {
            let number = id.load(ordering: .acquiring)
            if number != 0, state(ofThread: number) == "S" { return true }
            sched_yield()
        }
        return false
    }

    /// R, S, D … of proc(5).
    private func state(ofThread number: Int32) -> Character? {
        guard let file = fopen("/proc/self/task/\(number)/stat", "re") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        guard fgets(&line, Int32(line.count), file) != nil else { return nil }
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.lastIndex(of: ")").flatMap { text[text.index($0, offsetBy: 2)...].first }
    }
}
