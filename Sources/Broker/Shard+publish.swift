// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Topics

/// PUBLISH from a client: checks, permission, hooks, routing, acknowledgement. MQTT 5 §3.3.
extension Shard {
    func handlePublish(_ c: ConnectionRef, _ flags: UInt8, _ body: UnsafeRawBufferPointer) -> Step {
        let packet: PublishPacket
        do {
            packet = try PublishPacket.decode(body, flags: flags, version: c.pointee.version)
        } catch {
            refuse(c, error)
            return .closed
        }
        let base = body.baseAddress!
        var topic = packet.topic.bytes(in: base)
        if packet.topicAlias != 0 || topic.count == 0 {
            guard resolveAlias(c, packet.topicAlias, &topic) else { return .closed }
        }
        if let refusal = checkPublish(c, packet, topic, body) {
            close(c, refusal, counted: "bad_publish")
            return .closed
        }
        if packet.qos == 2, let step = repeatedQoS2(c, packet.packetID) { return step }
        return publishPacket(c, packet, topic, body)
    }

    /// Permission, mountpoint, message, flow, acknowledgement.
    private func publishPacket(
        _ c: ConnectionRef, _ packet: PublishPacket, _ topic: Bytes, _ body: UnsafeRawBufferPointer
    ) -> Step {
        let s = c.pointee.session!
        let base = body.baseAddress!
        var hash = lookUpBy(c, topic, base + body.count)
        switch permission(
            c, topic, hash: hash, action: UInt8(MARTLET_ACL_PUBLISH), qos: packet.qos, retain: packet.retain)
        {
        case .allowed: break
        case .wait: return .wait
        case .denied: return deniedPublish(c, packet, topic)
        }
        var message = Message(
            topic: topic, payload: packet.payload.bytes(in: base), qos: packet.qos,
            flags: packet.retain ? [.retain] : [], timestamp: unixMS, id: nextMessageID(),
            clientID: s.pointee.clientID, username: s.pointee.username)
        if let replay = c.pointee.replay { replay.pointee.stamp(&message) }
        if packet.dup { message.flags.insert(.dup) }
        if packet.properties.count > 0 {
            takeProperties(packet, base, &message)
        }
        if c.pointee.mountpoint.count > 0 || topic[0] == 0x24 {
            return publishRewritten(c, packet, message)
        }
        return flow(c, packet, &message, &hash)
    }

    /// The topic's hash. Zero where nothing is looked up by it: neither route nor permission depends on more of the
    /// client's topics than their kind.
    @inline(__always)
    private func lookUpBy(_ c: ConnectionRef, _ topic: Bytes, _ next: UnsafeRawPointer) -> UInt64 {
        let flags = c.pointee.flags
        if flags.contains(.topicsDiffer), flags.contains(.aclForAnyTopic) || chains.pointee.acl.count == 0,
            patterns.isTrusted(handle(c))
        {
            return 0
        }
        let hash = ahead.hash(of: topic) ?? Topics.hash(topic, seed: table.seed)
        routes.prefetchRoute(hash)
        if hash != c.pointee.lastHash {
            noteTopic(c, hash, next)
        } else if flags.contains(.topicsDiffer) {
            c.pointee.flags.remove(.topicsDiffer)
        }
        return hash
    }

    /// The client's topics differ: asks for what the packet at `next` will look at.
    @inline(never)
    private func noteTopic(_ c: ConnectionRef, _ hash: UInt64, _ next: UnsafeRawPointer) {
        c.pointee.lastHash = hash
        c.pointee.flags.insert(.topicsDiffer)
        patterns.prefetch(handle(c))
        guard let hash = ahead.look(at: next, seed: table.seed) else { return }
        routes.prefetchAll(hash)
        if chains.pointee.acl.count > 0, !c.pointee.flags.contains(.aclForAnyTopic) {
            aclCache.prefetch(connection: handle(c), hash: hash)
        }
    }

    /// Hooks, routing, acknowledgement of a message whose topic is final.
    @inline(__always)
    private func flow(
        _ c: ConnectionRef, _ packet: PublishPacket, _ message: inout Message, _ hash: inout UInt64
    ) -> Step {
        let s = c.pointee.session!
        let receipt = Receipt(qos: packet.qos, packetID: packet.packetID)
        if !concernsHooks(c, packet) {
            withUnsafeMutablePointer(to: &message) { _ = route($0, hash, from: c, receipt: receipt) }
        } else if !publishHooked(c, s, &message, hash, receipt) {
            return .wait
        }
        countReceived(packet.qos)
        return .done
    }

    /// Whether message.publish has anything to say: an entry wants to see this message, or has seen it and answered later.
    @inline(__always)
    private func concernsHooks(_ c: ConnectionRef, _ packet: PublishPacket) -> Bool {
        chains.pointee.everyPublish || c.pointee.replay != nil
            || packet.retain && chain(Int(MARTLET_HOOK_MESSAGE_PUBLISH)).count > 0
    }

