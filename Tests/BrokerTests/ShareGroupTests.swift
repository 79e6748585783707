// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import Schedules
import Sessions
import Testing
import Topics

@testable import Broker

/// A group beside a list of its members.
final class ShareGroupMachine: Machine {
    enum Command {
        case join(UInt64, isOnline: Bool)
        case leave(UInt64)
        case online(UInt64, Bool)
        case stick(UInt64)
        case ask(avoiding: UInt64)
    }

    private var group = ShareGroup(serial: 1, node: 1, name: [103])
    private var members: [UInt64: Bool] = [:]
    private let count: Int

    init(_ dice: inout Dice) { count = dice.oneIn(2) ? 6 : 60 }

    static func command(_ dice: inout Dice) -> Command {
        let session = UInt64(1 + dice.below(60))
        return switch dice.below(20) {
        case 0..<8: .join(session, isOnline: dice.oneIn(2))
        case 8..<12: .leave(session)
        case 12..<16: .online(session, dice.oneIn(2))
        case 16: .stick(session)
        default: .ask(avoiding: dice.oneIn(3) ? 0 : session)
        }
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .join(let session, let isOnline):
            guard Int(session) <= count, members[session] == nil else { return nil }
            members[session] = isOnline
            group.append(
                ShareMember(
                    shard: 0, index: 0, session: session, identifier: 0, options: SubOptions(rawValue: 0),
                    isOnline: isOnline))
        case .leave(let session):
            members[session] = nil
            group.remove(session)
        case .online(let session, let isOnline):
            if members[session] != nil { members[session] = isOnline }
            group.setOnline(session, isOnline)
        case .stick(let session): group.sticky = session
        case .ask(let avoiding): return ask(avoiding)
        }
        return places()
    }

    private func places() -> String? {
        if group.members.count != members.count { return "\(group.members.count) members, not \(members.count)" }
        if group.onlineCount != members.values.count(where: { $0 }) { return "\(group.onlineCount) are online" }
        for (session, isOnline) in members {
            guard let at = group.place(of: session), group.members[at].session == session else {
                return "\(session) is not where it should be"
            }
            if group.members[at].isOnline != isOnline || isOnline != (at < group.onlineCount) {
                return "\(session) is at \(at) of \(group.onlineCount) that are online"
            }
        }
        return nil
    }

    private func ask(_ avoiding: UInt64) -> String? {
        let others = members.filter { $0.key != avoiding }
        let online = others.filter(\.value)
        let expected = Set((online.isEmpty ? others : online).keys)
        let candidates = group.candidates(avoiding: avoiding)
        let actual = Set((0..<candidates.count).map { candidates[$0].session })
        if actual != expected || candidates.count != expected.count { return "\(actual) may get it, not \(expected)" }
        if group.candidatesAreOnline(avoiding: avoiding) == online.isEmpty { return "who is online is wrong" }
        if group.hasMember(besides: avoiding) == others.isEmpty { return "who else is there is wrong" }
        let stuck = group.stuck(avoiding: avoiding)?.session
        return stuck == (expected.contains(group.sticky) ? group.sticky : nil) ? nil : "it sticks to \(stuck ?? 0)"
    }
}

@Suite("Share groups")
struct ShareGroupTests {
    @Test("Random schedules: members, who is online, who may get a message [MQTT-4.8.2-3]")
    func schedules() {
        let failure = firstFailure(ShareGroupMachine.self, seeds: 0..<80, commands: 250)
        #expect(failure == nil, "\(failure!)")
    }

    /// Seconds of this thread's processor time.
    private func cost(_ body: () -> Void) -> Double {
        func now() -> Double {
            var t = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
            return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
        }
        let start = now()
        body()
        return now() - start
    }

    @Test("A message to a group of 20,000 members costs about what it costs with 20, and so does a member that leaves")
    func manyMembers() {
        func costs(_ members: Int) -> (message: Double, leave: Double) {
            let broker = Broker(settings: BrokerSettings())
            let shard = broker.shards[0]
            let sessions = (0..<members).map { _ in shard.bareSession() }
            return withBytes("g") { name in
                withBytes("work/+") { filter in
                    var sub = martlet_sub()
                    sub.share_group = name.c
                    for s in sessions { _ = shard.addSubscription(s, filter, sub) }
                    let group = sessions[0].pointee.subs![0].group
                    let message = cost {
                        withBytes("work/1") { topic in
                            var m = Message(topic: topic, payload: noBytes)
                            withUnsafeMutablePointer(to: &m) { m in
                                for _ in 0..<4000 { shard.dispatchShared(group, m, 7, publisher: 0) }
                            }
                        }
                    }
                    let leave = cost { for s in sessions.prefix(10) { shard.removeSubscription(s, 0) } }
                    return (message / 4000, leave / 10)
                }
            }
        }
        let few = costs(20)
        let many = costs(20_000)
        #expect(many.message < few.message * 20 + 2e-6)
        #expect(many.leave < few.leave * 50 + 20e-6)
    }

    @Test("20,000 groups on one filter: the last is joined, found and left like the first")
    func manyGroups() {
        let broker = Broker(settings: BrokerSettings())
        let shard = broker.shards[0]
        let s = shard.bareSession()
        func each(_ range: Range<Int>, _ body: (Bytes, martlet_sub) -> Void) -> Double {
            cost {
                for i in range {
                    withBytes("group-\(i)") { name in
                        withBytes("work") { filter in
                            var sub = martlet_sub()
                            sub.share_group = name.c
                            body(filter, sub)
                        }
                    }
                }
            }
        }
        let join: (Bytes, martlet_sub) -> Void = { _ = shard.addSubscription(s, $0, $1) }
        let first = each(0..<1000, join)
        _ = each(1000..<19_000, join)
        #expect(each(19_000..<20_000, join) < first * 8 + 0.01)
        withBytes("work") { topic in
            #expect(shard.findRoute(topic).pointee.groupCount == 20_000)
        }
        let leave: (Bytes, martlet_sub) -> Void = { filter, sub in
            guard let at = shard.findSubscription(s, filter, group: sub.share_group.bytes) else {
                Issue.record("a group is not found")
                return
            }
            shard.removeSubscription(s, at)
        }
        let half = each(0..<1000, leave)
        #expect(each(1000..<19_999, leave) < half * 8 * 19 + 0.1)
        withBytes("work") { topic in
            #expect(shard.findRoute(topic).pointee.groupCount == 1)
        }
        broker.table.giveMemoryBack()
        withBytes("work") { topic in
            #expect(shard.findRoute(topic).pointee.groupCount == 1)
        }
    }
}
