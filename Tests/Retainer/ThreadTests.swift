// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization
import Testing

/// Runs `bodies` on threads of their own and waits for all.
private func together(_ bodies: [@Sendable () -> Void]) {
    let threads = bodies.map { body in
        let done = DispatchSemaphore(value: 0)
        Thread {
            body()
            done.signal()
        }.start()
        return done
    }
    for done in threads { done.wait() }
}

private struct Shared: @unchecked Sendable {
    let store: Store
}

private final class Counter: Sendable {
    let value = Atomic<Int>(0)
}

@Suite(.serialized) struct ThreadTests {
    @Test(
        "Publishers, feeds, the sweep, a cleaner and the writer work at the same time",
        arguments: [
            StorageType.ram, .disc, .discOnly,
        ])
    func everybody(storage: StorageType) throws {
        let bench = storage == .ram ? nil : try DiscBench(storage)
        let store = bench?.store ?? Store.make(.ram, messages: FakeHost.calls)
        let shared = Shared(store: store)
        let fed = Counter()
        let running = Counter()
        for i in 0..<500 { store.put("stable/\(i)", "s") }
        let publishers: [@Sendable () -> Void] = (0..<3).map { seed in
            {
                running.value.add(1, ordering: .relaxed)
                Self.publish(shared.store, seed, rounds: 15_000)
                running.value.subtract(1, ordering: .relaxed)
            }
        }
        let feeds: [@Sendable () -> Void] = (0..<2).map { _ in
            {
                repeat {
                    let found = (try? Self.fed(shared.store, "stable/+")) ?? 0
                    #expect(found == 500)
                    fed.value.add((try? Self.fed(shared.store, "#")) ?? 0, ordering: .relaxed)
                } while running.value.load(ordering: .relaxed) > 0
            }
        }
        let writer: @Sendable () -> Void = {
            repeat { _ = try? shared.store.writeBatch(syncs: false) } while running.value.load(ordering: .relaxed) > 0
        }
        together(publishers + feeds + [writer])
        #expect(fed.value.load(ordering: .relaxed) >= 1_000)
        guard let bench else { return store.destroy() }
        let expected = try bench.fetched("#", now: 1_000_000)
        try bench.reopen(storage, now: 1_000_000)
        #expect(try bench.fetched("#", now: 1_000_000) == expected)
        bench.remove()
    }

    /// Puts, replaces and removes, some of it with a deadline, and sweeps now and then.
    private static func publish(_ store: Store, _ seed: Int, rounds: Int) {
        var dice = Dice(UInt64(seed))
        for step in 0..<rounds {
            let topic = "t/\(Int.random(in: 0..<300, using: &dice))/\(seed)"
            switch Int.random(in: 0..<4, using: &dice) {
            case 0: store.remove(topic)
            case 1: store.put(topic, "\(step)", deadline: Int64(step + 50))
            default: store.put(topic, "\(step)")
            }
            if step % 64 == 0 { while !store.expireSlice(now: Int64(step)).isDone {} }
        }
    }

    /// Messages fed by the walk that fits the storage.
    private static func fed(_ store: Store, _ filter: String) throws -> Int {
        guard store.storage == .discOnly else { return store.matches(filter).count }
        guard var walk = filter.asKey({ DiscWalk(store, filter: $0) }) else { return 0 }
        defer { walk.free() }
        var count = 0
        while true {
            switch walk.next(now: 0) {
            case .message(let message):
                store.messages.release(message)
                count += 1
            case .pause: walk.read(now: 0)
            case .end: return count
            }
        }
    }

    @Test("A feed from disc never hands out what is older than the newest it could know of")
    func freshFromDisc() throws {
        var dice = Dice(11)
        let bench = try DiscBench(.discOnly)
        defer { bench.remove() }
        var newest = [Int](repeating: 0, count: 400)
        for i in newest.indices { bench.store.put("f/\(i)", "0") }
        try bench.store.flush()
        var walk = "f/#".asKey { DiscWalk(bench.store, filter: $0) }!
        defer { walk.free() }
        var count = 0
        while true {
            let step = walk.next(now: 0)
            if case .end = step { break }
            if case .pause = step { walk.read(now: 0) }
            if case .message(let message) = step {
                let fields = FakeHost.calls.read(message)
                let index = Int(String(fields.topic).dropFirst(2))!
                #expect(String(fields.payload) == "\(newest[index])")
                FakeHost.calls.release(message)
                count += 1
            }
            if Int.random(in: 0..<3, using: &dice) == 0 {
                let index = Int.random(in: newest.indices, using: &dice)
                newest[index] += 1
                bench.store.put("f/\(index)", "\(newest[index])")
            }
            if Int.random(in: 0..<20, using: &dice) == 0 { try bench.store.flush() }
        }
        #expect(count == 400)
    }
}

extension ThreadTests {
    @Test("A message that is replaced all the time is fed whole")
    func replacing() throws {
        let store = Store.make(.ram, messages: FakeHost.calls)
        let shared = Shared(store: store)
        let running = Counter()
        for i in 0..<4 { store.put("r/\(i)", "0123456789abcdef") }
        let publishers: [@Sendable () -> Void] = (0..<3).map { seed in
            {
                running.value.add(1, ordering: .relaxed)
                for step in 0..<200_000 { shared.store.put("r/\((step + seed) % 4)", "0123456789abcdef") }
                running.value.subtract(1, ordering: .relaxed)
            }
        }
        let readers: [@Sendable () -> Void] = (0..<2).map { _ in
            {
                var torn = 0
                repeat {
                    for i in 0..<4 {
                        let found = "r/\(i)".asKey { shared.store.lookUp($0, now: 0) }
                        guard case .message(let message) = found else { continue }
                        if String(FakeHost.calls.read(message).payload) != "0123456789abcdef" { torn += 1 }
                        FakeHost.calls.release(message)
                    }
                } while running.value.load(ordering: .relaxed) > 0
                #expect(torn == 0)
            }
        }
        together(publishers + readers)
        store.destroy()
    }
}
