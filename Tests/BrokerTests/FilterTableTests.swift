// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import Reactor
import Schedules
import Testing
import Topics

@testable import Broker

/// What one session subscribes to, by filter and group.
struct SubscriptionKey: Hashable {
    var session: Int
    var filter: String
    var group: String
}

/// The subscriptions of the sessions of some shards, beside the table.
final class SubscriptionModel {
    struct Entry {
        var options: SubOptions
        var identifier: UInt32
    }

    static let perShard = 3
    static let filters = ["a", "a/b", "a/+", "a/#", "#", "+/b", "+/+", "$sys/x", "$sys/#", "b/c/d/e", "+/c/#"]
    static let topics = [
        "a", "a/b", "a/c", "b", "b/b", "$sys/x", "b/c/d/e", "x/c", "b/c", "nobody/here/at/all", "a/b/c", "b/x",
    ]
    static let groups = ["", "", "g", "h"]

    let broker: Broker
    var sessions: [SessionRef] = []
    var entries: [SubscriptionKey: Entry] = [:]
    private var fresh: UInt64 = 0

    init(shards: Int) {
        var settings = BrokerSettings()
        settings.loops = shards
        broker = Broker(settings: settings)
        for shard in broker.shards { for _ in 0..<Self.perShard { sessions.append(shard.bareSession()) } }
    }

    func shard(of session: Int) -> Shard { broker.shards[session / Self.perShard] }

    /// Calls `body` with the C value a SUBSCRIBE becomes.
    private func withSub<R>(_ key: SubscriptionKey, _ entry: Entry, _ body: (Bytes, martlet_sub) -> R) -> R {
        withBytes(key.filter) { filter in
            withBytes(key.group) { group in
                var sub = martlet_sub()
                sub.share_group = group.c
                sub.subscription_id = entry.identifier
                sub.qos = entry.options.qos
                sub.no_local = entry.options.noLocal
                sub.retain_as_published = entry.options.retainAsPublished
                return body(filter, sub)
            }
        }
    }

    func subscribe(_ key: SubscriptionKey, _ entry: Entry) -> String? {
        let isNew = withSub(key, entry) { shard(of: key.session).addSubscription(sessions[key.session], $0, $1) }
        let expected = entries.updateValue(entry, forKey: key) == nil
        return isNew == expected ? nil : "\(key) counts as \(isNew ? "new" : "replaced")"
    }

    func find(_ key: SubscriptionKey) -> Int? {
        withBytes(key.filter) { filter in
            withBytes(key.group) { shard(of: key.session).findSubscription(sessions[key.session], filter, group: $0) }
        }
    }

    func unsubscribe(_ key: SubscriptionKey) -> String? {
        let index = find(key)
        if let index { shard(of: key.session).removeSubscription(sessions[key.session], index) }
        let expected = entries.removeValue(forKey: key) != nil
        return (index != nil) == expected ? nil : "\(key) is \(expected ? "not found" : "found")"
    }

    func endSession(_ session: Int) {
        let s = sessions[session]
        while s.pointee.subCount > 0 { shard(of: session).removeSubscription(s, Int(s.pointee.subCount) - 1) }
        entries = entries.filter { $0.key.session != session }
    }

    // MARK: - Comparing

    /// Every session's own list and the table's lists point to each other.
    func positions(of session: Int) -> String? {
        let s = sessions[session]
        let shard = shard(of: session)
        let mine = entries.filter { $0.key.session == session }
        if Int(s.pointee.subCount) != mine.count { return "session \(session) has \(s.pointee.subCount) entries" }
        for (key, entry) in mine {
            guard let index = find(key) else { return "\(key) is not found" }
            let sub = s.pointee.subs![index]
            if sub.identifier != entry.identifier || sub.options.rawValue != entry.options.rawValue {
                return "\(key) has other options"
            }
            if (sub.group != 0) != !key.group.isEmpty { return "\(key) has group \(sub.group)" }
            if String(decoding: broker.table.filter(of: sub.node), as: UTF8.self) != key.filter {
                return "\(key) has another filter"
            }
            if let wrong = sub.group == 0 ? listed(sub, s, index, shard) : member(sub, key, entry, shard) {
                return wrong
            }
        }
        return nil
    }

