// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// From a message and a session to bytes in its output, to its inflight window, or to its queue.
extension Shard {
    /// Everything about one delivery but the message.
    struct Terms {
        var qos: UInt8
        var retain: Bool
        var identifier: UInt32 = 0
        /// Count, then identifiers; borrowed.
        var moreIDs: UnsafeMutablePointer<UInt32>?
        /// Serial of the share group, 0: none.
        var group: UInt32 = 0
    }

    /// - Parameter own: the session that published, which No Local subscriptions leave out. [MQTT-3.8.3-3]
    @inline(__always)
    func deliverAll(_ r: RouteRef, _ message: MessageRef, _ hash: UInt64, own: SessionRef?, publisher: UInt64) {
        // Encoded at most once for all who get the same bytes, and copied at most once for all who keep it.
        var template = Template()
        var kept: MessageRef?
        let (targets, count) = (r.pointee.targets, r.pointee.targetCount)
        guard count > 0 else { return }
        let isMany = count > 1
        let isLarge = message.pointee.payload.count > Shard.copyLimit && !mayStayInInput(message)
        targets[0].askAhead()
        if isMany { targets[1].askAhead() }
        for i in 0..<count {
            if i + 2 < count { targets[i + 2].askAhead() }
            let target = targets + i
            let s = target.pointee.session
            target.pointee.note(s.pointee.connection)
            var qos = target.pointee.qos
            var keepsRetain = target.pointee.retainAsPublished
            if s == own {
                if s.pointee.zone.pointee.ignoreLoopDeliver { continue }
                qos = target.pointee.ownQoS
                keepsRetain = target.pointee.ownRetainAsPublished
                if qos == RouteTarget.none { continue }
            }
            let granted = grantedQoS(qos, message, s)
            // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
            let retain = message.pointee.flags.contains(.retain) && keepsRetain
            var terms = Terms(qos: granted, retain: retain)
            let ids = s == own ? target.pointee.ownIDs : target.pointee.ids
            if ids.more != 0 { terms.moreIDs = r.ids + Int(ids.more) } else { terms.identifier = ids.single }
            if isMany, granted > 0 || isLarge || !s.pointee.isOnline {
                let one = kept ?? message.own()
                kept = one
                deliver(one, hash, to: s, terms, publisher: publisher, &template, shared: true)
            } else {
                deliver(message, hash, to: s, terms, publisher: publisher, &template, shared: isMany)
            }
        }
        kept?.release()
    }

    /// [MQTT-3.8.4-8], or the higher one where the zone says so.
    @inline(__always)
    func grantedQoS(_ qos: UInt8, _ message: MessageRef, _ s: SessionRef) -> UInt8 {
        s.pointee.zone.pointee.upgradeQoS ? max(qos, message.pointee.qos) : min(qos, message.pointee.qos)
    }

    @inline(__always)
    func deliver(
        _ message: MessageRef, _ hash: UInt64, to s: SessionRef, _ terms: Terms, publisher: UInt64,
        _ template: inout Template, shared: Bool
    ) {
        guard let c = s.pointee.connection else { return enqueueOffline(message, s, terms) }
        if c.pointee.transport.pointee.pending > c.pointee.zone.pointee.outputHighWater {
            guard mayStillSend(message, c, s, terms, publisher) else { return }
        }
        if terms.qos == 0 {
            // Not past those that still wait from when the client was away. [MQTT-4.6.0-6]
            if s.pointee.flags.contains(.feeding), s.pointee.outbound?.pointee.maySendQoS0Now == false {
                return enqueue(message, s, terms)
            }
            // [MQTT-4.3.1-1]
            if shared && canUseTemplate(c, s, terms, message) {
                sendTemplate(&template, message, c)
            } else {
                write(message, hash, c, s, terms, packetID: 0, dup: false)
            }
            sent(message, c, s, terms)
        } else {
            deliverAcknowledged(message, hash, c, s, terms, publisher)
        }
    }

    // MARK: - QoS 1 and 2

    @inline(__always)
    private func deliverAcknowledged(
        _ message: MessageRef, _ hash: UInt64, _ c: ConnectionRef, _ s: SessionRef, _ terms: Terms, _ publisher: UInt64
    ) {
        let outbound = outbound(s)
        if !outbound.pointee.maySendNow {
            enqueue(message, s, terms)
            if isCongested(s) { hold(publisher, for: s) }
            return
        }
        let delivery = makeDelivery(message, terms)
        sendNew(delivery, hash, c, s)
    }

