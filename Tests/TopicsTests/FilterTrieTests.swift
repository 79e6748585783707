// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@Suite("The filter trie")
struct FilterTrieTests {
    private func trie(_ filters: [String]) -> FilterTrie {
        var trie = FilterTrie(seed: 1)
        for filter in filters { _ = trie.insert(filter) }
        return trie
    }

    @Test("[MQTT-4.7.1-2] a/# matches a and all below it, not ab")
    func number() {
        let trie = trie(["a/#", "#", "/#"])
        #expect(trie.matching("a") == ["#", "a/#"])
        #expect(trie.matching("a/") == ["#", "a/#"])
        #expect(trie.matching("a/b/c") == ["#", "a/#"])
        #expect(trie.matching("ab") == ["#"])
        #expect(trie.matching("/") == ["#", "/#"])
    }

    @Test("[MQTT-4.7.1-3] + matches exactly one level, also an empty one")
    func plus() {
        let trie = trie(["+", "a/+", "+/+", "a/+/c"])
        #expect(trie.matching("a") == ["+"])
        #expect(trie.matching("a/") == ["+/+", "a/+"])
        #expect(trie.matching("/") == ["+/+"])
        #expect(trie.matching("a//c") == ["a/+/c"])
        #expect(trie.matching("a/b/c/d") == [])
    }

    @Test("[MQTT-4.7.2-1] wildcards in the first level do not match $ topics; deeper ones do")
    func dollar() {
        let trie = trie(["#", "+", "+/x", "$SYS/#", "$SYS/+", "$SYS/x", "a/#", "a/+"])
        #expect(trie.matching("$SYS") == ["$SYS/#"])
        #expect(trie.matching("$SYS/x") == ["$SYS/#", "$SYS/+", "$SYS/x"])
        #expect(trie.matching("$other") == [])
        #expect(trie.matching("a/$x") == ["#", "a/#", "a/+"])
    }

    @Test("Empty levels are levels like others")
    func emptyLevels() {
        let trie = trie(["/", "//", "a/", "/a", "a//b"])
        #expect(trie.matching("/") == ["/"])
        #expect(trie.matching("//") == ["//"])
        #expect(trie.matching("a/") == ["a/"])
        #expect(trie.matching("/a") == ["/a"])
        #expect(trie.matching("a//b") == ["a//b"])
        #expect(trie.matching("a/b") == [])
    }

    @Test("A node on the way to a filter is no filter")
    func interior() {
        var trie = trie(["a/b/c"])
        #expect(trie.matching("a/b") == [])
        #expect(trie.find("a/b") == nil)
        let middle = trie.insert("a/b")
        #expect(trie.matching("a/b") == ["a/b"])
        #expect(trie.find("a/b") == middle)
        #expect(trie.referencedCount == 2)
    }

    @Test("An id lasts until its last reference goes")
    func references() {
        var trie = FilterTrie(seed: 1)
        let first = trie.insert("a/+")
        let second = trie.insert("a/+")
        #expect(first == second)
        #expect(trie.referencedCount == 1)
        let early = trie.release(first)
        #expect(!early)
        #expect(trie.find("a/+") == first)
        let last = trie.release(first)
        #expect(last)
        #expect(trie.find("a/+") == nil)
        #expect(trie.referencedCount == 0)
        #expect(trie.matching("a/b") == [])
    }

    @Test("Ids are small and used again")
    func recycled() {
        var trie = FilterTrie(seed: 1)
        for round in 0..<2_000 {
            let id = trie.insert("round/\(round)/#")
            #expect(id < 8)
            trie.release(id)
        }
        #expect(trie.nodeCapacity < 8)
    }

    @Test("Level names of every length around the borders of a word and of a node are kept apart")
    func nameLengths() {
        let lengths = [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 35, 36, 37, 38, 64, 1000]
        var filters: [String] = []
        for length in lengths {
            let name = String(repeating: "x", count: length)
            filters.append("p/\(name)/q")
            if length > 0 { filters.append("p/\(name.dropLast())y/q") }
            filters.append("last/\(name)")
        }
        var trie = FilterTrie(seed: 3)
        let ids = filters.map { trie.insert($0) }
        for (filter, id) in zip(filters, ids) {
            #expect(trie.filter(id) == filter)
            #expect(trie.filterLength(id) == filter.utf8.count)
            #expect(trie.matching(filter) == [filter])
        }
        for id in ids { trie.release(id) }
        #expect(trie.referencedCount == 0)
    }

    @Test("65,536 levels: insert, match, copy and release without recursion")
    func deepest() {
        let slashes = String(repeating: "/", count: 65_535)
        var trie = FilterTrie(seed: 5)
        let deep = trie.insert(slashes)
        let pluses = trie.insert(String(repeating: "+/", count: 32_767) + "+")
        let number = trie.insert(String(repeating: "/", count: 65_534) + "#")
        #expect(trie.filterLength(deep) == 65_535)
        #expect(trie.filter(deep) == slashes)
        var list = NodeList()
        withBytes(slashes) { trie.match($0, into: &list) }
        #expect(Set(list.all) == [deep, number])
        list.removeAll()
        withBytes(String(repeating: "/", count: 32_767)) { trie.match($0, into: &list) }
        #expect(Set(list.all) == [pluses])
        for id in [deep, pluses, number] { trie.release(id) }
        let left = trie.insert("a")
        #expect(left == 1)
    }

    @Test("All 2^12 filters over {+, a} match a topic of twelve levels once each")
    func branching() {
        var trie = FilterTrie(seed: 6)
        for bits in 0..<4096 {
            let levels = (0..<12).map { bits >> $0 & 1 == 0 ? "a" : "+" }
            _ = trie.insert(levels.joined(separator: "/"))
        }
        var list = NodeList()
        let topic = String(repeating: "a/", count: 11)
        withBytes(topic + "a") { trie.match($0, into: &list) }
        #expect(list.count == 4096)
        #expect(Set(list.all).count == 4096)
        list.removeAll()
        withBytes(topic + "b") { trie.match($0, into: &list) }
        #expect(list.count == 2048)
    }

    @Test("Matching appends: what is in the list stays")
    func appends() {
        let trie = trie(["a"])
        var list = NodeList()
        list.append(77)
        withBytes("a") { trie.match($0, into: &list) }
        #expect(list.count == 2)
        #expect(list[0] == 77)
    }

    @Test("forEach visits each referenced filter once")
    func visits() {
        let filters = ["#", "+", "a", "a/b/c", "a/+/#"]
        let trie = trie(filters)
        var seen: [String] = []
        trie.forEach { seen.append(trie.filter($0)) }
        #expect(seen.sorted() == filters.sorted())
    }
}
