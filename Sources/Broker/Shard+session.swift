// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// The end of sessions, and wills. MQTT 5 §3.1.2.5, §3.1.2.11.2, §3.1.3.2.
extension Shard {
    /// Everything the session held is given up, which retained messages are no part of [MQTT311-3.1.2-7]. Its handle is
    /// stale afterwards.
    func endSession(_ s: SessionRef, reason: DropReason) {
        timers.disarm(&s.pointee.timer)
        // [MQTT-4.1.0-1]
        if s.pointee.connection != nil { return }
        // [MQTT-3.1.2-8]: a will that still waits goes out with the session.
        fireWill(s)
        giveUpShares(s)
        giveUpFilters(s)
        s.pointee.flags.insert(.ended)
        endFeeds(s)
        if s.pointee.flags.contains(.queueAlarm) {
            broker.queueAlarm(
                String(decoding: s.pointee.clientID, as: UTF8.self), raised: false, length: 0, watermark: 0)
        }
        giveUpMessages(s)
        if let awaiting = s.pointee.awaiting {
            awaiting.deinitialize(count: 1)
            awaiting.deallocate()
            s.pointee.awaiting = nil
        }
        registry.release(registry.key(s.pointee.clientID), handle(s))
        offlineCount -= 1
        terminatedHook(s, reason)
        freeBytes(s.pointee.clientID)
        freeBytes(s.pointee.username)
        // Even: nobody finds it any more. Its slot is free only when the table does not lead to it.
        s.pointee.generation &+= 1
        leaveTable(s)
    }

    /// Filters of a session that are taken out of the table in one go.
    private static let filtersAtOnce = 1000

    /// A bridge may have a million filters: the rest goes in the ticks that follow, and messages that still find the
    /// session pass it by.
    private func leaveTable(_ s: SessionRef) {
        guard s.pointee.subCount > 0 else {
            s.pointee.subs?.deallocate()
            return sessions.give(s.pointee.slot)
        }
        nonisolated(unsafe) let s = s
        post { [self] in
            giveUpFilters(s)
            leaveTable(s)
        }
    }

    private func giveUpFilters(_ s: SessionRef) {
        for _ in 0..<min(Self.filtersAtOnce, Int(s.pointee.subCount)) {
            removeSubscription(s, Int(s.pointee.subCount) - 1)
        }
    }

    /// All at once: a group finds its members by their handles.
    private func giveUpShares(_ s: SessionRef) {
        guard s.pointee.flags.contains(.hasShares) else { return }
        for i in (0..<Int(s.pointee.subCount)).reversed() where s.pointee.subs![i].group != 0 {
            removeSubscription(s, i)
        }
    }

    private func terminatedHook(_ s: SessionRef, _ reason: DropReason) {
        let hook = Int(MARTLET_HOOK_SESSION_TERMINATED)
        guard chain(hook).count > 0 else { return }
        var event = makeEvent(hook, nil, s, code: reason == .expired ? 1 : 0)
        event.session = 0
        notify(&event, nil)
    }

    private func giveUpMessages(_ s: SessionRef) {
        guard let outbound = s.pointee.outbound else { return }
        s.pointee.outbound = nil
        let keepsQoS2 = keepsSentQoS2(s)
        outbound.pointee.inflight.removeAll { delivery in
            // [MQTT-4.8.2-5]
            redispatchOrDrop(delivery, s, mayMove: delivery.qos < 2 || !keepsQoS2)
        }
        outbound.pointee.queue.removeAll { delivery in
            redispatchOrDrop(delivery, s, mayMove: true)
        }
        outbound.deinitialize(count: 1)
        outbound.deallocate()
    }

    private func redispatchOrDrop(_ delivery: Delivery, _ s: SessionRef, mayMove: Bool) {
        if delivery.shareGroup == 0 || !mayMove || !redispatch(delivery) {
            drop(delivery.message, .sessionEnd, for: s)
        }
        delivery.discard()
    }

    // MARK: - DISCONNECT