    /// Sends a message for the first time, with a DUP of its own [MQTT-3.3.1-3] [MQTT-4.3.2-2] [MQTT-4.3.3-2]: from
    /// here on it is in flight.
    private func sendNew(_ delivery: Delivery, _ hash: UInt64, _ c: ConnectionRef, _ s: SessionRef) {
        let terms = Terms(
            qos: delivery.qos, retain: delivery.retain, identifier: delivery.subscriptionID, moreIDs: delivery.moreIDs,
            group: delivery.shareGroup)
        if !fits(delivery.message, c, terms) {
            // As if it had been sent. [MQTT-3.1.2-25]
            drop(delivery.message, .tooLarge, for: s)
            delivery.discard()
            return
        }
        let id = outbound(s).pointee.inflight.add(delivery, now: now)
        write(delivery.message, hash, c, s, terms, packetID: id, dup: false)
        sent(delivery.message, c, s, terms)
    }

    func outbound(_ s: SessionRef) -> UnsafeMutablePointer<Outbound> {
        if let outbound = s.pointee.outbound { return outbound }
        let outbound = UnsafeMutablePointer<Outbound>.allocate(capacity: 1)
        let window = s.pointee.connection.map { self.window($0, Int($0.pointee.receiveMaximum)) } ?? 32
        outbound.initialize(to: Outbound(window: window, lanes: s.pointee.zone.pointee.priorities.lanes))
        s.pointee.outbound = outbound
        return outbound
    }

    private func makeDelivery(_ message: MessageRef, _ terms: Terms) -> Delivery {
        var more: UnsafeMutablePointer<UInt32>?
        if let ids = terms.moreIDs {
            let bytes = (Int(ids[0]) + 1) * 4
            more = malloc(bytes)!.bindMemory(to: UInt32.self, capacity: Int(ids[0]) + 1)
            memcpy(more!, ids, bytes)
        }
        return Delivery(
            message.own(), qos: terms.qos, retain: terms.retain, subscriptionID: terms.identifier, moreIDs: more,
            shareGroup: terms.group)
    }

    // MARK: - Waiting

    private func enqueueOffline(_ message: MessageRef, _ s: SessionRef, _ terms: Terms) {
        guard !s.pointee.flags.contains(.ended) else { return }
        if terms.qos == 0 && !s.pointee.zone.pointee.queue.storeQoS0 {
            return drop(message, .qos0Queue, for: s)
        }
        enqueue(message, s, terms)
    }

    func enqueue(_ message: MessageRef, _ s: SessionRef, _ terms: Terms) {
        s.pointee.enqueued += 1
        let lane = s.pointee.zone.pointee.priorities.lane(message.pointee.topic)
        // Dropped ones are told of only when the queue is at rest: a hook may put something into it.
        var lost: [Delivery] = []
        outbound(s).pointee.queue.push(
            makeDelivery(message, terms), lane: lane, limits: s.pointee.zone.pointee.queue
        ) { delivery, _ in lost.append(delivery) }
        for delivery in lost {
            drop(delivery.message, .queueFull, for: s)
            delivery.discard()
        }
        checkQueueAlarm(s)
    }

    /// Sends what waits, as far as window and output allow. After CONNACK and after every acknowledgement.
    func pump(_ s: SessionRef) {
        guard let c = s.pointee.connection, let outbound = s.pointee.outbound else { return }
        let limits = s.pointee.zone.pointee.queue
        if outbound.pointee.inflight.parked > 0 { pumpParked(c, s, outbound) }
        while c.pointee.transport.pointee.pending <= c.pointee.zone.pointee.outputHighWater,
            let delivery = outbound.pointee.next(limits: limits)
        {
            if delivery.message.pointee.isExpired(at: unixMS) {
                // [MQTT-3.3.2-5]
                counters.count(.messagesExpired)
                drop(delivery.message, .expired, for: s)
                delivery.discard()
            } else if delivery.qos == 0 {
                let terms = Terms(
                    qos: 0, retain: delivery.retain, identifier: delivery.subscriptionID, moreIDs: delivery.moreIDs)
                write(delivery.message, 0, c, s, terms, packetID: 0, dup: false)
                sent(delivery.message, c, s, terms)
                delivery.discard()
            } else {
                sendNew(delivery, 0, c, s)
            }
        }
        if s.pointee.flags.contains(.queueAlarm) { checkQueueAlarm(s) }
        if s.pointee.feeds != nil { wantFeed(s) }
        if s.pointee.congestedSince != 0 && !isCongested(s) { noteCaughtUp(s) }
        if outbound.pointee.hasNext { s.pointee.flags.insert(.feeding) }
    }

    /// After a resume: everything unacknowledged again, in order, with DUP. [MQTT-4.4.0-1]
    func replayInflight(_ c: ConnectionRef, _ s: SessionRef) {
        guard let outbound = s.pointee.outbound else { return }
        outbound.pointee.window = window(c, Int(c.pointee.receiveMaximum))
        outbound.pointee.inflight.park()
        outbound.pointee.inflight.forEach { entry in
            guard entry.state == .awaitingPubcomp else { return }
            entry.sentAt = now
            counters.count(.packetsPubrelSent)
            sendAck(c, .pubrel, entry.packetID)
        }
    }

