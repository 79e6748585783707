// SPDX-License-Identifier: Apache-2.0
// Times and sizes of the retainer's store, without a broker: see bench.sh.
import CLMDB
import CMartlet
import Glibc
import Synchronization

func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

func line(_ name: String, _ text: String) {
    print(name + String(repeating: " ", count: max(1, 44 - name.utf8.count)) + text)
}

func rounded(_ value: Double, _ digits: Int = 1) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    return "\((value * scale).rounded() / scale)"
}

/// Runs `body`, which did `count` things.
@discardableResult
func measure(_ name: String, _ count: Int, _ body: () -> Void) -> Double {
    let start = seconds()
    body()
    let took = seconds() - start
    line(name, "\(rounded(took * 1000, 2)) ms, \(rounded(took * 1e9 / Double(max(1, count)), 0)) ns each")
    return took
}

/// Bytes in use by malloc, block headers included.
func heap() -> Int { Int(mallinfo2().uordblks) + Int(mallinfo2().hblkhd) }

func feedAll(_ store: Store, _ filter: String) -> Int {
    guard var walk = filter.asKey({ MemoryWalk(store, filter: $0) }) else { return 0 }
    defer { walk.free() }
    var count = 0
    while true {
        switch walk.next(now: 0) {
        case .message(let message):
            count += 1
            store.messages.release(message)
        case .pause: continue
        case .end: return count
        }
    }
}

func load(_ topics: [String], _ name: String) -> Store {
    let store = Store.make(.ram, messages: FakeHost.calls)
    let payload = String(repeating: "p", count: 64)
    let messages = topics.map { store.messages.make($0, payload, clientID: "bench-1") }
    let before = heap()
    measure("\(name): put, new", topics.count) {
        for (topic, message) in zip(topics, messages) {
            _ = topic.asKey { store.put($0, message, deadline: 0, limit: 0) }
        }
    }
    line("\(name): index, bytes each", rounded(Double(heap() - before) / Double(topics.count)))
    return store
}

func replaceAll(_ store: Store, _ topics: [String], _ name: String) {
    let payload = String(repeating: "q", count: 64)
    let messages = topics.map { store.messages.make($0, payload, clientID: "bench-1") }
    measure("\(name): put, replacing", topics.count) {
        for (topic, message) in zip(topics, messages) {
            _ = topic.asKey { store.put($0, message, deadline: 0, limit: 0) }
        }
    }
}

func flat() {
    var dice = Dice(1)
    let topics = (0..<200_000).map { "bench/retain/site\($0 % 500)/dev\($0)" }.shuffled(using: &dice)
    let start = heap()
    let store = load(topics, "200k")
    line("200k: with 64 B messages, bytes each", rounded(Double(heap() - start) / 200_000))
    for _ in 0..<3 {
        measure("200k: feed all to one consumer (#)", 200_000) {
            precondition(feedAll(store, "#") == 200_000)
        }
    }
    replaceAll(store, topics, "200k")
    measure("200k: remove", topics.count) { for topic in topics { store.remove(topic) } }
    withExtendedLifetime(topics) { line("200k: bytes left after that", "\(heap() - start)") }
    store.destroy()
}

func million() {
    var dice = Dice(2)
    let kinds = ["c", "status", "temp", "volt"]
    let topics = (0..<1_000_000).map { "a/\($0 / 1000)/\(kinds[$0 % 4])/\($0 % 1000)" }.shuffled(using: &dice)
    let store = load(topics, "1M")
    replaceAll(store, topics, "1M")
    for filter in ["a/+/c/#", "a/+/c/4", "a/77/#", "a/77/c/4", "a/+/none/#", "+/5/+/5", "+/+/+/7", "nobody/#", "#"] {
        let count = feedAll(store, filter)
        var best = Double.infinity
        for _ in 0..<9 {
            let start = seconds()
            _ = feedAll(store, filter)
            best = min(best, seconds() - start)
        }
        line("1M: subscribe \(filter) -> \(count)", "\(rounded(best * 1000, 2)) ms at best")
    }
    store.destroy()
}

/// Resident memory of this process in bytes, the file pages of the database included.
func resident() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var pages: (Int, Int) = (0, 0)
    _ = withUnsafeMutablePointer(to: &pages.0) { total in
        withUnsafeMutablePointer(to: &pages.1) { resident in
            withVaList([total, resident]) { vfscanf(file, "%ld %ld", $0) }
        }
    }
    return pages.1 * 4096
}

func onDisc(_ storage: StorageType, _ directory: String) throws {
    var dice = Dice(3)
    let count = 1_000_000
    let topics = (0..<count).map { "site\($0 % 1000)/dev\($0)/status" }.shuffled(using: &dice)
    let payload = String(repeating: "p", count: 64)
    let store = Store.make(storage, messages: FakeHost.calls)
    try store.attach(try Disc.open(directory), now: 0)
    for topic in topics { store.put(topic, payload) }
    let rest = measureWrites("1M \(storage): write all, synced batches", store, count)
    let changed = topics.shuffled(using: &dice).prefix(100_000)
    for topic in changed { store.put(topic, payload) }
    _ = measureWrites("1M \(storage): write 100,000 changed", store, changed.count)
    precondition(rest == 0)
    store.disc?.forgetPages()
    malloc_trim(0)
    let used = heap()
    line("1M \(storage): resident after that, MB", "\(resident() >> 20), of it heap in use \(used >> 20)")
    store.disc?.close()
    line("1M \(storage): kept by LMDB itself, MB", rounded(Double(used - heap()) / 1_048_576))
    store.destroy()

    malloc_trim(0)
    let before = resident()
    let again = Store.make(storage, messages: FakeHost.calls)
    var failure: DiscFailure?
    measure("1M \(storage): load at start", count) {
        do throws(DiscFailure) { try again.attach(try Disc.open(directory), now: 0) } catch { failure = error }
    }
    if let failure { throw failure }
    line("1M \(storage): resident bytes each", rounded(Double(resident() - before) / Double(count)))
    if storage == .discOnly { feedFromDisc(again) }
    again.disc?.close()
    again.destroy()
}

func measureWrites(_ name: String, _ store: Store, _ count: Int) -> Int {
    measure(name, count) { while let taken = try? store.writeBatch(), taken > 0 {} }
    return store.counts().queued
}

func feedFromDisc(_ store: Store) {
    for filter in ["site7/#", "#"] {
        var count = 0
        let start = seconds()
        guard var walk = filter.asKey({ DiscWalk(store, filter: $0) }) else { return }
        loop: while true {
            switch walk.next(now: 0) {
            case .message(let message):
                store.messages.release(message)
                count += 1
            case .pause: walk.read(now: 0)
            case .end: break loop
            }
        }
        walk.free()
        line("1M discOnly: feed \(filter) -> \(count)", "\(rounded((seconds() - start) * 1000, 2)) ms")
    }
}

if CommandLine.arguments.count > 1 {
    try onDisc(.disc, CommandLine.arguments[1] + "/disc")
    try onDisc(.discOnly, CommandLine.arguments[1] + "/disc_only")
} else {
    flat()
    million()
}
precondition(FakeHost.alive.load(ordering: .relaxed) == 0)
