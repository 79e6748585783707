// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import Reactor
import Sessions
import Topics

@testable import Broker

func withBytes<R>(_ text: String, _ body: (Bytes) -> R) -> R {
    var text = text
    return text.withUTF8 { body(Bytes($0)) }
}

func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }

/// Sessions outside any shard: addresses and marks, nothing else is looked at.
final class BareSessions {
    private let memory: UnsafeMutablePointer<Session>
    private let zone: UnsafeMutablePointer<Zone>
    let count: Int

    init(_ count: Int) {
        self.count = count
        zone = .allocate(capacity: 1)
        zone.initialize(to: Zone())
        memory = .allocate(capacity: count)
        for i in 0..<count { (memory + i).initialize(to: bareSession(slot: UInt32(i), generation: 1, zone)) }
    }

    deinit {
        memory.deallocate()
        zone.deinitialize(count: 1)
        zone.deallocate()
    }

    subscript(index: Int) -> SessionRef { memory + index }
    func index(_ session: SessionRef) -> Int { session - memory }
}

func bareSession(slot: UInt32, generation: UInt32, _ zone: UnsafePointer<Zone>) -> Session {
    Session(
        slot: slot, generation: generation, connection: nil, zone: zone, outbound: nil, delivered: 0, version: 5,
        flags: [], expiryInterval: 0, congestedSince: 0, awaiting: nil, clientID: noBytes, username: noBytes, subs: nil,
        subCount: 0, subRoom: 0, feeds: nil, enqueued: 0, dropped: 0, mark: 0, markIndex: 0,
        timer: TimerNode(), will: nil, createdAt: 0)
}

extension Shard {
    /// The route to a topic of a publisher whose topics do not differ.
    func findRoute(_ topic: Bytes) -> RouteRef {
        var hash = Topics.hash(topic, seed: table.seed)
        return findRoute(topic, &hash, ofMany: 0)
    }

    /// A session of this shard that is in no registry.
    func bareSession() -> SessionRef {
        let (slot, s) = sessions.take()
        s.initialize(to: BrokerTests.bareSession(slot: slot, generation: s.pointee.generation | 1, broker.zones))
        return s
    }
}

func options(qos: UInt8, noLocal: Bool = false, asPublished: Bool = false) -> SubOptions {
    SubOptions(rawValue: qos | (noLocal ? 4 : 0) | (asPublished ? 8 : 0))
}

/// One target of a route, in a form that can be compared.
struct Target: Equatable {
    var qos: UInt8
    /// Nil: the session's own messages do not come to it.
    var ownQoS: UInt8?
    var asPublished: Bool
    var ids: [UInt32]
    var ownIDs: [UInt32]

    init(_ target: RouteTarget, of route: RouteRef) {
        func list(_ ids: RouteTarget.Identifiers) -> [UInt32] {
            if ids.more == 0 { return ids.single == 0 ? [] : [ids.single] }
            let at = route.ids + Int(ids.more)
            return (1...Int(at[0])).map { at[$0] }.sorted()
        }
        qos = target.qos
        ownQoS = target.ownQoS == RouteTarget.none ? nil : target.ownQoS
        asPublished = target.retainAsPublished
        ids = list(target.ids)
        ownIDs = list(target.ownIDs)
    }

    /// What overlapping subscriptions of one session come to. MQTT 5 §3.3.4.
    init?(_ subscriptions: [(options: SubOptions, identifier: UInt32)]) {
        guard let greatest = subscriptions.map(\.options.qos).max() else { return nil }
        let own = subscriptions.filter { !$0.options.noLocal }
        qos = greatest
        ownQoS = own.map(\.options.qos).max()
        asPublished = subscriptions.contains { $0.options.retainAsPublished }
        ids = subscriptions.map(\.identifier).filter { $0 != 0 }.sorted()
        ownIDs = own.map(\.identifier).filter { $0 != 0 }.sorted()
    }
}

/// The rules of MQTT 5 §4.7 in the most obvious form.
func isMatch(_ filter: String, _ topic: String) -> Bool {
    let filter = filter.split(separator: "/", omittingEmptySubsequences: false)
    let topic = topic.split(separator: "/", omittingEmptySubsequences: false)
    if topic[0].hasPrefix("$"), filter[0] == "+" || filter[0] == "#" { return false }
    for (index, level) in filter.enumerated() {
        if level == "#" { return true }
        if index >= topic.count || level != "+" && level != topic[index] { return false }
    }
    return filter.count == topic.count
}
