// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

/// The trie against a list of filters and the reference matcher. A failure names the seed that repeats it.
@Suite("The filter trie against a model")
struct FilterTrieModelTests {
    private struct Entry {
        let levels: [String]
        let id: UInt32
        var references: Int
    }

    private struct Alphabet {
        let names: [String]
        let depth: Int

        func topic(_ dice: inout Dice) -> [String] {
            while true {
                let levels = (0..<Int.random(in: 1...depth, using: &dice)).map { _ in names.randomElement(using: &dice)!
                }
                if levels != [""] { return levels }
            }
        }

        func filter(_ dice: inout Dice) -> [String] {
            var levels = topic(&dice)
            for index in levels.indices where UInt8.random(in: 0..<4, using: &dice) == 0 { levels[index] = "+" }
            if UInt8.random(in: 0..<4, using: &dice) == 0 { levels[levels.count - 1] = "#" }
            return levels
        }
    }

    private static let alphabets = [
        Alphabet(names: ["a", "b"], depth: 5),
        Alphabet(names: ["", "a", "$s", "bb"], depth: 3),
        Alphabet(names: ["exactly8", "exactly8x", "sixteen-bytes-16", "sixteen-bytes-1"], depth: 3),
        Alphabet(
            names: [
                "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3302",
                "3f2504e0-4f89-11d3-9a0c-0305e82c3301x", "3f2504e0-4f89-11d3-9a0c-0305e82c3301y",
            ], depth: 2),
    ]

    @Test("200,000 steps of insert, release, find and match", arguments: 1...8 as ClosedRange<UInt64>)
    func interleaved(seed: UInt64) {
        var dice = Dice(state: seed)
        let alphabet = Self.alphabets[Int(seed) % Self.alphabets.count]
        var trie = FilterTrie(seed: seed &* 0x1234_5678_9abc_def1)
        var list = NodeList()
        var model: [String: Entry] = [:]
        for step in 0..<25_000 {
            let growing = step / 500 % 2 == 0
            if UInt8.random(in: 0..<10, using: &dice) < (growing ? 7 : 3) {
                insert(alphabet.filter(&dice), &trie, &model, seed)
            } else {
                release(&trie, &model, &dice, seed)
            }
            if step % 8 == 0 { compare(alphabet.topic(&dice), trie, &list, model, seed) }
            if step % 5_000 == 4_999 { compareAll(trie, model, seed) }
        }
        for entry in model.values { for _ in 0..<entry.references { trie.release(entry.id) } }
        #expect(trie.referencedCount == 0)
        var visited = 0
        trie.forEach { _ in visited += 1 }
        #expect(visited == 0)
    }

    private func insert(
        _ levels: [String], _ trie: inout FilterTrie, _ model: inout [String: Entry], _ seed: UInt64
    ) {
        let filter = levels.joined(separator: "/")
        let id = trie.insert(filter)
        if let known = model[filter] { #expect(known.id == id, "seed \(seed): \(filter) changed its id") }
        model[filter, default: Entry(levels: levels, id: id, references: 0)].references += 1
    }

    private func release(
        _ trie: inout FilterTrie, _ model: inout [String: Entry], _ dice: inout Dice, _ seed: UInt64
    ) {
        // Dictionaries have another order in each run; the sorted keys do not.
        guard let filter = model.keys.sorted().randomElement(using: &dice), let entry = model[filter] else { return }
        let wasLast = trie.release(entry.id)
        #expect(wasLast == (entry.references == 1), "seed \(seed): \(filter)")
        model[filter]?.references -= 1
        if wasLast { model[filter] = nil }
    }

    private func compare(
        _ topic: [String], _ trie: borrowing FilterTrie, _ list: inout NodeList, _ model: [String: Entry],
        _ seed: UInt64
    ) {
        let text = topic.joined(separator: "/")
        let expected = model.filter { Reference.matches($0.value.levels, topic) }.keys.sorted()
        let actual = trie.matching(text, &list)
        #expect(actual == expected, "seed \(seed): \(text)")
        let found = trie.find(text)
        #expect(found == model[text]?.id, "seed \(seed): \(text)")
    }

    private func compareAll(_ trie: borrowing FilterTrie, _ model: [String: Entry], _ seed: UInt64) {
        var seen: [String] = []
        var highest: UInt32 = 0
        trie.forEach {
            seen.append(trie.filter($0))
            highest = max(highest, $0)
        }
        #expect(seen.sorted() == model.keys.sorted(), "seed \(seed)")
        let capacity = trie.nodeCapacity
        #expect(Int(highest) < capacity, "seed \(seed)")
        let count = trie.referencedCount
        #expect(count == model.count, "seed \(seed)")
        for (filter, entry) in model {
            let found = trie.find(filter)
            #expect(found == entry.id, "seed \(seed): \(filter)")
        }
    }

    @Test("100,000 filters over several chunks: found, matched, nine tenths released, found again, memory given back")
    func large() {
        var trie = FilterTrie(seed: 9)
        let empty = trie.memoryBytes
        var ids = (0..<100_000).map { trie.insert("a/+/x/\($0)/#") }
        let full = trie.memoryBytes
        #expect(trie.nodeCapacity == 200_004)
        #expect(full < 100_000 * (2 * 64 + 24) + (4 << 20))
        check(trie, ids)
        var dice = Dice(state: 9)
        for number in (0..<100_000).shuffled(using: &dice).prefix(90_000) {
            let wasLast = trie.release(ids[number])
            #expect(wasLast)
            ids[number] = 0
        }
        check(trie, ids)
        for number in ids.indices where ids[number] == 0 { ids[number] = trie.insert("a/+/x/\(number)/#") }
        #expect(trie.nodeCapacity == 200_004)
        check(trie, ids)
        for id in ids.shuffled(using: &dice) { trie.release(id) }
        #expect(trie.memoryBytes < empty + 65_536)
        #expect(trie.nodeCapacity < 512)
        #expect(trie.referencedCount == 0)
    }

    @Test(
        "Equal 32-bit tags do not mix up nodes: parent and all bytes decide",
        arguments: [("", "/x"), ("shared prefix ", ""), ("a shared prefix too long to stand in the node ", "")])
    func tagCollisions(before: String, after: String) {
        // Among 200,000 tags of names of one length about five pairs are equal; with this seed each case has some.
        var trie = FilterTrie(seed: 11)
        let ids = (0..<200_000).map { trie.insert("\(before)\($0 + 100_000)\(after)") }
        #expect(Set(ids).count == ids.count)
        var wrong = 0
        for (number, id) in ids.enumerated() where trie.filter(id) != "\(before)\(number + 100_000)\(after)" {
            wrong += 1
        }
        #expect(wrong == 0)
    }

    private func check(_ trie: borrowing FilterTrie, _ ids: [UInt32]) {
        var list = NodeList()
        var wrong = 0
        for (number, id) in ids.enumerated() {
            list.removeAll()
            withBytes("a/foo/x/\(number)/bar") { trie.match($0, into: &list) }
            if id == 0 ? !list.isEmpty : (list.count != 1 || list[0] != id) { wrong += 1 }
        }
        #expect(wrong == 0)
    }
}
