// SPDX-License-Identifier: Apache-2.0
import CLMDB
import Testing

@Suite struct TopicHashTests {
    static let secret = TopicHash.Secret(first: 0x1234_5678_9abc_def1, second: 0xfedc_ba98_7654_3211)

    static func hash(_ topic: String, _ secret: TopicHash.Secret = secret) -> UInt64 {
        topic.asKey { TopicHash($0, secret).bits }!
    }

    @Test("Every byte of a topic of any length counts, and so does the secret")
    func everyByte() {
        var seen: Set<UInt64> = []
        var expected = 0
        for length in 1...70 {
            let plain = [UInt8](repeating: UInt8(ascii: "a"), count: length)
            seen.insert(Self.hash(String(decoding: plain, as: UTF8.self)))
            expected += 1
            for at in 0..<length {
                var changed = plain
                changed[at] = UInt8(ascii: "b")
                seen.insert(Self.hash(String(decoding: changed, as: UTF8.self)))
                expected += 1
            }
        }
        #expect(seen.count == expected)
        #expect(Self.hash("room/1") != Self.hash("room/1", TopicHash.Secret(first: 1, second: 2)))
    }

    @Test("Topics that differ in a number spread over tables and slots")
    func spread() {
        var tables = [Int](repeating: 0, count: 64)
        var homes = [Int](repeating: 0, count: 64)
        for i in 0..<64_000 {
            let bits = Self.hash("r/\(i % 100)/\(i / 100)")
            tables[Int(bits >> 58)] += 1
            homes[Int(bits & 63)] += 1
        }
        // 1000 expected in each, with a standard deviation of 32.
        #expect(tables.allSatisfy { (800...1200).contains($0) })
        #expect(homes.allSatisfy { (800...1200).contains($0) })
    }
}

@Suite struct TopicIndexTests {
    /// Above a size of tables the index has to look at items; half of the cases are above.
    @Test("Random topics come and go as in a dictionary", arguments: 1...6)
    func model(seed: Int) {
        var dice = Dice(UInt64(seed))
        let index = TopicIndex(TopicHashTests.secret, taggedCapacity: seed % 2 == 0 ? 16 : TopicIndex.taggedCapacity)
        defer { index.free() }
        var model: [String: ItemRef] = [:]
        for step in 0..<40_000 {
            // It fills at first and empties at the end.
            let topic = "t/\(Int.random(in: 0..<3_000, using: &dice))"
            let grows = Int.random(in: 0..<40_000, using: &dice) > step
            topic.asKey { key in
                let hash = index.hash(key)
                #expect(index.find(key, hash) == model[topic])
                if let item = model[topic], !grows {
                    index.remove(item, hash)
                    free(item)
                    model[topic] = nil
                } else if model[topic] == nil, grows {
                    let item = ItemRef.make(key: key)!
                    index.insert(item, hash)
                    model[topic] = item
                }
            }
        }
        for (topic, item) in model {
            topic.asKey { key in
                #expect(index.find(key, index.hash(key)) == item)
                index.remove(item, index.hash(key))
            }
            free(item)
        }
        #expect(index.capacity == 0, "An empty index holds no memory")
    }

    @Test("Items whose slots look the same are told apart, and stay when another one goes")
    func collisions() {
        let index = TopicIndex(TopicHashTests.secret)
        defer { index.free() }
        let hash = "any".asKey { index.hash($0) }!
        let items = (0..<50).map { i in "x/\(i)".asKey { ItemRef.make(key: $0)! }! }
        for item in items { index.insert(item, hash) }
        for (i, item) in items.enumerated() where i % 2 == 0 { index.remove(item, hash) }
        for (i, item) in items.enumerated() {
            #expect(index.find(item.key, hash) == (i % 2 == 0 ? nil : item))
        }
        for item in items { free(item) }
    }

    @Test("The writer finds an item's marks where they are")
    func place() {
        #expect(MemoryLayout<Item>.offset(of: \.disc) == Item.discOffset)
    }
}
