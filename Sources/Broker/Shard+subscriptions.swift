// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Topics

/// A session's subscriptions, in step with the filter table.
extension Shard {
    /// Adds, or replaces in place, so that no message falls between the two. True when there was none before.
    /// [MQTT-3.8.4-3] [MQTT-3.8.4-4]
    func addSubscription(_ s: SessionRef, _ filter: Bytes, _ sub: martlet_sub) -> Bool {
        var options = SubOptions(rawValue: sub.qos & 3)
        if sub.no_local { options.rawValue |= 4 }
        if sub.retain_as_published { options.rawValue |= 8 }
        options.rawValue |= (sub.retain_handling & 3) << 4
        if sub.local { options.rawValue |= 64 }
        if let index = findSubscription(s, filter, group: sub.share_group.bytes) {
            change(s, index, filter, options, sub.subscription_id)
            return false
        }
        growSubscriptions(s)
        let index = s.pointee.subCount
        var entry = Subscription(node: 0, position: 0, identifier: sub.subscription_id, group: 0, options: options)
        if sub.share_group.len > 0 {
            let member = ShareMember(
                shard: UInt32(number), index: index, session: handle(s), identifier: sub.subscription_id,
                options: options,
                isOnline: s.pointee.isOnline)
            (entry.node, entry.group) = table.addShared(filter, group: sub.share_group.bytes, member)
            s.pointee.flags.insert(.hasShares)
        } else {
            (entry.node, entry.position) = table.add(
                filter,
                Subscriber(session: s, index: index, identifier: sub.subscription_id, options: options), shard: number)
            touchOwn(filter)
        }
        s.pointee.subs![Int(index)] = entry
        s.pointee.subCount += 1
        return true
    }

    /// This shard's routes to topics that match the filter are worthless.
    private func touchOwn(_ filter: Bytes) {
        ownEpochs[table.epochIndex(filter)] &+= 1
        ownEpochs[FilterTable.all] &+= 1
    }

    private func change(_ s: SessionRef, _ index: Int, _ filter: Bytes, _ options: SubOptions, _ identifier: UInt32) {
        let entry = s.pointee.subs! + index
        entry.pointee.options = options
        entry.pointee.identifier = identifier
        if entry.pointee.group != 0 {
            table.updateShared(entry.pointee.group) { $0.change(handle(s), options, identifier) }
            return
        }
        table.read(number) { _, values in
            let list = FilterTable.list(values[entry.pointee.node].pointee, number)!
            list.pointee.entries![Int(entry.pointee.position)].options = options
            list.pointee.entries![Int(entry.pointee.position)].identifier = identifier
        }
        touchOwn(filter)
    }

    /// Where the session's list has this filter. Looks through the shorter of the filter's list and the session's, so
    /// neither a client of many filters nor a filter of many clients makes it slow.
    func findSubscription(_ s: SessionRef, _ filter: Bytes, group: Bytes) -> Int? {
        guard s.pointee.subCount > 0 else { return nil }
        return table.read(number) { trie, values -> Int? in
            guard let node = trie.find(filter) else { return nil }
            if group.count > 0 {
                guard let number = table.groups.find(node, group), let g = table.groups[number],
                    let place = g.pointee.place(of: handle(s))
                else { return nil }
                return Int(g.pointee.members[place].index)
            }
            guard let list = FilterTable.list(values[node].pointee, number) else { return nil }
            if list.pointee.count < s.pointee.subCount {
                for i in 0..<Int(list.pointee.count) where list.pointee.entries![i].session == s {
                    return Int(list.pointee.entries![i].index)
                }
                return nil
            }
            for i in 0..<Int(s.pointee.subCount) where s.pointee.subs![i].node == node {
                if s.pointee.subs![i].group == 0 { return i }
            }
            return nil
        }
    }

    func removeSubscription(_ s: SessionRef, _ index: Int) {
        let entry = s.pointee.subs![index]
        withFilter(of: entry.node) { filter in
            if entry.group != 0 {
                table.removeShared(entry.group, session: handle(s), filter: filter)
            } else {
                if let moved = table.remove(entry.node, position: entry.position, filter: filter, shard: number) {
                    moved.session.pointee.subs![Int(moved.index)].position = entry.position
                }
                touchOwn(filter)
            }
        }
        let last = Int(s.pointee.subCount) - 1
        if index != last {
            s.pointee.subs![index] = s.pointee.subs![last]
            tellIndex(s, index)
        }
        s.pointee.subCount -= 1
        if s.pointee.subRoom > 64, s.pointee.subCount * 4 <= s.pointee.subRoom {
            resizeSubscriptions(s, to: s.pointee.subRoom / 2)
        }
    }

    /// The table's entry of a subscription that moved within its session's list.
    private func tellIndex(_ s: SessionRef, _ index: Int) {
        let entry = s.pointee.subs![index]
        if entry.group != 0 { return table.updateShared(entry.group) { $0.setIndex(handle(s), UInt32(index)) } }
        table.read(number) { _, values in
            let list = FilterTable.list(values[entry.node].pointee, number)!
            list.pointee.entries![Int(entry.position)].index = UInt32(index)
        }
    }

    func withFilter<R>(of node: UInt32, _ body: (Bytes) -> R) -> R {
        let count = table.copyFilter(node, to: filterRoom, shard: number)
        return body(Bytes(start: filterRoom, count: count))
    }

    private func growSubscriptions(_ s: SessionRef) {
        guard s.pointee.subCount == s.pointee.subRoom else { return }
        resizeSubscriptions(s, to: max(1, s.pointee.subRoom * 2))
    }

    private func resizeSubscriptions(_ s: SessionRef, to room: UInt32) {
        s.pointee.subs = moved(s.pointee.subs, Int(s.pointee.subCount), toRoomOf: Int(room))
        s.pointee.subRoom = room
    }
}
