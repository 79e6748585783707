// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

/// What a pattern promises: for the topics it covers the trie finds what it found for the example.
@Suite("Topics a trie does not tell apart")
struct TopicPatternTests {
    /// The pattern of `topic`, and the key of what was looked at.
    private func look(_ topic: String, _ trie: borrowing FilterTrie, _ list: inout NodeList) -> (TopicPattern?, UInt64)
    {
        list.removeAll()
        return withBytes(topic) {
            trie.match($0, into: &list)
            return (TopicPattern($0, matchedInto: list), list.scopeKey)
        }
    }

    private func covers(_ pattern: TopicPattern, _ topic: String, like example: String) -> Bool {
        withBytes(topic) { topic in withBytes(example) { pattern.covers(topic, like: $0) } }
    }

    /// The topics of `candidates` that the pattern of `example` covers; nil: there is no pattern.
    private func covered(_ filters: [String], _ example: String, _ candidates: [String]) -> [String]? {
        var trie = FilterTrie(seed: 3)
        for filter in filters { _ = trie.insert(filter) }
        var list = NodeList()
        guard let pattern = look(example, trie, &list).0 else { return nil }
        return candidates.filter { covers(pattern, $0, like: example) }
    }

    @Test("Where only # is left nothing more is looked at, but a level must be there")
    func open() {
        let topics = ["t/5/x", "t/5/", "t/5/x/y", "t/5", "t/6/x", "t/55/x", "u/5/x", "t"]
        #expect(covered(["t/5/#"], "t/5/7", topics) == ["t/5/x", "t/5/", "t/5/x/y"])
    }

    @Test("A level under + is skipped whatever its length, and what stands behind it is compared")
    func plus() {
        let filters = ["a/+/+/x/#"]
        let topics = [
            "a/1/2/x/9", "a///x/", "a/long-level-name/another-long-one/x/z/z", "a/1/2/y/9", "a/1/x/9", "a/1/2/x",
        ]
        #expect(covered(filters, "a/b/c/x/d", topics) == Array(topics[0...2]))
    }

    @Test("A topic that goes nowhere stands for all below the level where that was known")
    func nowhere() {
        #expect(covered(["a/b"], "q/x", ["q", "q/y/z", "a", "qq", "q2/x"]) == ["q", "q/y/z"])
    }

    @Test("A filter that ends with + covers topics of as many levels")
    func closed() {
        #expect(covered(["a/+", "a/+/c/d"], "a/b", ["a/c", "a/", "a", "a/c/d"]) == ["a/c", "a/"])
    }

    @Test("Names all the way down cover one topic only: there is no pattern")
    func exact() {
        #expect(covered(["a/b/c", "a/b/c/d"], "a/b/c", []) == nil)
        #expect(covered([], "", []) == nil)
    }

    @Test("The first level is always compared: a $ there keeps wildcards off")
    func dollar() {
        #expect(covered(["#", "+/+"], "a/x", ["$a/y", "b/y", "a/y"]) == ["a/y"])
        #expect(covered(["#", "+/+"], "$a/x", ["a/y", "$a/y", "$a"]) == ["$a/y", "$a"])
    }

    @Test("Too many levels or too many runs of names: no pattern")
    func limits() {
        let deep = Array(repeating: "x", count: 65).joined(separator: "/")
        #expect(covered([Array(repeating: "+", count: 65).joined(separator: "/")], deep, []) == nil)
        #expect(covered([Array(repeating: "+", count: 64).joined(separator: "/")], String(deep.dropLast(2)), []) == [])
        let runs = "x/+/x/+/x/+/x/+/x"
        #expect(covered([runs], "x/1/x/2/x/3/x/4/x", []) == nil)
        #expect(covered([String(runs.dropLast(2))], "x/1/x/2/x/3/x/4", ["x/a/x/b/x/c/x/d"]) == ["x/a/x/b/x/c/x/d"])
    }

    @Test("Covered, the same matches and the same key are one thing", arguments: 1...6 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var dice = Dice(state: seed)
        let names = seed % 2 == 0 ? ["", "a", "b", "$s"] : ["a", "exactly8", "exactly8x", "sixteen-bytes-16"]
        func topic() -> String {
            while true {
                let count = Int.random(in: 1...5, using: &dice)
                let text = (0..<count).map { _ in names.randomElement(using: &dice)! }.joined(separator: "/")
                if !text.isEmpty { return text }
            }
        }
        func filter() -> String {
            var levels = Reference.levels(topic())
            for index in levels.indices where UInt8.random(in: 0..<2, using: &dice) == 0 { levels[index] = "+" }
            if UInt8.random(in: 0..<3, using: &dice) == 0 { levels[levels.count - 1] = "#" }
            return levels.joined(separator: "/")
        }
        var list = NodeList()
        var hits = 0
        for _ in 0..<150 {
            var trie = FilterTrie(seed: dice.next())
            for _ in 0..<Int.random(in: 1...6, using: &dice) { _ = trie.insert(filter()) }
            for _ in 0..<150 {
                let (example, other) = (topic(), topic())
                let (pattern, key) = look(example, trie, &list)
                guard let pattern else { continue }
                let isCovered = covers(pattern, other, like: example)
                #expect(covers(pattern, example, like: example))
                #expect(isCovered == (look(other, trie, &list).1 == key), "seed \(seed): \(example), \(other)")
                guard isCovered else { continue }
                if example != other { hits += 1 }
                #expect(trie.matching(example, &list) == trie.matching(other, &list), "\(example), \(other)")
            }
        }
        #expect(hits > 500, "the test has looked at too little: \(hits)")
    }
}
