// SPDX-License-Identifier: Apache-2.0
import Glibc
import Schedules
import Testing
import Topics

@testable import Broker

/// The builder against the rule for overlapping subscriptions.
final class RouteBuilderMachine: Machine {
    enum Command {
        case add(session: Int, qos: UInt8, noLocal: Bool, asPublished: Bool, identifier: UInt32)
        case group(UInt32)
        case remote(UInt64)
        /// Builds the route of what was added, and begins the next.
        case build(String)
    }

    private let sessions = BareSessions(5)
    private var builder = RouteBuilder()
    private var added: [(session: Int, options: SubOptions, identifier: UInt32)] = []
    private var groups: [UInt32] = []
    private var remote: UInt64 = 0

    init(_ dice: inout Dice) { builder.begin() }

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(12) {
        case 0..<8:
            .add(
                session: dice.below(5), qos: UInt8(dice.below(3)), noLocal: dice.oneIn(3), asPublished: dice.oneIn(4),
                identifier: UInt32(dice.below(4)))
        case 8: .group(UInt32(1 + dice.below(9)))
        case 9: .remote(1 << UInt64(dice.below(64)))
        default: .build(dice.pick(["a", "a/b", "a/longer/topic/than/that"]))
        }
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .add(let session, let qos, let noLocal, let asPublished, let identifier):
            let options = options(qos: qos, noLocal: noLocal, asPublished: asPublished)
            builder.add(
                Subscriber(session: sessions[session], index: 0, identifier: identifier, options: options))
            added.append((session, options, identifier))
        case .group(let group):
            builder.add(group: group)
            groups.append(group)
        case .remote(let shards):
            builder.add(remote: shards)
            remote |= shards
        case .build(let topic): return build(topic)
        }
        return nil
    }

    private func build(_ topic: String) -> String? {
        let route = withBytes(topic) { builder.build(topic: $0, hash: 42, epoch: 7) }
        defer {
            free(route)
            builder.begin()
            added = []
            groups = []
            remote = 0
        }
        let r = route.pointee
        if text(route.topic) != topic || r.hash != 42 || r.epoch != 7 {
            return "it is the route of \(text(route.topic))"
        }
        if r.remote != remote { return "the other shards are \(r.remote) and should be \(remote)" }
        if (0..<r.groupCount).map({ route.groups[$0] }) != groups { return "the groups are not \(groups)" }
        if r.isEmpty != (added.isEmpty && remote == 0 && groups.isEmpty) { return "isEmpty is \(r.isEmpty)" }
        var actual: [Int: Target] = [:]
        for i in 0..<r.targetCount { actual[sessions.index(r.targets[i].session)] = Target(r.targets[i], of: route) }
        if actual.count != r.targetCount { return "a session is there twice" }
        let expected = Dictionary(grouping: added) { $0.session }.compactMapValues { subscriptions in
            Target(subscriptions.map { ($0.options, $0.identifier) })
        }
        return actual == expected ? nil : "the targets are \(actual) and should be \(expected)"
    }
}

/// The cache: what it finds is what was put in last for that topic and epoch. It may forget, but never mix up.
final class RouteCacheMachine: Machine {
    enum Command {
        case insert(Int, hash: UInt64)
        case find(Int, hash: UInt64)
        /// Subscriptions changed.
        case change
        case clear
        case age
    }

    private var cache = RouteCache()
    private var builder = RouteBuilder()
    private var epoch: UInt64 = 1
    private var marks: [String: UInt64] = [:]
    private var mark: UInt64 = 0
    private var hits = 0

    init(_ dice: inout Dice) {}
    deinit { cache.clear() }

    private static func hash(_ dice: inout Dice) -> UInt64 {
        // Few places, and now and then the same hash for different topics.
        UInt64(dice.below(6)) | UInt64(dice.below(3)) << 40
    }

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(20) {
        case 0..<9: .insert(dice.below(8), hash: hash(&dice))
        case 9..<18: .find(dice.below(8), hash: hash(&dice))
        case 18: .change
        default: dice.oneIn(10) ? .clear : dice.oneIn(2) ? .age : .change
        }
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .insert(let topic, let hash):
            mark += 1
            marks["\(topic)/\(hash)/\(epoch)"] = mark
            builder.begin()
            builder.add(remote: mark)
            cache.insert(withBytes("topic/\(topic)") { builder.build(topic: $0, hash: hash, epoch: epoch) })
            return find(topic, hash, mustHit: true)
        case .find(let topic, let hash): return find(topic, hash, mustHit: false)
        case .change: epoch += 1
        case .clear: cache.clear()
        case .age: _ = cache.age(from: 0)
        }
        return nil
    }

    private func find(_ topic: Int, _ hash: UInt64, mustHit: Bool) -> String? {
        let found = withBytes("topic/\(topic)") {
            cache.find($0, hash, epoch: epoch) ?? cache.revive($0, hash, epoch: epoch)
        }
        guard let route = found else {
            return mustHit ? "topic/\(topic) is not found right after it was put in" : nil
        }
        let expected = marks["\(topic)/\(hash)/\(epoch)"]
        return route.pointee.remote == expected
            ? nil : "topic/\(topic) gives route \(route.pointee.remote), not \(expected ?? 0)"
    }
}

