// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc
import Synchronization

/// The loops of a run and their threads, as the main thread uses them.
final class Crew {
    let loops: [Loop]
    let traffic: Traffic
    let progress: Progress
    private var threads: [pthread_t] = []

    init(traffic: Traffic, address: SocketAddress, threads count: Int, rule: Progress.Rule = .sum) throws {
        self.traffic = traffic
        let progress = Progress(publishers: traffic.publisherCount, loops: count, rule: rule)
        self.progress = progress
        loops = try (0..<count).map {
            try Loop(index: $0, traffic: traffic, address: address, progress: progress)
        }
        for loop in loops {
            loop.peers = loops
            loop.nudgePeer = Array(repeating: false, count: count)
        }
        for loop in loops { threads.append(try Self.start(loop)) }
    }

    private static func start(_ loop: Loop) throws -> pthread_t {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(loop).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<Loop>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context)
        guard status == 0 else { throw BenchError("cannot start a thread: \(String(cString: strerror(status)))") }
        return thread
    }

    /// Ends the threads; the loops' numbers stay readable.
    func stop() {
        for loop in loops { loop.post { $0.stop() } }
        for thread in threads { pthread_join(thread, nil) }
        threads = []
        for loop in loops { loop.peers = [] }
    }

    /// Runs `body` on every loop's thread, and returns when all have.
    func onEach(_ body: @escaping @Sendable (Loop) -> Void) {
        let gate = Gate(loops.count)
        for loop in loops {
            loop.post {
                body($0)
                gate.open()
            }
        }
        gate.wait()
    }

    /// What `body` finds on each loop's thread.
    func collect<T: Sendable>(_ body: @escaping @Sendable (Loop) -> T) -> [T] {
        let box = Box<T>()
        onEach { loop in
            let value = body(loop)
            box.value.withLock { $0.append(value) }
        }
        return box.value.withLock { $0 }
    }

    /// Deals the clients out to the loops in turn: number i goes to loop i modulo the number of loops.
    func add(_ specs: [ClientSpec]) {
        let count = loops.count
        onEach { loop in
            loop.add(stride(from: loop.index, to: specs.count, by: count).map { specs[$0] })
        }
    }

    func sum(_ counter: Counter) -> UInt64 { loops.reduce(0) { $0 + $1.counters.read(counter) } }
    func highest(_ counter: Counter) -> UInt64 { loops.map { $0.counters.read(counter) }.max() ?? 0 }

    /// Waits until `isDone`, looking every `step` milliseconds. False: it did not come within `seconds`.
    @discardableResult
    func wait(_ seconds: Double, step: UInt32 = 1, until isDone: () -> Bool) -> Bool {
        let end = bench_now() + UInt64(seconds * 1e9)
        while !isDone() {
            if bench_now() > end { return false }
            usleep(step * 1000)
        }
        return true
    }

    /// Waits until every client is connected and has its subscriptions; throws the first complaint when one cannot.
    func waitForClients(_ connected: Int, subscriptions: Int, patience: Double = 120) throws {
        let isThere = wait(patience) {
            self.sum(.failed) + self.sum(.lostConnections) > 0
                || Int(self.sum(.connected)) >= connected
                    && Int(self.sum(.subscribed) + self.sum(.subscriptionsRefused)) >= subscriptions
        }
        let refused = sum(.subscriptionsRefused)
        guard refused == 0 else { throw BenchError("the broker refused \(refused) of \(subscriptions) subscriptions") }
        let troubled = sum(.failed) + sum(.lostConnections)
        guard isThere && troubled == 0 else {
            let complaint = collect { $0.lastComplaint }.compactMap { $0 }.first ?? "no answer from the broker"
            throw BenchError("\(sum(.connected)) of \(connected) clients connected, then: \(complaint)")
        }
    }

    func startPublishing() {
        let start = bench_now() + 1_000_000
        onEach { $0.startPublishing(at: start) }
    }

    func stopPublishing() { onEach { $0.stopPublishing() } }

    /// Waits for messages on their way: until `expected` are received, or nothing has come for `silence` seconds.
    func drain(silence: Double, isComplete: () -> Bool) {
        var last = sum(.received) + sum(.acked)
        var changed = bench_now()
        while !isComplete() && Double(bench_now() - changed) < silence * 1e9 {
            usleep(2_000)
            let now = sum(.received) + sum(.acked)
            if now != last { (last, changed) = (now, bench_now()) }
        }
    }

    func disconnectAll(patience: Double = 6) {
        onEach { loop in for client in loop.clients { loop.disconnect(client) } }
        wait(patience, step: 5) { self.collect { $0.clients.allSatisfy { $0.pointee.fd < 0 } }.allSatisfy { $0 } }
    }

    func resetTimes() {
        onEach { loop in
            for histogram in [loop.latency, loop.lag, loop.connectTime, loop.ackTime] { histogram.reset() }
        }
    }

    func merged(_ histogram: @escaping @Sendable (Loop) -> Histogram) -> Histogram {
        let total = Histogram()
        onEachInTurn { total.add(histogram($0)) }
        return total
    }

    /// Like `onEach`, one loop after the other: `body` may touch what is the caller's.
    private func onEachInTurn(_ body: @escaping @Sendable (Loop) -> Void) {
        for loop in loops {
            let gate = Gate(1)
            loop.post {
                body($0)
                gate.open()
            }
            gate.wait()
        }
    }
}

private final class Box<T: Sendable>: Sendable {
    let value = Mutex<[T]>([])
}

/// Lets a thread wait until something has happened `count` times.
private final class Gate: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    private let count: Int

    init(_ count: Int) {
        self.count = count
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func open() { sem_post(semaphore) }

    func wait() {
        for _ in 0..<count {
            while sem_wait(semaphore) != 0 && errno == EINTR {}
        }
    }
}