    /// False: a hook answers later.
    @inline(never)
    private func publishHooked(
        _ c: ConnectionRef, _ s: SessionRef, _ message: inout Message, _ hash: UInt64, _ receipt: Receipt
    ) -> Bool {
        withUnsafeMutablePointer(to: &message) { original in
            var current = original
            var owned = false
            defer { if owned { current.release() } }
            switch foldPublish(c, s, &current, owned: &owned) {
            case .wait: return false
            case .stop:
                drop(current, .hook, for: nil)
                acknowledge(c, receipt, matched: true)
                return true
            case .go:
                let sameTopic = current == original
                _ = route(
                    current, sameTopic ? hash : Topics.hash(current.pointee.topic, seed: table.seed), from: c,
                    receipt: receipt)
                return true
            }
        }
    }

    // MARK: - Checks

    private func checkPublish(
        _ c: ConnectionRef, _ packet: PublishPacket, _ topic: Bytes, _ body: UnsafeRawBufferPointer
    ) -> Refusal? {
        let zone = c.pointee.zone
        // [MQTT-3.2.2-11]
        if packet.qos > zone.pointee.maxQoS { return Refusal(.qosNotSupported) }
        // [MQTT-3.2.2-14]
        if packet.retain && !zone.pointee.retainAvailable { return Refusal(.retainNotSupported) }
        // [MQTT-3.3.4-6]
        if packet.hasSubscriptionID {
            return Refusal(.protocolError, "A client sent a PUBLISH with a subscription identifier.")
        }
        if zone.pointee.maxTopicLevels > 0, topic.count > zone.pointee.maxTopicLevels,
            levelCount(topic) > zone.pointee.maxTopicLevels
        {
            return .tooManyLevels
        }
        // MQTT 5 §3.3.2.3.2: a server may check it: it does, so that a subscriber can rely on it.
        if packet.payloadIsText, zone.pointee.checksPayloadFormat,
            !isValidUTF8(packet.payload.bytes(in: body.baseAddress!))
        {
            return Refusal(.payloadFormatInvalid)
        }
        if packet.qos == 2, c.pointee.isV5, let awaiting = c.pointee.session!.pointee.awaiting,
            awaiting.pointee.count >= receiveMaximum(zone), !awaiting.pointee.contains(packet.packetID)
        {
            // [MQTT-3.3.4-7] and §4.9: more than we said we would take.
            return Refusal(.receiveMaximumExceeded)
        }
        return nil
    }

    private func receiveMaximum(_ zone: UnsafePointer<Zone>) -> Int {
        zone.pointee.maxAwaitingRel == 0 ? 65535 : zone.pointee.maxAwaitingRel
    }

    /// MQTT 5 §3.3.2.3.4. False: the connection is closing.
    private func resolveAlias(_ c: ConnectionRef, _ alias: UInt16, _ topic: inout Bytes) -> Bool {
        // [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.3.2-12]
        guard alias != 0, alias <= c.pointee.zone.pointee.maxTopicAlias else {
            close(
                c, alias == 0 ? Refusal(.protocolError, "A PUBLISH has no topic.") : Refusal(.topicAliasInvalid),
                counted: "bad_alias")
            return false
        }
        if c.pointee.aliasesIn == nil {
            c.pointee.aliasesIn = .allocate(capacity: 1)
            c.pointee.aliasesIn!.initialize(to: InboundAliases(maximum: Int(c.pointee.zone.pointee.maxTopicAlias)))
        }
        if topic.count > 0 {
            c.pointee.aliasesIn!.pointee.set(alias, topic)
        } else if let known = c.pointee.aliasesIn!.pointee.topic(alias) {
            topic = known
        } else {
            // MQTT 5 §3.3.2.3.4: an alias without a mapping.
            close(c, .protocolError, "The topic alias stands for no topic yet.", counted: "bad_alias")
            return false
        }
        return true
    }

    /// A QoS 2 message whose identifier is still open was received before: acknowledged again, not published again.
    /// [MQTT-4.3.3-10]
    private func repeatedQoS2(_ c: ConnectionRef, _ id: UInt16) -> Step? {
        let s = c.pointee.session!
        guard let awaiting = s.pointee.awaiting, awaiting.pointee.contains(id) else { return nil }
        counters.count(.packetsPubrecSent)
        sendAck(c, .pubrec, id)
        return .done
    }

    private func deniedPublish(_ c: ConnectionRef, _ packet: PublishPacket, _ topic: Bytes) -> Step {
        var message = Message(topic: topic, payload: noBytes, qos: packet.qos)
        withUnsafeMutablePointer(to: &message) { drop($0, .denied, for: c.pointee.session) }
        if c.pointee.zone.pointee.aclDenyDisconnects {
            close(c, .publishDenied, counted: "acl_denied")
            return .closed
        }
        // 3.x has no way to say no: acknowledged and dropped, so that the client does not try for ever.
        // [MQTT311-3.3.5-2]
        if packet.qos == 1 {
            counters.count(.packetsPubackSent)
            sendRefusal(c, .puback, packet.packetID, .publishDenied)
        } else if packet.qos == 2 {
            counters.count(.packetsPubrecSent)
            sendRefusal(c, .pubrec, packet.packetID, .publishDenied)
            // 3.x goes on with PUBREL; after a refusal the identifier is free. [MQTT-4.3.3-9]
            if !c.pointee.isV5 { awaitRelease(c, packet.packetID) }
        }
        return .done
    }

