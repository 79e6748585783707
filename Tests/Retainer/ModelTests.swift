// SPDX-License-Identifier: Apache-2.0
import Testing

/// The store against a dictionary and the definition of matching, with random topics, filters and changes.
@Suite struct ModelTests {
    static let levels = ["a", "b", "ab", "", "$x", "a!", "0", "\u{1}", "é"]

    static func topic(_ dice: inout Dice) -> String {
        var topic = ""
        repeat {
            topic = (0..<Int.random(in: 1...4, using: &dice)).map { _ in levels.randomElement(using: &dice)! }
                .joined(separator: "/")
        } while topic.isEmpty
        return topic
    }

    static func filter(_ dice: inout Dice) -> String {
        var parts = topic(&dice).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        for i in parts.indices where Int.random(in: 0..<3, using: &dice) == 0 { parts[i] = "+" }
        if Int.random(in: 0..<3, using: &dice) == 0 { parts[parts.count - 1] = "#" }
        return parts.joined(separator: "/")
    }

    /// MQTT 5 §4.7, word by word.
    static func matches(_ filter: String, _ topic: String) -> Bool {
        let f = filter.split(separator: "/", omittingEmptySubsequences: false)
        let t = topic.split(separator: "/", omittingEmptySubsequences: false)
        if topic.hasPrefix("$"), f[0] == "+" || f[0] == "#" { return false }
        for i in f.indices {
            if f[i] == "#" { return true }
            if i >= t.count || (f[i] != "+" && f[i] != t[i]) { return false }
            if i == t.count - 1, i + 2 == f.count, f[i + 1] == "#" { return true }
        }
        return f.count == t.count
    }

    @Test("Random changes and filters agree with the definition", arguments: 1...20)
    func random(seed: Int) {
        var dice = Dice(UInt64(seed))
        let store = Store.make(.ram, messages: FakeHost.calls)
        defer { store.destroy() }
        var model: [String: String] = [:]
        for step in 0..<6_000 {
            let topic = Self.topic(&dice)
            if Int.random(in: 0..<100, using: &dice) < 60 - seed {
                #expect(store.put(topic, "\(step)") == (model[topic] == nil ? .added : .replaced))
                model[topic] = "\(step)"
            } else {
                #expect(store.remove(topic) == (model[topic] == nil ? .unchanged : .removed))
                model[topic] = nil
            }
            if step % 40 == 0 {
                let filter = Self.filter(&dice)
                let found = store.matches(filter)
                let expected = model.filter { Self.matches(filter, $0.key) }
                #expect(found.count == expected.count, "\(filter)")
                for (topic, payload) in found { #expect(expected[topic] == payload, "\(filter)") }
            }
        }
        #expect(store.counts().live == model.count)
        #expect(Set(store.matches("#").map(\.topic) + store.matches("$x/#").map(\.topic)) == Set(model.keys))
        for topic in model.keys { #expect(store.remove(topic) == .removed) }
        #expect(store.state.pointee.tree.root == nil)
    }

    @Test("Ascending, descending and random loads keep the tree in order through growth and decay")
    func shapes() {
        var dice = Dice(7)
        let store = Store.make(.ram, messages: FakeHost.calls)
        defer { store.destroy() }
        let up = (0..<20_000).map { "s/\($0 / 100)/d/\($0 % 100)" }
        for order in [up, up.reversed(), up.shuffled(using: &dice)] {
            for topic in order { store.put(topic, topic) }
            #expect(store.matches("#").count == up.count)
            #expect(store.matches("s/+/d/7").count == 200)
            #expect(store.matches("s/7/#").count == 100)
            for topic in order.shuffled(using: &dice).dropLast(10) { store.remove(topic) }
            #expect(store.matches("#").count == 10)
            for topic in order { store.remove(topic) }
            #expect(store.state.pointee.tree.root == nil)
        }
    }
}

@Suite struct CursorTests {
    @Test(
        "A walk visits what stays exactly once and nothing twice, whatever comes and goes",
        arguments: 1...20, ["k/+/#", "k/+/+/s"])
    func mutation(seed: Int, filter: String) {
        var dice = Dice(UInt64(seed))
        let store = Store.make(.ram, messages: FakeHost.calls)
        defer { store.destroy() }
        let stable = Set((0..<3_000).map { "k/\($0 % 37)/\($0)/s" })
        for topic in stable { store.put(topic, "s") }
        var cursor = filter.asKey { Cursor(filter: $0) }!
        var slice = Slice(keepsKeys: false)
        defer {
            cursor.free()
            slice.free(store.messages)
        }
        var seen: Set<String> = []
        while !cursor.isFinished {
            store.fill(&slice, from: &cursor, limit: Int.random(in: 1...64, using: &dice), now: 0)
            while !slice.isEmpty {
                guard let message = slice.takeFirst() else { break }
                #expect(seen.insert(String(store.messages.read(message).topic)).inserted)
                store.messages.release(message)
            }
            for _ in 0..<Int.random(in: 0..<200, using: &dice) {
                let topic = "k/\(Int.random(in: 0..<37, using: &dice))/\(Int.random(in: 0..<4_000, using: &dice))/m"
                if Bool.random(using: &dice) { store.put(topic, "m") } else { store.remove(topic) }
            }
        }
        #expect(seen.isSuperset(of: stable))
    }

    @Test("What a walk hands out is the newest of its topic at that moment")
    func freshness() {
        var dice = Dice(3)
        let store = Store.make(.ram, messages: FakeHost.calls)
        defer { store.destroy() }
        var newest: [String: Int] = [:]
        for i in 0..<500 {
            store.put("f/\(i)", "0")
            newest["f/\(i)"] = 0
        }
        var walk = "f/#".asKey { MemoryWalk(store, filter: $0) }!
        defer { walk.free() }
        var count = 0
        loop: while true {
            switch walk.next(now: 0) {
            case .message(let message):
                let fields = store.messages.read(message)
                #expect(Int(String(fields.payload)) == newest[String(fields.topic)])
                store.messages.release(message)
                count += 1
            case .pause: continue
            case .end: break loop
            }
            if count % 3 == 0 {
                let topic = "f/\(Int.random(in: 0..<500, using: &dice))"
                newest[topic, default: 0] += 1
                store.put(topic, "\(newest[topic]!)")
            }
        }
        #expect(count == 500)
    }
}