    /// The next messages of an earlier connection, while the window has room.
    private func pumpParked(_ c: ConnectionRef, _ s: SessionRef, _ outbound: UnsafeMutablePointer<Outbound>) {
        while outbound.pointee.hasRoom, let entry = outbound.pointee.inflight.unpark(now: now) {
            let d = entry.delivery
            let terms = Terms(qos: d.qos, retain: d.retain, identifier: d.subscriptionID, moreIDs: d.moreIDs)
            if !fits(d.message, c, terms) {
                // The limit of this connection is below that of the last one. [MQTT-3.1.2-24] [MQTT-3.1.2-25]
                guard let delivery = outbound.pointee.inflight.giveUp(entry.packetID) else { continue }
                drop(delivery.message, .tooLarge, for: s)
                delivery.discard()
                continue
            }
            // [MQTT-3.3.1-1]; it has been sent, so it does not expire any more. [MQTT-4.3.3-7]
            write(d.message, 0, c, s, terms, packetID: entry.packetID, dup: true)
        }
    }

    // MARK: - Writing

    private func header(
        _ message: MessageRef, _ c: ConnectionRef, _ terms: Terms, packetID: UInt16, dup: Bool
    ) -> PublishHeader {
        var h = PublishHeader(
            version: c.pointee.version, topic: unmounted(message.pointee.topic, c), qos: terms.qos,
            retain: terms.retain, dup: dup, packetID: packetID, payloadCount: message.pointee.payload.count)
        if c.pointee.isV5 {
            h.passThrough = message.pointee.properties
            if message.pointee.flags.contains(.expires) { h.messageExpiry = message.pointee.expiryLeft(at: unixMS) }
        }
        return h
    }

    /// The name as the client knows it: its mountpoint comes off.
    private func unmounted(_ topic: Bytes, _ c: ConnectionRef) -> Bytes {
        let mount = c.pointee.mountpoint
        guard mount.count > 0, topic.count > mount.count,
            memcmp(topic.baseAddress!, mount.baseAddress!, mount.count) == 0
        else { return topic }
        return Bytes(rebasing: topic[mount.count...])
    }

    @inline(__always)
    private func fits(_ message: MessageRef, _ c: ConnectionRef, _ terms: Terms) -> Bool {
        c.pointee.maxPacketOut == .max || fitsLimit(message, c, terms)
    }

    @inline(never)
    private func fitsLimit(_ message: MessageRef, _ c: ConnectionRef, _ terms: Terms) -> Bool {
        withHeader(message, c, terms, packetID: 1, dup: false) { $0.packetSize } <= Int(c.pointee.maxPacketOut)
    }

    @inline(__always)
    private func withHeader<R>(
        _ message: MessageRef, _ c: ConnectionRef, _ terms: Terms, packetID: UInt16, dup: Bool,
        _ body: (inout PublishHeader) -> R
    ) -> R {
        var h = header(message, c, terms, packetID: packetID, dup: dup)
        if let more = terms.moreIDs {
            h.subscriptionIDs = UnsafeBufferPointer(start: more + 1, count: Int(more[0]))
            return body(&h)
        }
        if terms.identifier != 0 {
            return withUnsafePointer(to: terms.identifier) {
                h.subscriptionIDs = UnsafeBufferPointer(start: $0, count: 1)
                return body(&h)
            }
        }
        return body(&h)
    }

    /// Encodes one PUBLISH into the output. Large payloads are not copied.
    func write(
        _ message: MessageRef, _ hash: UInt64, _ c: ConnectionRef, _ s: SessionRef, _ terms: Terms, packetID: UInt16,
        dup: Bool
    ) {
        guard isPlain(message, c, terms) else {
            return writeAny(message, hash, c, s, terms, packetID: packetID, dup: dup)
        }
        let packet = PlainPublish(
            version: c.pointee.version, topic: message.pointee.topic, payload: message.pointee.payload, qos: terms.qos,
            retain: terms.retain, dup: dup, packetID: packetID)
        packet.encode(into: reserve(c.pointee.transport, packet.size))
    }

    /// It has no properties for this receiver, who takes it whatever its size, and its name is the client's.
    @inline(__always)
    private func isPlain(_ message: MessageRef, _ c: ConnectionRef, _ terms: Terms) -> Bool {
        terms.identifier == 0 && terms.moreIDs == nil && c.pointee.aliasesOut == nil && c.pointee.mountpoint.count == 0
            && c.pointee.maxPacketOut == .max && message.pointee.payloadSize < Shard.lendFrom
            && (!c.pointee.isV5 || message.pointee.properties.count == 0 && !message.pointee.flags.contains(.expires))
    }

