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
    line("200k: bytes left after that", "\(heap() - start - topics.count * 0)")
    store.destroy()
}

func million() {
    var dice = Dice(2)
    let kinds = ["c", "status", "temp", "volt"]
    let topics = (0..<1_000_000).map { "a/\($0 / 1000)/\(kinds[$0 % 4])/\($0 % 1000)" }.shuffled(using: &dice)
    let store = load(topics, "1M")
    replaceAll(store, topics, "1M")
    for filter in ["a/+/c/#", "a/+/c/4", "a/77/#", "a/77/c/4", "a/+/none/#", "+/5/+/5", "nobody/#", "#"] {
        let count = feedAll(store, filter)
        measure("1M: subscribe \(filter) -> \(count)", count) { _ = feedAll(store, filter) }
    }
    store.destroy()
}

flat()
million()
precondition(FakeHost.alive.load(ordering: .relaxed) == 0)
