// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Synchronization
import Testing

@testable import Reactor

/// A loop with an inbox of numbers. Only whoever holds its state touches what is not in `inbox`.
private final class InboxLoop: EventLoop, @unchecked Sendable {
    private let inbox = Mutex<[Int]>([])
    private nonisolated(unsafe) var thread = pthread_t()
    private let inside = Atomic<Int>(0)
    let taken = Semaphore()
    var numbers: [Int] = []
    var loops: Set<Int32> = []
    var threads: Set<Int32> = []
    var wasShared = false
    /// Called with each number.
    var onNumber: (Int) -> Void = { _ in }

    /// Called when the loop, or its visitor, has looked whether something is there.
    nonisolated(unsafe) var onLook: () -> Void = {}

    init(number: Int32) {
        super.init(index: number)
        thread = startThread("inbox-loop") { [self] in run() }
    }

    func end() {
        stop()
        pthread_join(thread, nil)
    }

    func put(_ number: Int) { inbox.withLock { $0.append(number) } }

    /// As a shard does with a message for another.
    func tell(_ number: Int) {
        put(number)
        cr_fence()
        if !help() { wakeIfSleeping() }
    }

    override var hasInbox: Bool {
        let has = hasMail
        onLook()
        return has
    }
    override var hasMail: Bool { inbox.withLock { !$0.isEmpty } }

    override func takeInbox() -> Bool {
        wasShared = wasShared || inside.add(1, ordering: .relaxed).newValue != 1
        let batch = inbox.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for number in batch {
            numbers.append(number)
            loops.insert(cr_current_loop())
            threads.insert(cr_thread_id())
            onNumber(number)
            taken.signal()
        }
        inside.subtract(1, ordering: .relaxed)
        return !batch.isEmpty
    }
}

@Suite("A loop that sleeps is helped")
struct HelpTests {
    @Test("Whoever finds it asleep does its work on the own thread, as that loop, and is itself again afterwards")
    func onTheOwnThread() {
        let loop = InboxLoop(number: 5)
        loop.put(1)
        // The loop may be awake and take it first: then the next one.
        var n = 1
        while !loop.help() {
            sched_yield()
            n += 1
            loop.put(n)
        }
        #expect(cr_current_loop() == -2)
        #expect(loop.taken.wait(milliseconds: 60_000))
        loop.sync { #expect(loop.loops == [5] && !loop.isHelped) }
        loop.end()
    }

    @Test("A loop that is awake is not helped")
    func awake() {
        let loop = InboxLoop(number: 5)
        let answer = Semaphore()
        loop.sync {
            let outsider = startThread("outsider") { if !loop.help() { answer.signal() } }
            pthread_join(outsider, nil)
        }
        #expect(answer.wait(milliseconds: 60_000))
        loop.end()
        #expect(!loop.help())
    }

    @Test("A timer that a helper arms wakes the sleeper in time")
    func timer() {
        let loop = InboxLoop(number: 5)
        let fired = Semaphore()
        loop.onNumber = { _ in _ = loop.after(20) { fired.signal() } }
        loop.put(1)
        while !loop.help() { sched_yield() }
        // Without a timer it would sleep for a minute.
        #expect(fired.wait(milliseconds: 60_000))
        loop.end()
    }

    @Test(
        "What comes after a visitor's last look is taken all the same, although who brings it leaves it to the visitor")
    func lastLook() {
        let loop = InboxLoop(number: 5)
        let here = cr_thread_id()
        nonisolated(unsafe) var isLeft: Bool?
        loop.sync {
            loop.onLook = {
                guard cr_thread_id() == here, isLeft == nil else { return }
                loop.put(2)
                isLeft = loop.help()
            }
        }
        loop.put(1)
        while !loop.help() { sched_yield() }
        #expect(isLeft == true)
        #expect(loop.taken.wait(milliseconds: 60_000) && loop.taken.wait(milliseconds: 60_000))
        loop.end()
    }

    @Test("What several threads tell a loop is taken once, in each one's order, and by one thread at a time")
    func many() {
        let loop = InboxLoop(number: 5)
        let each = 20_000
        let threads = (0..<3).map { thread in
            startThread("teller") {
                for n in 0..<each {
                    loop.tell(thread * each + n)
                    if n % 64 == 0 { sched_yield() }
                }
            }
        }
        for _ in 0..<3 * each where !loop.taken.wait(milliseconds: 60_000) {
            Issue.record("a number was never taken")
            break
        }
        for thread in threads { pthread_join(thread, nil) }
        loop.end()
        #expect(!loop.wasShared)
        #expect(loop.loops == [5])
        for thread in 0..<3 {
            #expect(loop.numbers.filter { $0 / each == thread } == Array(thread * each..<(thread + 1) * each))
        }
    }
}