    private func listed(_ sub: Subscription, _ s: SessionRef, _ index: Int, _ shard: Shard) -> String? {
        broker.table.read(shard.number) { _, values -> String? in
            guard let list = FilterTable.list(values[sub.node].pointee, shard.number), sub.position < list.pointee.count
            else { return "position \(sub.position) is beyond the list" }
            let there = list.pointee.entries![Int(sub.position)]
            return there.session == s && there.index == UInt32(index) && there.identifier == sub.identifier
                && there.options.rawValue == sub.options.rawValue
                ? nil : "the list has something else at \(sub.position)"
        }
    }

    private func member(_ sub: Subscription, _ key: SubscriptionKey, _ entry: Entry, _ shard: Shard) -> String? {
        guard let members = broker.table.ask(sub.group, shard: shard.number, { Array($0.pointee.members.all) })
        else { return "\(key) has no group" }
        let handle = shard.handle(sessions[key.session])
        let mine = members.filter { $0.session == handle }
        let expected = entries.count { $0.key.filter == key.filter && $0.key.group == key.group }
        return mine.count == 1 && mine[0].identifier == entry.identifier && members.count == expected
            && mine[0].options.rawValue == entry.options.rawValue ? nil : "the group of \(key) is \(members)"
    }

    /// What each shard makes of a topic, from its cache or anew.
    func routes(of topic: String) -> String? {
        broker.shards.lazy.compactMap { self.route(of: topic, on: $0) }.first
    }

    /// Found by its hash, as one of the topics of a publisher, and with what another shard knows of it.
    func route(of topic: String, on shard: Shard) -> String? {
        withBytes(topic) { bytes -> String? in
            if let wrong = check(shard.findRoute(bytes), topic, shard) { return "by its hash: \(wrong)" }
            for _ in 0..<2 {
                var hash: UInt64 = 0
                let route = shard.findRoute(bytes, &hash, ofMany: UInt64(bytes[0]))
                if let wrong = check(route, topic, shard) { return "as one of many: \(wrong)" }
            }
            for other in broker.shards {
                // A hash nobody has asked for: the route is not kept.
                fresh &+= 0x9E37_79B9_7F4A_7C15
                var hash = fresh
                let clue = TopicClue(other.findRoute(bytes, &hash, ofMany: 0), differs: false)
                guard clue.kind == .located else { continue }
                guard let route = shard.locatedRoute(bytes, 1, clue) else {
                    return "the node of \(other.number) is not known"
                }
                if let wrong = check(route, topic, shard) { return "with the node of \(other.number): \(wrong)" }
            }
            return nil
        }
    }

    private func check(_ route: RouteRef, _ topic: String, _ shard: Shard) -> String? {
        let matching = entries.filter { isMatch($0.key.filter, topic) }
        let plain = matching.filter { $0.key.group.isEmpty }
        var remote: UInt64 = 0
        for key in plain.keys where self.shard(of: key.session) !== shard {
            remote |= 1 << UInt64(self.shard(of: key.session).number)
        }
        if route.pointee.remote != remote { return "\(topic) on \(shard.number): goes to \(route.pointee.remote)" }
        let groups = Set((0..<route.pointee.groupCount).map { route.groups[$0] })
        let shared = Set(matching.keys.filter { !$0.group.isEmpty }.map { "\($0.group)/\($0.filter)" })
        if groups.count != shared.count || route.pointee.groupCount != shared.count {
            return "\(topic) on \(shard.number): \(route.pointee.groupCount) groups, not \(shared.count)"
        }
        var actual: [Int: Target] = [:]
        for i in 0..<route.pointee.targetCount {
            let target = route.pointee.targets[i]
            actual[sessions.firstIndex(of: target.session)!] = Target(target, of: route)
        }
        let mine = plain.filter { self.shard(of: $0.key.session) === shard }
        let expected = Dictionary(grouping: mine) { $0.key.session }.compactMapValues { subscriptions in
            Target(subscriptions.map { ($0.value.options, $0.value.identifier) })
        }
        return actual == expected ? nil : "\(topic) on \(shard.number): \(actual), and should be \(expected)"
    }

