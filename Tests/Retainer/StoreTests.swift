// SPDX-License-Identifier: Apache-2.0
import Testing

@Suite struct StoreTests {
    let store = Store.make(.ram, messages: FakeHost.calls)

    @Test("A retained message replaces the one before [MQTT-3.3.1-5]")
    func replace() {
        defer { store.destroy() }
        #expect(store.put("a/b", "1") == .added)
        #expect(store.put("a/b", "2") == .replaced)
        #expect(store.matches("a/b").map(\.payload) == ["2"])
        #expect(store.counts().live == 1)
    }

    @Test("Removing [MQTT-3.3.1-6] takes one topic and nothing below or beside it")
    func removeOne() {
        defer { store.destroy() }
        for topic in ["a", "a/b", "a/b/c", "a/bc", "a//b"] { store.put(topic, topic) }
        #expect(store.remove("a/b") == .removed)
        #expect(store.remove("a/b") == .unchanged)
        #expect(store.matches("#").map(\.topic) == ["a", "a//b", "a/b/c", "a/bc"])
    }

    @Test("A wildcard at the first level does not match topics that begin with $ [MQTT-4.7.2-1]")
    func dollar() {
        defer { store.destroy() }
        for topic in ["!", "$SYS/x", "$SYS/y/z", "$", "a/x", "%/x"] { store.put(topic, topic) }
        #expect(store.matches("#").map(\.topic) == ["!", "%/x", "a/x"])
        #expect(store.matches("+/x").map(\.topic) == ["%/x", "a/x"])
        #expect(store.matches("$SYS/#").map(\.topic) == ["$SYS/x", "$SYS/y/z"])
        #expect(store.matches("$SYS/+").map(\.topic) == ["$SYS/x"])
        #expect(store.matches("$").map(\.topic) == ["$"])
    }

    @Test(
        "Multi-level wildcards match the parent and everything below, single-level one level [MQTT-4.7.1-1]",
        arguments: [
            ("a/#", ["a", "a/", "a/b", "a/b/c", "a/c"]), ("a/+", ["a/", "a/b", "a/c"]), ("+", ["a", "ab"]),
            ("+/+", ["/", "/b", "a/", "a/b", "a/c"]), ("+/b/#", ["/b", "a/b", "a/b/c"]), ("/+", ["/", "/b"]),
            ("#", ["/", "/b", "a", "a/", "a/b", "a/b/c", "a/c", "ab"]), ("a/b/c/d", []), ("a/+/c", ["a/b/c"]),
            ("+/+/+/#", ["a/b/c"]), ("a/b", ["a/b"]),
        ])
    func wildcards(filter: String, expected: [String]) {
        defer { store.destroy() }
        for topic in ["/", "/b", "a", "a/", "a/b", "a/b/c", "a/c", "ab"] { store.put(topic, topic) }
        #expect(store.matches(filter).map(\.topic) == expected)
    }

    @Test("A full table keeps what it has, still replaces and removes, and takes new topics after that")
    func full() {
        defer { store.destroy() }
        #expect(store.put("a", "1", limit: 2) == .added)
        #expect(store.put("b", "1", limit: 2) == .added)
        #expect(store.put("c", "1", limit: 2) == .full)
        #expect(store.put("a", "2", limit: 2) == .replaced)
        store.remove("b")
        #expect(store.put("c", "2", limit: 2) == .added)
        #expect(store.matches("#").map(\.payload) == ["2", "2"])
    }

    @Test("An expired message is not fed, and the sweep takes it, soonest first")
    func expiry() {
        defer { store.destroy() }
        for i in 1...200 { store.put("t/\(i)", "x", deadline: Int64(1000 + i)) }
        store.put("t/1", "longer", deadline: 9_000)
        store.put("t/2", "for ever")
        store.remove("t/3")
        #expect(store.matches("t/#", now: 1100).count == 102)
        #expect(sweep(1100) == 97)
        #expect(store.counts().live == 102)
        #expect(store.matches("t/1", now: 8_999).map(\.payload) == ["longer"])
        #expect(store.matches("t/1", now: 9_000).isEmpty)
        _ = sweep(10_000)
        #expect(store.matches("#", now: 10_000).map(\.topic) == ["t/2"])
    }

    /// Messages removed.
    private func sweep(_ now: Int64) -> Int {
        var removed = 0
        while true {
            let slice = store.expireSlice(now: now)
            removed += slice.removed
            if slice.isDone { return removed }
        }
    }

    @Test("Messages that expire sooner, later or never than the one before do so at their own time", arguments: 1...4)
    func expiryOfReplaced(seed: Int) {
        defer { store.destroy() }
        var dice = Dice(UInt64(seed))
        var model: [String: Int64] = [:]
        for now in Int64(1)...400 {
            for _ in 0..<30 {
                let topic = "t/\(Int.random(in: 0..<300, using: &dice))"
                let deadline =
                    Int.random(in: 0..<4, using: &dice) == 0 ? 0 : now + Int64.random(in: 1...90, using: &dice)
                store.put(topic, "\(now)", deadline: deadline)
                model[topic] = deadline
            }
            let alive = model.filter { $0.value == 0 || $0.value > now }
            #expect(Set(store.matches("#", now: now).map(\.topic)) == Set(alive.keys))
            #expect(sweep(now) == model.count - alive.count)
            model = alive
            #expect(store.state.pointee.expiry.count == model.values.count { $0 != 0 })
        }
        #expect(sweep(1_000) == model.values.count { $0 != 0 } && store.state.pointee.expiry.count == 0)
    }

    @Test("One that expires later than the one before shares the lock")
    func expiryStays() {
        defer { store.destroy() }
        store.put("t", "1", deadline: 100)
        store.put("t", "2", deadline: 200)
        #expect(store.state.pointee.expiry.first?.deadline == 100)
        #expect(sweep(150) == 0)
        #expect(store.state.pointee.expiry.first?.deadline == 200)
        store.put("t", "3", deadline: 160)
        #expect(store.state.pointee.expiry.first?.deadline == 160)
        #expect(sweep(160) == 1)
    }

    @Test("Cleaning by filter takes what matches")
    func clean() {
        defer { store.destroy() }
        for i in 0..<500 { store.put("\(i % 5)/\(i)/x", "x") }
        var cursor = "2/+/#".asKey { Cursor(filter: $0) }!
        defer { cursor.free() }
        var removed = 0
        while !cursor.isFinished { removed += store.removeSlice(&cursor) }
        #expect(removed == 100)
        #expect(store.counts().live == 400)
        #expect(store.matches("2/#").isEmpty)
    }

    @Test("A topic with NUL, without bytes or over 65,535 bytes is none [MQTT-1.5.4-2]")
    func invalid() {
        defer { store.destroy() }
        #expect(store.put("a\0b", "x") == .invalid)
        #expect(store.put("", "x") == .invalid)
        #expect(store.put(String(repeating: "a", count: 65_536), "x") == .invalid)
        #expect(store.put(String(repeating: "/", count: 65_535), "x") == .added)
        #expect(store.matches(String(repeating: "+/", count: 32_767) + "#").count == 1)
        #expect(store.matches(String(repeating: "/", count: 65_535)).count == 1)
    }
}
