// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Topics

/// SUBSCRIBE and UNSUBSCRIBE. MQTT 5 §3.8 to §3.11.
extension Shard {
    func handleSubscribe(_ c: ConnectionRef, _ packet: SubscribePacket, _ body: UnsafeRawBufferPointer) -> Step {
        let zone = c.pointee.zone
        if packet.subscriptionID != 0 && !zone.pointee.subscriptionIdentifiers {
            close(c, Refusal(.subscriptionIdentifiersNotSupported), counted: "bad_subscribe")
            return .closed
        }
        var requests: [Request] = []
        requests.reserveCapacity(packet.filterCount)
        var filters = packet.filters
        // Each as if it stood alone. [MQTT-3.8.4-5]
        while let f = filters.next(in: body) {
            requests.append(check(c, f, packet.subscriptionID, body))
        }
        // No Local on a shared subscription is a protocol error. [MQTT-3.8.3-4]
        if requests.contains(where: { $0.code == .protocolError }) {
            close(c, .protocolError, "No Local is set on a shared subscription.", counted: "bad_subscribe")
            return .closed
        }
        for i in requests.indices where !requests[i].code.isFailure {
            let r = requests[i]
            let topic = Bytes(rebasing: body[r.filter])
            switch permission(
                c, topic, hash: Topics.hash(topic, seed: table.seed), action: UInt8(MARTLET_ACL_SUBSCRIBE),
                qos: r.options.qos, retain: false, filter: i)
            {
            case .allowed: break
            case .denied:
                requests[i].refuse(
                    ReasonCode(rawValue: c.pointee.zone.pointee.deniedSubscribeCode),
                    "The access rules do not allow this subscription.")
            case .wait: return .wait
            }
        }
        return subscribeAll(c, packet.packetID, &requests, body)
    }

    /// One filter of a SUBSCRIBE.
    private struct Request {
        var filter: Range<Int>
        var group: Range<Int>
        var isShared: Bool
        var options: SubOptions
        var identifier: UInt32
        /// Granted QoS, or why not.
        var code: ReasonCode
        /// The same in words; none: those the code always has.
        var text = ReasonText.none

        mutating func refuse(_ code: ReasonCode, _ text: ReasonText = .none) {
            self.code = code
            self.text = text
        }
    }

    /// Syntax and what the zone allows. A filter that is refused fails alone.
    private func check(
        _ c: ConnectionRef, _ f: SubscribeFilter, _ identifier: UInt32, _ body: UnsafeRawBufferPointer
    ) -> Request {
        let zone = c.pointee.zone
        let whole = f.filter.bytes(in: body.baseAddress!)
        let start = Int(f.filter.start)
        var request = Request(
            filter: 0..<0, group: 0..<0, isShared: false, options: SubOptions(rawValue: f.options.rawValue & 0x3F),
            identifier: identifier, code: .topicFilterInvalid)
        guard let parsed = parseSubscription(whole) else { return request }
        request.filter = parsed.filter.lowerBound + start..<parsed.filter.upperBound + start
        request.group = parsed.group.lowerBound + start..<parsed.group.upperBound + start
        request.isShared = parsed.kind != .plain
        if parsed.isLocal { request.options.rawValue |= 64 }
        if c.pointee.flags.contains(.bridge) { request.options.rawValue |= bridgeOptions(shared: request.isShared) }
        let filter = Bytes(rebasing: whole[parsed.filter])
        // Less is granted than was asked for. [MQTT-3.2.2-10]
        request.code = ReasonCode(rawValue: min(request.options.qos, zone.pointee.maxQoS))
        request.options.rawValue = request.options.rawValue & ~3 | request.code.rawValue
        if zone.pointee.maxTopicLevels > 0 && levelCount(filter) > zone.pointee.maxTopicLevels {
            request.refuse(.topicFilterInvalid, "The filter has more levels than the server allows.")
        } else if request.isShared && request.options.noLocal {
            request.refuse(.protocolError)
        } else if request.isShared && !zone.pointee.sharedSubscription {
            request.refuse(.sharedSubscriptionsNotSupported)
        } else if !zone.pointee.wildcardSubscription && hasWildcard(filter) {
            // [MQTT311-3.8.3-2]
            request.refuse(.wildcardSubscriptionsNotSupported)
        }
        return request
    }