    func counts() -> String? {
        let count = broker.table.count()
        let shared = entries.keys.count { !$0.group.isEmpty }
        let filters = Set(entries.keys.map(\.filter)).count
        return (count.filters, count.subscriptions, count.shared) == (filters, entries.count, shared)
            ? nil : "the counts are \(count) and should be \(filters), \(entries.count), \(shared)"
    }
}

final class FilterTableMachine: Machine {
    enum Command {
        case subscribe(SubscriptionKey, qos: UInt8, noLocal: Bool, asPublished: Bool, identifier: UInt32)
        case unsubscribe(SubscriptionKey)
        /// One the session has.
        case unsubscribeOne(session: Int, Int)
        case endSession(Int)
        case match(Int)
        case giveMemoryBack
    }

    private static let shards = 3
    private let model = SubscriptionModel(shards: shards)

    init(_ dice: inout Dice) {}

    private static func key(_ dice: inout Dice) -> SubscriptionKey {
        SubscriptionKey(
            session: dice.below(shards * SubscriptionModel.perShard), filter: dice.pick(SubscriptionModel.filters),
            group: dice.pick(SubscriptionModel.groups))
    }

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(20) {
        case 0..<8:
            .subscribe(
                key(&dice), qos: UInt8(dice.below(3)), noLocal: dice.oneIn(3), asPublished: dice.oneIn(3),
                identifier: UInt32(dice.below(3)))
        case 8..<10: .unsubscribe(key(&dice))
        case 10..<14: .unsubscribeOne(session: dice.below(shards * SubscriptionModel.perShard), dice.below(20))
        case 15: .giveMemoryBack
        case 14: dice.oneIn(3) ? .endSession(dice.below(shards * SubscriptionModel.perShard)) : .match(0)
        default: .match(dice.below(SubscriptionModel.topics.count))
        }
    }

    func run(_ command: Command) -> String? {
        let wrong: String? =
            switch command {
            case .subscribe(let key, let qos, let noLocal, let asPublished, let identifier):
                model.subscribe(
                    key,
                    SubscriptionModel.Entry(
                        options: options(qos: qos, noLocal: noLocal, asPublished: asPublished), identifier: identifier))
            case .unsubscribe(let key): model.unsubscribe(key)
            case .unsubscribeOne(let session, let k): unsubscribeOne(session, k)
            case .endSession(let session): end(session)
            case .giveMemoryBack: giveMemoryBack()
            case .match(let topic): model.routes(of: SubscriptionModel.topics[topic])
            }
        return wrong ?? model.counts() ?? positions()
    }

    func finish() -> String? {
        if let wrong = SubscriptionModel.topics.lazy.compactMap({ self.model.routes(of: $0) }).first { return wrong }
        for session in model.sessions.indices { model.endSession(session) }
        return model.counts() ?? SubscriptionModel.topics.lazy.compactMap { self.model.routes(of: $0) }.first
    }

    private func positions() -> String? {
        model.sessions.indices.lazy.compactMap { self.model.positions(of: $0) }.first
    }

    private func unsubscribeOne(_ session: Int, _ k: Int) -> String? {
        let keys = model.entries.keys.filter { $0.session == session }
            .sorted { ($0.filter, $0.group) < ($1.filter, $1.group) }
        return keys.isEmpty ? nil : model.unsubscribe(keys[k % keys.count])
    }

    private func giveMemoryBack() -> String? {
        model.broker.table.giveMemoryBack()
        return nil
    }

    private func end(_ session: Int) -> String? {
        model.endSession(session)
        return nil
    }
}