@Suite("Routes")
struct RouteTests {
    @Test("Random schedules: overlapping subscriptions become one copy [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.8.3-3]")
    func builder() {
        let failure = firstFailure(RouteBuilderMachine.self, seeds: 0..<100, commands: 80)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("Random schedules: the cache never answers with the route of another topic or time")
    func cache() {
        let failure = firstFailure(RouteCacheMachine.self, seeds: 0..<60, commands: 150)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("100,000 topics go through the cache: each is found while it is new, and the cache stays bounded")
    func flood() {
        var cache = RouteCache()
        var builder = RouteBuilder()
        func insert(_ topic: String, _ cache: inout RouteCache) {
            withBytes(topic) { bytes in
                builder.begin()
                cache.insert(builder.build(topic: bytes, hash: Topics.hash(bytes, seed: 3), epoch: 1))
            }
        }
        func isThere(_ topic: String, _ cache: borrowing RouteCache) -> Bool {
            withBytes(topic) { cache.find($0, Topics.hash($0, seed: 3), epoch: 1) != nil }
        }
        var missing = 0
        for n in 0..<100_000 {
            insert("flood/\(n)", &cache)
            if !isThere("flood/\(n)", cache) { missing += 1 }
        }
        #expect(missing == 0)
        let kept = (90_000..<100_000).count { isThere("flood/\($0)", cache) }
        #expect(kept > 8000)
        cache.clear()
        let isLeft = isThere("flood/99999", cache)
        #expect(!isLeft)
    }

    @Test("A topic is kept from its second time on; a flood of others in between is forgotten, not kept")
    func secondTime() {
        var cache = RouteCache()
        func isKept(_ topic: String) -> Bool {
            withBytes(topic) { cache.isWorthKeeping(Topics.hash($0, seed: 3)) }
        }
        let first = (0..<100).count { isKept("hot/\($0)") }
        #expect(first == 0)
        let second = (0..<100).count { isKept("hot/\($0)") }
        #expect(second == 100)
        // One in 32,768 looks like the topic that had its place before.
        let flood = (0..<100_000).count { isKept("flood/\($0)") }
        #expect(flood < 20)
        // A thousand topics of each of twenty publishers, in turn, are all known again soon.
        for _ in 0..<2 { for n in 0..<20_000 { _ = isKept("cycle/\(n)") } }
        let known = (0..<20_000).count { isKept("cycle/\($0)") }
        #expect(known > 10_000)
    }

    @Test("A route that nobody keeps lasts until the next one is built, however much larger that is")
    func scratch() {
        var builder = RouteBuilder()
        for (n, groups) in [1, 40, 3, 900].enumerated() {
            builder.begin()
            for group in 0..<UInt32(groups) { builder.add(group: group) }
            let topic = "scratch/\(n)"
            let route = withBytes(topic) { builder.build(topic: $0, hash: 7, epoch: 1, isKept: false) }
            #expect(route.pointee.groupCount == groups)
            #expect((0..<groups).allSatisfy { route.groups[$0] == UInt32($0) })
            #expect(String(decoding: route.topic, as: UTF8.self) == topic)
        }
    }

    @Test("A route nobody asks for between two rounds of aging is given up, one that is asked for stays")
    func aging() {
        var cache = RouteCache()
        var builder = RouteBuilder()
        func age() {
            var next = cache.age(from: 0)
            while let slot = next { next = cache.age(from: slot) }
        }
        func isThere(_ topic: String) -> Bool {
            withBytes(topic) {
                let hash = Topics.hash($0, seed: 3)
                return cache.find($0, hash, epoch: 1) != nil || cache.revive($0, hash, epoch: 1) != nil
            }
        }
        for n in 0..<100_000 {
            withBytes("many/\(n)") {
                builder.begin()
                cache.insert(builder.build(topic: $0, hash: Topics.hash($0, seed: 3), epoch: 1))
            }
        }
        let full = cache.count
        #expect(full > 20_000)
        for _ in 0..<6 {
            age()
            let isKept = isThere("many/99999")
            #expect(isKept)
        }
        #expect(cache.count == 1)
        age()
        age()
        #expect(cache.count == 0)
        cache.clear()
    }
}