    @inline(never)
    private func writeAny(
        _ message: MessageRef, _ hash: UInt64, _ c: ConnectionRef, _ s: SessionRef, _ terms: Terms, packetID: UInt16,
        dup: Bool
    ) {
        withHeader(message, c, terms, packetID: packetID, dup: dup) { h in
            if let aliases = c.pointee.aliasesOut { useAlias(aliases, &h, hash, limit: c.pointee.maxPacketOut) }
            let size = h.packetSize
            if size > Int(c.pointee.maxPacketOut) {
                if terms.qos == 0 { drop(message, .tooLarge, for: s) }
                return
            }
            let payload = message.pointee.payload
            if payload.count >= Shard.lendFrom { return writeLarge(message, &h, c.pointee.transport) }
            _ = h.encode(into: reserve(c.pointee.transport, size), payload: payload)
        }
    }

    /// Above this a payload is shared between the outputs instead of copied into each.
    static var copyLimit: Int { 8192 }

    /// The broker's own aliases, from the first message of a topic on. [MQTT-3.3.2-11]
    private func useAlias(
        _ aliases: UnsafeMutablePointer<OutboundAliases>, _ h: inout PublishHeader, _ hash: UInt64, limit: UInt32
    ) {
        let key = hash == 0 ? Topics.hash(h.topic, seed: table.seed) : hash
        // Three bytes, and one for each length that grows: a packet that just fits is not made too large by its alias.
        if limit != .max, h.packetSize + 5 > Int(limit) { return useKnownAlias(aliases, &h, key, limit) }
        let (alias, known) = aliases.pointee.alias(for: h.topic, hash: key)
        guard alias != 0 else { return }
        h.topicAlias = alias
        if known { h.topic = noBytes }
    }

    private func useKnownAlias(
        _ aliases: UnsafeMutablePointer<OutboundAliases>, _ h: inout PublishHeader, _ hash: UInt64, _ limit: UInt32
    ) {
        var shorter = h
        shorter.topicAlias = aliases.pointee.known(h.topic, hash: hash)
        guard shorter.topicAlias != 0 else { return }
        shorter.topic = noBytes
        if shorter.packetSize <= Int(limit) { h = shorter }
    }

    // MARK: - The same bytes for many

    /// A QoS 0 PUBLISH as most receivers of a fan-out get it: one for 3.x, one for MQTT 5.
    struct Template {
        var old: UnsafeMutableRawBufferPointer?
        var v5: UnsafeMutableRawBufferPointer?
    }

    @inline(__always)
    private func canUseTemplate(_ c: ConnectionRef, _ s: SessionRef, _ terms: Terms, _ message: MessageRef) -> Bool {
        !terms.retain && terms.identifier == 0 && terms.moreIDs == nil && c.pointee.aliasesOut == nil
            && c.pointee.mountpoint.count == 0 && c.pointee.maxPacketOut == .max
            && message.pointee.payload.count <= Shard.copyLimit
    }

    @inline(__always)
    private func sendTemplate(_ template: inout Template, _ message: MessageRef, _ c: ConnectionRef) {
        let bytes: UnsafeMutableRawBufferPointer
        if c.pointee.isV5 {
            if template.v5 == nil { template.v5 = encodeTemplate(message, c, 1) }
            bytes = template.v5!
        } else {
            if template.old == nil { template.old = encodeTemplate(message, c, 0) }
            bytes = template.old!
        }
        reserve(c.pointee.transport, bytes.count).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
    }

    @inline(never)
    private func encodeTemplate(_ message: MessageRef, _ c: ConnectionRef, _ which: Int)
        -> UnsafeMutableRawBufferPointer
    {
        let h = header(message, c, Terms(qos: 0, retain: false), packetID: 0, dup: false)
        let size = h.packetSize
        let at = templateRoom(which, size)
        _ = h.encode(into: at, payload: message.pointee.payload)
        return UnsafeMutableRawBufferPointer(start: at, count: size)
    }

    // MARK: - After sending

    @inline(__always)
    func sent(_ message: MessageRef, _ c: ConnectionRef, _ s: SessionRef, _ terms: Terms) {
        counters.count(.packetsSent)
        counters.count(.packetsPublishSent)
        if !message.pointee.flags.contains(.sys) {
            counters.count(.messagesSent)
            switch terms.qos {
            case 0: counters.count(.messagesQoS0Sent)
            case 1: counters.count(.messagesQoS1Sent)
            default: counters.count(.messagesQoS2Sent)
            }
        }
        s.pointee.delivered += 1
        runMessageHook(Int(MARTLET_HOOK_MESSAGE_DELIVERED), c, s, message)
    }
}