    // MARK: - Parts

    private func takeProperties(_ packet: PublishPacket, _ base: UnsafeRawPointer, _ message: inout Message) {
        if let expiry = packet.messageExpiry {
            message.flags.insert(.expires)
            message.expiry = expiry
        }
        let block = packet.properties.bytes(in: base)
        if packet.hasOwnProperties {
            let copy = scratch(block.count)
            message.properties = Bytes(start: copy, count: copyPassThroughProperties(from: block, into: copy))
        } else {
            message.properties = block
        }
    }

    /// A topic under a mountpoint, or one that begins with `$local/`: the message is made with the final name.
    private func publishRewritten(_ c: ConnectionRef, _ packet: PublishPacket, _ message: Message) -> Step {
        var message = message
        var topic = message.topic
        if startsWithLocal(topic) {
            topic = Bytes(rebasing: topic[7...])
            message.flags.insert(.local)
            guard topic.count > 0 else {
                close(c, .topicNameInvalid, "There is no topic behind $local/.", counted: "bad_publish")
                return .closed
            }
        }
        let mount = c.pointee.mountpoint
        // [MQTT-4.7.3-3]
        guard mount.count + topic.count <= 65_535 else {
            close(c, .topicNameInvalid, "The topic is too long under its mountpoint.", counted: "bad_publish")
            return .closed
        }
        return withUnsafeTemporaryAllocation(byteCount: mount.count + topic.count, alignment: 1) { buffer in
            if mount.count > 0 { buffer.baseAddress!.copyMemory(from: mount.baseAddress!, byteCount: mount.count) }
            (buffer.baseAddress! + mount.count).copyMemory(from: topic.baseAddress!, byteCount: topic.count)
            message.topic = Bytes(buffer)
            var hash = Topics.hash(message.topic, seed: table.seed)
            return flow(c, packet, &message, &hash)
        }
    }

    private func startsWithLocal(_ topic: Bytes) -> Bool {
        let prefix: StaticString = "$local/"
        guard topic.count >= 7 else { return false }
        for i in 0..<7 where topic[i] != prefix.utf8Start[i] { return false }
        return true
    }

    /// What the publisher of a message is owed; QoS 0 is owed nothing.
    struct Receipt {
        static let none = Receipt(qos: 0, packetID: 0)
        var qos: UInt8
        var packetID: UInt16
    }

    @inline(__always)
    func acknowledge(_ c: ConnectionRef, _ packet: Receipt, matched: Bool) {
        guard packet.qos > 0 else { return }
        // A hook or a receiver may have ended this connection meanwhile.
        guard c.pointee.phase == .connected else { return }
        let reason: ReasonCode = matched || !c.pointee.isV5 ? .success : .noMatchingSubscribers
        // [MQTT-2.2.1-5] [MQTT-3.3.4-1]
        if packet.qos == 1 {
            // [MQTT-4.3.2-4]; nothing is remembered, so the identifier is free again. [MQTT-4.3.2-5]
            counters.count(.packetsPubackSent)
            sendAck(c, .puback, packet.packetID, reason)
        } else {
            // [MQTT-4.3.3-8], and PUBREL is waited for whatever becomes of the message. [MQTT-4.3.3-13]
            awaitRelease(c, packet.packetID)
            counters.count(.packetsPubrecSent)
            sendAck(c, .pubrec, packet.packetID, reason)
        }
    }

    private func awaitRelease(_ c: ConnectionRef, _ id: UInt16) {
        let s = c.pointee.session!
        if s.pointee.awaiting == nil {
            s.pointee.awaiting = .allocate(capacity: 1)
            s.pointee.awaiting!.initialize(to: AwaitingRelease())
        }
        let zone = c.pointee.zone
        if zone.pointee.maxAwaitingRel > 0, s.pointee.awaiting!.pointee.count >= zone.pointee.maxAwaitingRel {
            let n = s.pointee.awaiting!.pointee.expire(now: now, timeout: zone.pointee.awaitRelTimeout)
            counters.count(.messagesQoS2Expired, n)
        }
        s.pointee.awaiting!.pointee.insert(id, now: now)
    }

    @inline(__always)
    private func countReceived(_ qos: UInt8) {
        counters.count(.messagesReceived)
        switch qos {
        case 0: counters.count(.messagesQoS0Received)
        case 1: counters.count(.messagesQoS1Received)
        default: counters.count(.messagesQoS2Received)
        }
    }

    /// Ascending per shard, the shard in the low bits: unique per node without a shared counter.
    @inline(__always)
    func nextMessageID() -> UInt64 {
        messageSerial &+= 64
        return messageSerial | UInt64(number)
    }
}

extension Refusal {
    fileprivate static var publishDenied: Refusal {
        Refusal(.notAuthorized, "The access rules do not allow the client to publish to this topic.")
    }

    static var tooManyLevels: Refusal {
        Refusal(.topicNameInvalid, "The topic has more levels than the server allows.")
    }
}