    /// Options that 3.x cannot say and a bridge relies on: RETAIN as published, so that the other side can retain too,
    /// and No Local, so that what it has brought does not go back with it.
    private func bridgeOptions(shared: Bool) -> UInt8 { shared ? 0x08 : 0x0C }

    /// Hook, table, SUBACK, and then whoever delivers retained messages.
    private func subscribeAll(
        _ c: ConnectionRef, _ packetID: UInt16, _ requests: inout [Request], _ body: UnsafeRawBufferPointer
    ) -> Step {
        let s = c.pointee.session!
        var subs = requests.map { r in
            makeSub(
                Bytes(rebasing: body[r.filter]), group: Bytes(rebasing: body[r.group]), r.options, r.identifier,
                qos: r.code.rawValue)
        }
        var topics: [[UInt8]] = []
        // What hooks have set points into it.
        defer { withExtendedLifetime(topics) {} }
        let folded = subs.withUnsafeMutableBufferPointer {
            foldSubscriptions(Int(MARTLET_HOOK_CLIENT_SUBSCRIBE), c, $0, &topics)
        }
        if folded == .wait { return .wait }
        var codes: [ReasonCode] = []
        var done: [martlet_sub] = []
        for i in subs.indices {
            let code = enter(c, s, &subs[i], &requests[i], isStopped: folded == .stop)
            if !code.isFailure { done.append(subs[i]) }
            // [MQTT-3.8.4-7]
            codes.append(code)
        }
        // [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-3.8.4-6] [MQTT-2.2.1-6]
        sendCodes(c, .suback, packetID, codes, text(of: codes) { requests[$0].text })
        for sub in done {
            var sub = sub
            withMounted(sub.topic.bytes, c) { topic in
                sub.topic = topic.c
                runSubscriptionHook(Int(MARTLET_HOOK_SESSION_SUBSCRIBED), c, s, sub)
            }
        }
        return .done
    }

    /// Makes one subscription, unless something is against it.
    private func enter(
        _ c: ConnectionRef, _ s: SessionRef, _ sub: inout martlet_sub, _ request: inout Request, isStopped: Bool
    ) -> ReasonCode {
        if request.code.isFailure { return request.code }
        // [MQTT-3.9.3-2]: a hook may have put anything there.
        let given = ReasonCode(rawValue: sub.qos).allowed(in: .suback)
        let code = isStopped ? ReasonCode.implementationSpecificError : given
        if code.isFailure { return code }
        // A hook may have edited it in place.
        guard isValid(sub.topic.bytes, c) else { return .topicFilterInvalid }
        if limitReached(c, s, sub) {
            request.text = "The session has as many subscriptions as the server allows."
            return .quotaExceeded
        }
        sub.is_new = withMounted(sub.topic.bytes, c) { addSubscription(s, $0, sub) }
        return code
    }

    /// What an answer with these codes says in words: why the first of them is a refusal.
    private func text(of codes: [ReasonCode], _ own: (Int) -> ReasonText = { _ in .none }) -> ReasonText {
        guard let first = codes.firstIndex(where: \.isFailure) else { return .none }
        let text = own(first)
        return text.isEmpty ? ReasonText(codes[first]) : text
    }

    func makeSub(
        _ filter: Bytes, group: Bytes, _ options: SubOptions, _ identifier: UInt32, qos: UInt8
    ) -> martlet_sub {
        var sub = martlet_sub()
        sub.size = UInt32(MemoryLayout<martlet_sub>.size)
        sub.topic = filter.c
        sub.share_group = group.c
        sub.subscription_id = identifier
        sub.qos = qos
        sub.retain_handling = options.retainHandling
        sub.no_local = options.noLocal
        sub.retain_as_published = options.retainAsPublished
        sub.local = options.isLocal
        return sub
    }

