// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Sessions
import Topics

/// Shared subscriptions: one member of a group gets each message. MQTT 5 §4.8.2.
extension Shard {
    func dispatchShared(
        _ group: UInt32, _ message: MessageRef, _ hash: UInt64, from c: ConnectionRef?, publisher: UInt64,
        avoiding: UInt64 = 0
    ) {
        guard let member = pick(group, message, hash, avoiding: avoiding) else {
            return drop(message, .noSubscriber, for: nil)
        }
        if Int(member.shard) == number {
            guard let s = session(member.session) else { return }
            deliverShared(message, hash, s, member.options, member.identifier, group, publisher)
        } else {
            send(
                message, hash, to: Int(member.shard), publisher: publisher,
                directed: (member.session, member.options.rawValue, member.identifier, group))
        }
    }

    /// Connected members first: a queue of an absent one is the last resort.
    private func pick(_ group: UInt32, _ message: MessageRef, _ hash: UInt64, avoiding: UInt64) -> ShareMember? {
        let strategy = broker.settings.shareStrategy
        // Drawn before the lock is taken; what it is the remainder of is known only then.
        let draw: UInt64 =
            switch strategy {
            case .random, .local, .sticky: nextRandom()
            case .roundRobin: broker.nextTurn(of: group)
            case .hashClientID: Topics.hash(message.pointee.clientID, seed: table.seed)
            case .hashTopic: hash
            }
        let (member, isNew) = table.withMembers(of: group, shard: number) { run -> (ShareMember?, Bool) in
            if strategy == .local {
                let own = { (m: ShareMember) in Int(m.shard) == self.number }
                if let found = Self.choose(run.onlineOnes, draw, avoiding, own) { return (found, false) }
            }
            if strategy == .sticky, run.sticky != 0, run.sticky != avoiding,
                let stuck = run.onlineOnes.first(where: { $0.session == run.sticky })
            {
                return (stuck, false)
            }
            return (
                Self.choose(run.onlineOnes, draw, avoiding) ?? Self.choose(run.all, draw, avoiding),
                strategy == .sticky
            )
        }
        if isNew, let member { table.makeSticky(group, member.session) }
        return member
    }

    /// One of those that are not `avoiding`; without that session nobody but the chosen one is looked at.
    private static func choose(
        _ members: UnsafeBufferPointer<ShareMember>, _ draw: UInt64, _ avoiding: UInt64
    ) -> ShareMember? {
        if avoiding != 0 { return choose(members, draw, avoiding) { _ in true } }
        return members.isEmpty ? nil : members[Int(draw % UInt64(members.count))]
    }

    private static func choose(
        _ members: UnsafeBufferPointer<ShareMember>, _ draw: UInt64, _ avoiding: UInt64,
        _ isWanted: (ShareMember) -> Bool
    ) -> ShareMember? {
        let n = members.count { $0.session != avoiding && isWanted($0) }
        guard n > 0 else { return nil }
        var left = Int(draw % UInt64(n))
        return members.first { m in
            guard m.session != avoiding, isWanted(m) else { return false }
            left -= 1
            return left < 0
        }
    }

    private func deliverShared(
        _ message: MessageRef, _ hash: UInt64, _ s: SessionRef, _ options: SubOptions, _ identifier: UInt32,
        _ group: UInt32, _ publisher: UInt64
    ) {
        let retain = message.pointee.flags.contains(.retain) && options.retainAsPublished
        // [MQTT-4.8.2-3]
        let terms = Terms(
            qos: grantedQoS(options.qos, message, s), retain: retain, identifier: identifier, group: group)
        var template = Template()
        deliver(message, hash, to: s, terms, publisher: publisher, &template, shared: false)
    }

    /// A message another shard chose one of our sessions for; that session may be gone by now.
    func deliverDirected(_ message: MessageRef, _ parcel: UnsafeMutablePointer<Parcel>) {
        let options = SubOptions(rawValue: parcel.pointee.options)
        guard let s = session(parcel.pointee.session), s.pointee.isOnline || parcel.pointee.group == 0 else {
            if parcel.pointee.group != 0 {
                dispatchShared(
                    parcel.pointee.group, message, parcel.pointee.hash, from: nil, publisher: parcel.pointee.publisher,
                    avoiding: session(parcel.pointee.session) == nil ? parcel.pointee.session : 0)
            }
            return
        }
        deliverShared(
            message, parcel.pointee.hash, s, options, parcel.pointee.identifier, parcel.pointee.group,
            parcel.pointee.publisher)
    }

    /// A message that a leaving member has not acknowledged goes to another. False when there is none.
    func redispatch(_ delivery: Delivery, avoiding: UInt64 = 0) -> Bool {
        // [MQTT-3.3.2-5]
        guard !delivery.message.pointee.isExpired(at: unixMS) else { return false }
        guard let g = table.snapshot(delivery.shareGroup, shard: number),
            g.members.contains(where: { $0.session != avoiding })
        else { return false }
        let m = delivery.message
        dispatchShared(
            delivery.shareGroup, m, Topics.hash(m.pointee.topic, seed: table.seed), from: nil, publisher: 0,
            avoiding: avoiding)
        return true
    }

    /// Whether nobody else may get a QoS 2 message that was sent to this member, although its session has ended. MQTT 5
    /// says so [MQTT-4.8.2-5]; the older versions know no shared subscriptions.
    func keepsSentQoS2(_ s: SessionRef) -> Bool {
        s.pointee.version == ProtocolVersion.v5.rawValue && !broker.settings.sharedRedispatchesAll
    }

    /// The session lost its connection: others take what it has not acknowledged, if there are others online.
    func sharesWentOffline(_ s: SessionRef) {
        let me = handle(s)
        var groups: [UInt32] = []
        for i in 0..<Int(s.pointee.subCount) where s.pointee.subs![i].group != 0 {
            groups.append(s.pointee.subs![i].group)
        }
        for group in groups { table.updateShared(group, session: me) { $0.isOnline = false } }
        guard let outbound = s.pointee.outbound else { return }
        var moving: [Delivery] = []
        outbound.pointee.takeShared(
            limits: s.pointee.zone.pointee.queue, keepingQoS2: !broker.settings.sharedRedispatchesAll
        ) { delivery in
            let others = table.snapshot(delivery.shareGroup, shard: number)?.members
            guard others?.contains(where: { $0.session != me && $0.isOnline }) == true else { return false }
            moving.append(delivery)
            return true
        }
        checkQueueAlarm(s)
        for delivery in moving {
            if !redispatch(delivery, avoiding: me) {
                drop(
                    delivery.message, delivery.message.pointee.isExpired(at: unixMS) ? .expired : .noSubscriber, for: s)
            }
            delivery.discard()
        }
    }

    func sharesCameOnline(_ s: SessionRef) {
        for i in 0..<Int(s.pointee.subCount) where s.pointee.subs![i].group != 0 {
            table.updateShared(s.pointee.subs![i].group, session: handle(s)) { $0.isOnline = true }
        }
    }
}
