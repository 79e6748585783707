// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Whom a rule is about. A tree stands as a flat list: a node, then its children's subtrees.
struct Condition {
    enum Kind { case everyone, user, client, network, all, any }
    let kind: Kind
    /// user, client: where the name begins in the text. network: its index.
    var first: Int32 = 0
    /// user, client: how long the name is. all, any: the index after the subtree.
    var second: Int32 = 0
}

/// One level of a topic filter.
struct Level {
    enum Kind { case literal, one, rest, clientID, username }
    let kind: Kind
    /// literal: where it begins in the text, and how long it is.
    var first: Int32 = 0
    var count: Int32 = 0
}

struct Filter {
    /// {eq, T}: the bytes themselves, no wildcard, no placeholder.
    let isExact: Bool
    /// exact: place in the text; otherwise: place among the levels.
    let first: Int32
    let count: Int32
}

struct Rule {
    let allows: Bool
    let publish: Bool
    let subscribe: Bool
    /// {allow, all}, or # among the filters: no topic need be looked at.
    let anyTopic: Bool
    let condition: Int32
    let firstFilter: Int32
    let filters: Int32
}

/// What the parser fills.
struct RuleBuilder {
    var rules: [Rule] = []
    var conditions: [Condition] = []
    var networks: [IPNetwork] = []
    var filters: [Filter] = []
    var levels: [Level] = []
    var text: [UInt8] = []

    /// Whether # is among the filters from `first` on.
    func coversEverything(from first: Int) -> Bool {
        for filter in filters[first...] where !filter.isExact && levels[Int(filter.first)].kind == .rest { return true }
        return false
    }

    /// Where the text begins.
    mutating func keep(_ bytes: [UInt8]) -> Int32 {
        let first = Int32(truncatingIfNeeded: text.count)
        text.append(contentsOf: bytes)
        return first
    }
}

/// An immutable set of rules. The arrays are plain memory, so that deciding touches no reference count.
final class Rules {
    /// Those that are about publishing, and those about subscribing, each in the file's order.
    let publishRules: UnsafeBufferPointer<Rule>
    let subscribeRules: UnsafeBufferPointer<Rule>
    let conditions: UnsafeBufferPointer<Condition>
    let networks: UnsafeBufferPointer<IPNetwork>
    let filters: UnsafeBufferPointer<Filter>
    let levels: UnsafeBufferPointer<Level>
    let text: UnsafeBufferPointer<UInt8>

    init(_ builder: RuleBuilder) {
        publishRules = frozen(builder.rules.filter { $0.publish })
        subscribeRules = frozen(builder.rules.filter { $0.subscribe })
        conditions = frozen(builder.conditions)
        networks = frozen(builder.networks)
        filters = frozen(builder.filters)
        levels = frozen(builder.levels)
        text = frozen(builder.text)
    }
    deinit {
        publishRules.deallocate()
        subscribeRules.deallocate()
        conditions.deallocate()
        networks.deallocate()
        filters.deallocate()
        levels.deallocate()
        text.deallocate()
    }

    @inline(__always) func bytes(_ first: Int32, _ count: Int32) -> Bytes {
        Bytes(start: text.baseAddress, count: text.count).slice(Int(first), Int(first) + Int(count))
    }
}

private func frozen<T>(_ array: [T]) -> UnsafeBufferPointer<T> {
    let copy = UnsafeMutableBufferPointer<T>.allocate(capacity: array.count)
    _ = copy.initialize(from: array)
    return UnsafeBufferPointer(copy)
}