    /// A subscription that replaces another needs no room.
    private func limitReached(_ c: ConnectionRef, _ s: SessionRef, _ sub: martlet_sub) -> Bool {
        let limit = s.pointee.zone.pointee.maxSubscriptions
        guard limit > 0, Int(s.pointee.subCount) >= limit else { return false }
        return withMounted(sub.topic.bytes, c) { findSubscription(s, $0, group: sub.share_group.bytes) == nil }
    }

    /// Under its mountpoint, too, a filter has at most 65,535 bytes. [MQTT-4.7.3-3]
    private func isValid(_ filter: Bytes, _ c: ConnectionRef) -> Bool {
        isValidFilter(filter) && c.pointee.mountpoint.count + filter.count <= 65_535
    }

    /// The filter under the connection's mountpoint.
    func withMounted<R>(_ filter: Bytes, _ c: ConnectionRef, _ body: (Bytes) -> R) -> R {
        let mount = c.pointee.mountpoint
        guard mount.count > 0 else { return body(filter) }
        return withUnsafeTemporaryAllocation(byteCount: mount.count + filter.count, alignment: 1) { buffer in
            buffer.baseAddress!.copyMemory(from: mount.baseAddress!, byteCount: mount.count)
            (buffer.baseAddress! + mount.count).copyMemory(from: filter.baseAddress!, byteCount: filter.count)
            return body(Bytes(buffer))
        }
    }

    // MARK: - UNSUBSCRIBE

    func handleUnsubscribe(_ c: ConnectionRef, _ packet: UnsubscribePacket, _ body: UnsafeRawBufferPointer) -> Step {
        counters.count(.packetsUnsubscribe)
        let s = c.pointee.session!
        var subs: [martlet_sub] = []
        var valid: [Bool] = []
        var filters = packet.filters
        // Each as if it stood alone. [MQTT-3.10.4-6]
        while let range = filters.next(in: body) {
            let whole = range.bytes(in: body.baseAddress!)
            let parsed = parseSubscription(whole)
            valid.append(parsed != nil)
            let filter = parsed.map { Bytes(rebasing: whole[$0.filter]) } ?? whole
            let group = parsed.map { Bytes(rebasing: whole[$0.group]) } ?? noBytes
            subs.append(makeSub(filter, group: group, SubOptions(rawValue: 0), 0, qos: 0))
        }
        var topics: [[UInt8]] = []
        // What hooks have set points into it.
        defer { withExtendedLifetime(topics) {} }
        _ = subs.withUnsafeMutableBufferPointer {
            foldSubscriptions(Int(MARTLET_HOOK_CLIENT_UNSUBSCRIBE), c, $0, &topics)
        }
        var codes: [ReasonCode] = []
        for i in subs.indices {
            codes.append(valid[i] ? leave(c, s, subs[i]) : .topicFilterInvalid)
        }
        // [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6]
        sendCodes(c, .unsuback, packet.packetID, codes, text(of: codes))
        return .done
    }

    private func leave(_ c: ConnectionRef, _ s: SessionRef, _ asked: martlet_sub) -> ReasonCode {
        // A hook may have edited it in place.
        guard isValidFilter(asked.topic.bytes) else { return .topicFilterInvalid }
        // [MQTT-3.10.4-1] [MQTT-3.11.3-2]
        return withMounted(asked.topic.bytes, c) { topic in
            guard let index = findSubscription(s, topic, group: asked.share_group.bytes) else {
                return .noSubscriptionExisted
            }
            // Nothing new from here on [MQTT-3.10.4-2]; what is in flight or waits stays. [MQTT-3.10.4-3]
            removeSubscription(s, index)
            if s.pointee.feeds != nil { s.pointee.flags.insert(.feedDoubtful) }
            var sub = asked
            sub.topic = topic.c
            runSubscriptionHook(Int(MARTLET_HOOK_SESSION_UNSUBSCRIBED), c, s, sub)
            return .success
        }
    }
}
