// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// What one request is measured with. The address is only read when a rule asks for it.
private struct Subject: ~Copyable {
    let clientID: Bytes
    let username: Bytes
    let peer: Bytes
    let topic: Bytes
    private let peers: LastPeers
    private var address: IPAddress?
    private var hasLooked = false

    init(_ request: borrowing ACLRequest, _ peers: LastPeers) {
        self.peers = peers
        clientID = request.clientID
        username = request.username
        peer = request.peer
        topic = request.topic
    }
    mutating func isIn(_ network: IPNetwork) -> Bool {
        if !hasLooked {
            address = peers.address(peer)
            hasLooked = true
        }
        guard let address else { return false }
        return network.contains(address)
    }
}

extension Rules {
    /// [loop] Allocates nothing.
    func decide(_ request: borrowing ACLRequest, _ peers: LastPeers) -> ACLAnswer {
        var subject = Subject(request, peers)
        var hasComparedTopic = false
        for rule in request.action == .publish ? publishRules : subscribeRules {
            var condition = Int(rule.condition)
            guard holds(&condition, &subject) else { continue }
            if rule.anyTopic {
                if !hasComparedTopic { request.holdsForAnyTopic() }
                return rule.allows ? .allow : .deny
            }
            hasComparedTopic = true
            if covers(rule, subject) { return rule.allows ? .allow : .deny }
        }
        if !hasComparedTopic { request.holdsForAnyTopic() }
        return .ignore
    }

    /// Leaves `index` after the condition's subtree.
    private func holds(_ index: inout Int, _ subject: inout Subject) -> Bool {
        let condition = conditions[index]
        index += 1
        switch condition.kind {
        case .everyone: return true
        case .user: return subject.username == bytes(condition.first, condition.second)
        case .client: return subject.clientID == bytes(condition.first, condition.second)
        case .network: return subject.isIn(networks[Int(condition.first)])
        case .all, .any:
            let end = Int(condition.second)
            let wanted = condition.kind == .any
            while index < end {
                if holds(&index, &subject) == wanted {
                    index = end
                    return wanted
                }
            }
            return !wanted
        }
    }

    private func covers(_ rule: Rule, _ subject: borrowing Subject) -> Bool {
        for index in Int(rule.firstFilter)..<Int(rule.firstFilter + rule.filters) {
            let filter = filters[index]
            if filter.isExact {
                if subject.topic == bytes(filter.first, filter.count) { return true }
            } else if covers(filter, rule, subject) {
                return true
            }
        }
        return false
    }

    /// Level by level, and without the $ guard of subscriptions: `#` covers `$SYS/x`. A subscription's filter is
    /// matched as if it were a topic: `a/#` is covered by `a/#` and `#`.
    private func covers(_ filter: Filter, _ rule: Rule, _ subject: borrowing Subject) -> Bool {
        let topic = subject.topic
        var start = 0
        for index in Int(filter.first)..<Int(filter.first + filter.count) {
            let level = levels[index]
            if level.kind == .rest { return true }
            if start > topic.count { return false }
            let end = topic.index(of: UInt8(ascii: "/"), from: start) ?? topic.count
            guard matches(level, topic.slice(start, end), rule, subject) else { return false }
            start = end + 1
        }
        return start > topic.count
    }

    private func matches(_ level: Level, _ part: Bytes, _ rule: Rule, _ subject: borrowing Subject) -> Bool {
        switch level.kind {
        case .rest: true
        // EMQ lets a `+` here cover a subscription's `#`, so that permission for a/+ gives a/b/c/d to who asks for
        // a/#. We follow it where it forbids and not where it permits.
        case .one: !rule.allows || part != "#"
        case .literal: part == bytes(level.first, level.count)
        case .clientID: fills(part, subject.clientID, "%c")
        case .username: fills(part, subject.username, "%u")
        }
    }
    /// A client named `+` gains no wildcard; without a name the level is the placeholder's own text.
    private func fills(_ part: Bytes, _ name: Bytes, _ placeholder: StaticString) -> Bool {
        if name.isEmpty { return part == placeholder }
        return part == name && part != "+" && part != "#"
    }
}
