// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@Suite("Topic names and filters")
struct TopicRulesTests {
    @Test("[MQTT-4.7.3-1] a name and a filter have at least one character")
    func empty() {
        #expect(!withBytes("", isValidTopicName))
        #expect(!withBytes("", isValidFilter))
        #expect(withBytes("/", isValidTopicName))
        #expect(withBytes("/", isValidFilter))
    }

    @Test("[MQTT-4.7.3-2] a name and a filter have no NUL", arguments: ["\0", "a\0", "\0a", "a/\0/b"])
    func nul(text: String) {
        #expect(!withBytes(text, isValidTopicName))
        #expect(!withBytes(text, isValidFilter))
    }

    @Test("[MQTT-4.7.3-3] a name and a filter have at most 65,535 bytes")
    func length() {
        let longest = String(repeating: "a", count: 65_535)
        #expect(withBytes(longest, isValidTopicName))
        #expect(withBytes(longest, isValidFilter))
        #expect(!withBytes(longest + "a", isValidTopicName))
        #expect(!withBytes(longest + "a", isValidFilter))
    }

    @Test(
        "[MQTT-3.3.2-2] [MQTT-4.7.1-1] (5: [MQTT-4.7.0-1]) a name has no wildcard anywhere",
        arguments: ["+", "#", "a/+", "a/#", "a+", "#a", "a/b+/c"])
    func wildcardInName(text: String) {
        #expect(!withBytes(text, isValidTopicName))
    }

    @Test(
        "[MQTT-4.7.1-2] (5: [MQTT-4.7.1-1]) # is the whole last level",
        arguments: [
            ("#", true), ("a/#", true), ("/#", true), ("+/#", true), ("a//#", true),
            ("a#", false), ("#/", false), ("#/a", false), ("a/#/b", false), ("##", false), ("a/#b", false),
            ("+#", false),
            ("#+", false),
        ])
    func numberSign(filter: String, valid: Bool) {
        #expect(withBytes(filter, isValidFilter) == valid)
    }

    @Test(
        "[MQTT-4.7.1-3] (5: [MQTT-4.7.1-2]) + is a whole level",
        arguments: [
            ("+", true), ("+/+", true), ("/+", true), ("+/", true), ("a/+/b", true), ("+//+", true),
            ("a+", false), ("+a", false), ("++", false), ("a/b+/c", false), ("a/+b/c", false), ("a/+b", false),
        ])
    func plusSign(filter: String, valid: Bool) {
        #expect(withBytes(filter, isValidFilter) == valid)
    }

    @Test("Levels are what stands between slashes, empty ones too")
    func levels() {
        #expect(withBytes("a", levelCount) == 1)
        #expect(withBytes("/", levelCount) == 2)
        #expect(withBytes("a//b", levelCount) == 3)
        #expect(withBytes(String(repeating: "/", count: 65_535), levelCount) == 65_536)
        // Bytes that differ from a slash by one bit or one in value, and of every length beside whole words.
        let neighbours: [UInt8] = [0x2F, 0x2E, 0x30, 0xAF, 0x00, 0x2F, 0x6F, 0xFF, 0x2F, 0x2F, 0x0F]
        for count in 0..<64 {
            let bytes = (0..<count).map { neighbours[($0 &* $0 &+ count) % neighbours.count] }
            #expect(bytes.withUnsafeBytes(levelCount) == 1 + bytes.count { $0 == 0x2F }, "\(bytes)")
        }
    }

    @Test("Wildcards are seen wherever they stand")
    func wildcard() {
        #expect(withBytes("a/#", hasWildcard))
        #expect(withBytes("+", hasWildcard))
        #expect(!withBytes("a/b$", hasWildcard))
    }

    @Test(
        "MQTT 5 §4.7.1: one filter against one topic",
        arguments: [
            ("a/b", "a/b", true), ("a/b", "a/c", false), ("a/b", "a/b/", false), ("a/b", "a", false),
            ("a", "a/b", false),
            ("a/b", "a/bc", false), ("a/bc", "a/b", false), ("A", "a", false), ("/a", "a", false), ("a", "/a", false),
            ("a/#", "a", true), ("a/#", "a/", true), ("a/#", "a/b/c", true), ("a/#", "ab", false), ("a/#", "b", false),
            ("#", "a", true), ("#", "/", true), ("/#", "/", true), ("/#", "a", false), ("+/#", "a", true),
            ("+", "a", true), ("+", "/a", false), ("/+", "/a", true), ("+/+", "/a", true), ("+", "a/", false),
            ("a/+", "a", false), ("a/+", "a/", true), ("a/+/c", "a//c", true), ("a/+/c", "a/b/d", false),
            ("a/+/#", "a", false), ("a/+/#", "a/b", true), ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ])
    func oneFilter(filter: String, topic: String, expected: Bool) {
        #expect(withBytes(filter) { filter in withBytes(topic) { matches(filter: filter, topic: $0) } } == expected)
    }

    @Test("[MQTT-4.7.2-1] wildcards in the first level do not match $ topics, unless the guard is off")
    func dollar() {
        func check(_ filter: String, _ topic: String, guarded: Bool) -> Bool {
            withBytes(filter) { f in withBytes(topic) { matches(filter: f, topic: $0, dollarGuard: guarded) } }
        }
        for (filter, topic) in [("#", "$SYS/x"), ("+/x", "$SYS/x"), ("+", "$SYS"), ("+/#", "$SYS")] {
            #expect(!check(filter, topic, guarded: true))
            #expect(check(filter, topic, guarded: false))
        }
        #expect(check("$SYS/#", "$SYS/x", guarded: true))
        #expect(check("$SYS/+", "$SYS/x", guarded: true))
        #expect(check("a/+", "a/$x", guarded: true))
        #expect(check("a/#", "a/$x", guarded: true))
    }

    @Test("acl.conf: a filter can be matched as if it were a topic")
    func filterAsTopic() {
        func covers(_ rule: String, _ filter: String) -> Bool {
            withBytes(rule) { r in withBytes(filter) { matches(filter: r, topic: $0, dollarGuard: false) } }
        }
        #expect(covers("a/#", "a/#"))
        #expect(covers("#", "a/#"))
        #expect(!covers("a/b/#", "a/#"))
    }

    @Test("One filter against one topic agrees with the reference", arguments: 1...4 as ClosedRange<UInt64>)
    func agreesWithReference(seed: UInt64) {
        var dice = Dice(state: seed)
        let names = ["", "a", "b", "ab", "$a", "+", "+", "#"]
        for _ in 0..<20_000 {
            let topic = (0...Int.random(in: 0..<4, using: &dice)).map { _ in names[Int.random(in: 0..<5, using: &dice)]
            }
            let filter = (0...Int.random(in: 0..<4, using: &dice)).map { _ in names.randomElement(using: &dice)! }
            let filterText = filter.joined(separator: "/")
            let topicText = topic.joined(separator: "/")
            guard withBytes(filterText, isValidFilter), !topicText.isEmpty else { continue }
            for guarded in [true, false] {
                let actual = withBytes(filterText) { f in
                    withBytes(topicText) { matches(filter: f, topic: $0, dollarGuard: guarded) }
                }
                let expected = Reference.matches(filter, topic, dollarGuard: guarded)
                #expect(actual == expected, "seed \(seed): \(filterText) against \(topicText), guard \(guarded)")
            }
        }
    }
}
