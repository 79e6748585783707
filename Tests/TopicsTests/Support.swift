// SPDX-License-Identifier: Apache-2.0
import Topics

func withBytes<Result>(_ text: String, _ body: (Bytes) -> Result) -> Result {
    var text = text
    return text.withUTF8 { body(Bytes($0)) }
}

func string(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

extension FilterTrie {
    mutating func insert(_ filter: String) -> UInt32 {
        var filter = filter
        return filter.withUTF8 { insert(Bytes($0)) }
    }

    func find(_ filter: String) -> UInt32? { withBytes(filter) { find($0) } }

    func filter(_ node: UInt32) -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: filterLength(node) + 1, alignment: 1)
        defer { buffer.deallocate() }
        copyFilter(node, to: buffer.baseAddress!)
        return string(buffer.dropLast())
    }

    /// The matching filters, sorted, each as often as the trie reported it.
    func matching(_ topic: String, _ list: inout NodeList) -> [String] {
        list.removeAll()
        var topic = topic
        topic.withUTF8 { match(Bytes($0), into: &list) }
        return list.all.map { filter($0) }.sorted()
    }

    func matching(_ topic: String) -> [String] {
        var list = NodeList()
        return matching(topic, &list)
    }
}

/// SplitMix64: the tests repeat exactly.
struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// The rules of MQTT 5 §4.7 in the most obvious form.
enum Reference {
    static func levels(_ topic: String) -> [String] {
        topic.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { string($0) }
    }

    static func matches(_ filter: [String], _ topic: [String], dollarGuard: Bool = true) -> Bool {
        if dollarGuard, topic[0].utf8.first == UInt8(ascii: "$"), filter[0] == "+" || filter[0] == "#" { return false }
        for (index, level) in filter.enumerated() {
            if level == "#" { return true }
            if index >= topic.count { return false }
            if level != "+", level != topic[index] { return false }
        }
        return filter.count == topic.count
    }
}