@Suite("Filter table")
struct FilterTableTests {
    @Test("Random schedules over three shards: routes, groups, options and positions [MQTT-3.8.4-3] [MQTT-3.10.4-1]")
    func schedules() {
        let failure = firstFailure(FilterTableMachine.self, seeds: 0..<25, commands: 120)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("Shards that subscribe, unsubscribe and route at the same time agree in the end")
    func threads() {
        let model = SubscriptionModel(shards: 3)
        let broker = model.broker
        nonisolated(unsafe) let sessions = model.sessions
        nonisolated(unsafe) let parts = (0..<3).map { _ in SubscriptionModel(shards: 1) }
        let threads = (0..<3).map { number in
            startThread("subscriber") {
                var dice = Dice(UInt64(number))
                let shard = broker.shards[number]
                for _ in 0..<1500 {
                    let session = number * SubscriptionModel.perShard + dice.below(SubscriptionModel.perShard)
                    let key = SubscriptionKey(
                        session: session, filter: dice.pick(SubscriptionModel.filters),
                        group: dice.pick(SubscriptionModel.groups))
                    let entry = SubscriptionModel.Entry(
                        options: options(qos: UInt8(dice.below(3))), identifier: UInt32(dice.below(3)))
                    parts[number].change(key, entry, add: dice.oneIn(2), sessions[session], shard)
                    withBytes(dice.pick(SubscriptionModel.topics)) {
                        _ = shard.findRoute($0)
                    }
                }
            }
        }
        for thread in threads { pthread_join(thread, nil) }
        for part in parts { model.entries.merge(part.entries) { $1 } }
        #expect(model.counts() == nil)
        for session in model.sessions.indices { #expect(model.positions(of: session) == nil) }
        for topic in SubscriptionModel.topics { #expect(model.routes(of: topic) == nil) }
    }

    @Test("10,000 sessions on one filter leave in any order; every other keeps its place")
    func oneFilter() {
        let broker = Broker(settings: BrokerSettings())
        let shard = broker.shards[0]
        var dice = Dice(4)
        let sessions = (0..<10_000).map { _ in shard.bareSession() }
        withBytes("one/filter") { filter in
            for s in sessions { _ = shard.addSubscription(s, filter, martlet_sub()) }
            let leaving = sessions.shuffled(using: &dice)
            for s in leaving.prefix(9_990) { shard.removeSubscription(s, 0) }
            let route = shard.findRoute(filter)
            let left = Set((0..<route.pointee.targetCount).map { route.pointee.targets[$0].session })
            #expect(left == Set(leaving.suffix(10)))
            for s in leaving.suffix(10) { #expect(shard.findSubscription(s, filter, group: noBytes) == 0) }
        }
    }

    @Test("200,000 filters of which every thousandth stays: pages go back, what stays is found and room is used again")
    func memory() {
        let broker = Broker(settings: BrokerSettings())
        let shard = broker.shards[0]
        let s = shard.bareSession()
        func filter<R>(_ i: Int, _ body: (Bytes) -> R) -> R { withBytes("memory/\(i)/of/filters", body) }
        for i in 0..<200_000 { _ = filter(i) { shard.addSubscription(s, $0, martlet_sub()) } }
        let full = broker.table.residentBytes
        for i in (0..<200_000).reversed() where i % 1000 != 0 {
            filter(i) { if let at = shard.findSubscription(s, $0, group: noBytes) { shard.removeSubscription(s, at) } }
        }
        broker.table.giveMemoryBack()
        #expect(broker.table.residentBytes * 5 < full)
        #expect(s.pointee.subRoom < 2000)
        for i in 0..<200_000 {
            let isThere = filter(i) { shard.findSubscription(s, $0, group: noBytes) != nil }
            if isThere != (i % 1000 == 0) { Issue.record("filter \(i)") }
        }
        for i in 0..<5000 { _ = filter(i) { shard.addSubscription(s, $0, martlet_sub()) } }
        for i in [0, 1, 999, 1000, 4999, 100_000] {
            filter(i) { topic in
                let route = shard.findRoute(topic)
                #expect(route.pointee.targetCount == 1)
            }
        }
        while s.pointee.subCount > 0 { shard.removeSubscription(s, 0) }
        broker.table.giveMemoryBack()
        #expect(broker.table.residentBytes * 20 < full)
    }
}

extension SubscriptionModel {
    /// Notes a change that was made to another model's table.
    func change(_ key: SubscriptionKey, _ entry: Entry, add: Bool, _ s: SessionRef, _ shard: Shard) {
        withBytes(key.filter) { filter in
            withBytes(key.group) { group in
                if add {
                    var sub = martlet_sub()
                    sub.share_group = group.c
                    sub.subscription_id = entry.identifier
                    sub.qos = entry.options.qos
                    _ = shard.addSubscription(s, filter, sub)
                    entries[key] = entry
                } else if let index = shard.findSubscription(s, filter, group: group) {
                    shard.removeSubscription(s, index)
                    entries[key] = nil
                }
            }
        }
    }
}