    func handleDisconnect(_ c: ConnectionRef, _ packet: DisconnectPacket) throws(DecodeError) -> Step {
        counters.count(.packetsDisconnectReceived)
        let s = c.pointee.session!
        if let expiry = packet.sessionExpiry {
            // MQTT 5 §3.14.2.2.2: what was 0 at CONNECT stays 0.
            if s.pointee.expiryInterval == 0 && expiry != 0 {
                throw DecodeError(.protocolError, "§3.14.2.2.2", "A session of expiry 0 cannot be kept at DISCONNECT.")
            }
            s.pointee.expiryInterval = min(expiry, c.pointee.zone.pointee.sessionExpiry)
        }
        listeners.with(c.pointee.listener) { $0.count("normal") }
        // [MQTT-3.14.4-3] [MQTT-3.1.2-10]: only reason 0 drops the will.
        end(c, reason: packet.reason, publishWill: packet.reason != .success)
        // [MQTT-3.14.4-2] the client closes; we do not keep it waiting for that.
        linger(c, dismissed: true)
        return .closed
    }

    // MARK: - Wills

    func makeWill(
        _ c: ConnectionRef, _ s: SessionRef, _ will: ConnectPacket.Will, _ base: UnsafeRawPointer
    ) -> UnsafeMutablePointer<Will> {
        let block = will.properties.bytes(in: base)
        let properties = scratch(block.count)
        // [MQTT-3.1.3-10]
        let count = block.count > 0 ? copyPassThroughProperties(from: block, into: properties) : 0
        // [MQTT-3.1.2-14] [MQTT-3.1.2-15]
        var flags: Message.Flags = will.retain ? [.retain] : []
        if will.messageExpiry != nil { flags.insert(.expires) }
        let topic = Array(c.pointee.mountpoint) + Array(will.topic.bytes(in: base))
        let w = UnsafeMutablePointer<Will>.allocate(capacity: 1)
        topic.withUnsafeBytes { topic in
            var message = Message(
                topic: topic, payload: will.payload.bytes(in: base), properties: Bytes(start: properties, count: count),
                qos: will.qos, flags: flags, expiry: will.messageExpiry ?? 0, timestamp: unixMS, id: nextMessageID(),
                clientID: s.pointee.clientID, username: s.pointee.username)
            w.initialize(
                to: Will(
                    message: withUnsafeMutablePointer(to: &message) { $0.copied() }, delay: will.delayInterval,
                    timer: TimerNode()))
        }
        return w
    }

    /// The connection ended without DISCONNECT 0: now, or after the delay, or with the session. [MQTT-3.1.2-8]
    func willAtEnd(_ c: ConnectionRef, _ s: SessionRef) {
        // [MQTT311-3.1.2-12]
        guard let will = c.pointee.will else { return }
        c.pointee.will = nil
        dropSessionWill(s)
        s.pointee.will = will
        if will.pointee.delay == 0 || s.pointee.expiryInterval == 0 { return fireWill(s) }
        will.pointee.timer.context = UnsafeMutableRawPointer(s)
        will.pointee.timer.fire = { context in
            Shard.current.fireWill(context.assumingMemoryBound(to: Session.self))
        }
        timers.arm(&will.pointee.timer, at: now + UInt64(will.pointee.delay) * 1000)
    }

    /// The client is back before the delay has passed. [MQTT-3.1.3-9]
    func resumeWill(_ s: SessionRef) { dropSessionWill(s) }

    func fireWill(_ s: SessionRef) {
        guard let will = s.pointee.will else { return }
        s.pointee.will = nil
        timers.disarm(&will.pointee.timer)
        let message = will.pointee.message
        message.pointee.timestamp = unixMS
        will.deallocate()
        publishWill(message, s)
        message.release()
    }

    private func publishWill(_ message: MessageRef, _ s: SessionRef) {
        counters.count(.messagesReceived)
        var current = message
        var owned = false
        defer { if owned { current.release() } }
        switch foldPublish(nil, s, &current, owned: &owned) {
        case .go:
            // [MQTT-3.8.3-3]
            _ = route(current, Topics.hash(current.pointee.topic, seed: table.seed), from: nil, own: s)
        default: drop(current, .hook, for: nil)
        }
    }

    func dropWill(_ c: ConnectionRef) {
        guard let will = c.pointee.will else { return }
        c.pointee.will = nil
        will.pointee.message.release()
        will.deallocate()
    }

    private func dropSessionWill(_ s: SessionRef) {
        guard let will = s.pointee.will else { return }
        s.pointee.will = nil
        timers.disarm(&will.pointee.timer)
        will.pointee.message.release()
        will.deallocate()
    }
}
