// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Sessions
import Topics

/// Shared subscriptions: one member of a group gets each message. MQTT 5 §4.8.2.
extension Shard {
    /// - Parameter group: its number, from a route.
    func dispatchShared(_ group: UInt32, _ message: MessageRef, _ hash: UInt64, publisher: UInt64) {
        let choice = table.ask(group, shard: number) {
            pick($0, hash, publisherID: message.pointee.clientID, avoiding: 0)
        }
        dispatch(message, hash, to: choice, publisher)
    }

    /// The same for a message that already went through a group, to another member.
    private func dispatchAgain(
        _ serial: UInt32, _ message: MessageRef, _ hash: UInt64, publisher: UInt64, avoiding: UInt64
    ) {
        let choice = table.ask(serial: serial, shard: number) {
            pick($0, hash, publisherID: message.pointee.clientID, avoiding: avoiding)
        }
        dispatch(message, hash, to: choice, publisher)
    }

    private func dispatch(_ message: MessageRef, _ hash: UInt64, to choice: Choice??, _ publisher: UInt64) {
        guard let choice, let choice else { return drop(message, .noSubscriber, for: nil) }
        let (member, serial) = (choice.member, choice.serial)
        if choice.isNewToStick { table.updateShared(serial: serial) { $0.sticky = member.session } }
        if Int(member.shard) == number {
            guard let s = session(member.session) else { return }
            deliverShared(message, hash, s, member.options, member.identifier, serial, publisher)
        } else {
            send(
                message, hash, to: Int(member.shard), publisher: publisher,
                directed: (member.session, member.options.rawValue, member.identifier, serial))
        }
    }

    private struct Choice {
        var member: ShareMember
        var serial: UInt32
        /// The sticky strategy has left the one it had.
        var isNewToStick: Bool
    }

    private func pick(_ g: ShareGroupRef, _ hash: UInt64, publisherID: Bytes, avoiding: UInt64) -> Choice? {
        pickMember(g, hash, publisherID: publisherID, avoiding: avoiding).map {
            Choice(
                member: $0, serial: g.pointee.serial,
                isNewToStick: broker.settings.shareStrategy == .sticky && g.pointee.sticky != $0.session)
        }
    }

    /// Costs the same whatever the number of members.
    private func pickMember(
        _ g: ShareGroupRef, _ hash: UInt64, publisherID: Bytes, avoiding: UInt64
    ) -> ShareMember? {
        let candidates = g.pointee.candidates(avoiding: avoiding)
        guard candidates.count > 0 else { return nil }
        let n = UInt64(candidates.count)
        switch broker.settings.shareStrategy {
        case .random: return candidates[Int(nextRandom() % n)]
        case .roundRobin: return candidates[Int(broker.nextTurn(of: g.pointee.serial) % n)]
        case .hashClientID: return candidates[Int(Topics.hash(publisherID, seed: table.seed) % n)]
        case .hashTopic: return candidates[Int(hash % n)]
        case .local: return pickLocal(candidates)
        case .sticky: return g.pointee.stuck(avoiding: avoiding) ?? candidates[Int(nextRandom() % n)]
        }
    }

    /// Any member, of another loop only when none of ours is among the next 64.
    private func pickLocal(_ candidates: ShareGroup.Candidates) -> ShareMember {
        let n = candidates.count
        let start = Int(nextRandom() % UInt64(n))
        for i in 0..<min(n, 64) {
            let member = candidates[(start + i) % n]
            if Int(member.shard) == number { return member }
        }
        return candidates[start]
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
                dispatchAgain(
                    parcel.pointee.group, message, parcel.pointee.hash, publisher: parcel.pointee.publisher,
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
        guard table.ask(serial: delivery.shareGroup, shard: number, { $0.pointee.hasMember(besides: avoiding) }) == true
        else { return false }
        let m = delivery.message
        dispatchAgain(
            delivery.shareGroup, m, Topics.hash(m.pointee.topic, seed: table.seed), publisher: 0,
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
        for group in groups { table.updateShared(group) { $0.setOnline(me, false) } }
        guard let outbound = s.pointee.outbound else { return }
        var moving: [Delivery] = []
        outbound.pointee.takeShared(
            limits: s.pointee.zone.pointee.queue, keepingQoS2: !broker.settings.sharedRedispatchesAll
        ) { delivery in
            let othersAreOnline = table.ask(serial: delivery.shareGroup, shard: number) {
                $0.pointee.candidatesAreOnline(avoiding: me)
            }
            guard othersAreOnline == true else { return false }
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
            table.updateShared(s.pointee.subs![i].group) { $0.setOnline(handle(s), true) }
        }
    }
}
