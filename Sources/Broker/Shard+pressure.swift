// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Reactor
import Sessions

/// Receivers that cannot keep up. A fast one that is behind for a moment holds its publishers back through TCP, so
/// that nothing is lost; one that does not read is given up: its QoS 0 is dropped, its QoS 1 and 2 wait in its queue,
/// and nobody waits for it.
extension Shard {
    /// Longest time one receiver may hold publishers back in one go, ms.
    private static var patience: UInt64 { 3000 }
    /// A receiver whose socket is full and that took nothing for this long is not reading, ms. One that has merely not
    /// been written to, because this loop had no time, is not judged.
    private static var stalled: UInt64 { 100 }
    /// Longest pause of one publisher, ms: a lost wake-up costs this much and no more.
    private static var longestHold: UInt64 { 200 }

    /// The output is over its high water. True when the message may still be written.
    @inline(never)
    func mayStillSend(
        _ message: MessageRef, _ c: ConnectionRef, _ s: SessionRef, _ terms: Terms, _ publisher: UInt64
    ) -> Bool {
        if terms.qos > 0 {
            // Waits in the queue: the window would be full soon anyway.
            enqueue(message, s, terms)
            s.pointee.flags.insert(.feeding)
            if isWorthWaiting(c, s) { hold(publisher, for: s) }
            return false
        }
        if isWorthWaiting(c, s) {
            hold(publisher, for: s)
            if c.pointee.transport.pointee.pending < c.pointee.zone.pointee.outputLimit { return true }
        }
        drop(message, .slow, for: s)
        return false
    }

    private func isWorthWaiting(_ c: ConnectionRef, _ s: SessionRef) -> Bool {
        if s.pointee.congestedSince == 0 { s.pointee.congestedSince = now }
        return now - s.pointee.congestedSince < Self.patience
            && !(c.pointee.transport.pointee.isBlocked
                && now - min(now, c.pointee.transport.pointee.lastProgress) >= Self.stalled)
    }

    /// A queue that fills up although its client reads.
    func isCongested(_ s: SessionRef) -> Bool {
        guard let outbound = s.pointee.outbound, let c = s.pointee.connection else { return false }
        let limit = s.pointee.zone.pointee.queue.maxLength
        guard limit > 0, outbound.pointee.queue.count * 2 > limit else { return false }
        return isWorthWaiting(c, s) && now - min(now, c.pointee.transport.pointee.lastRead) < 2 * Self.stalled
    }

    /// Pauses reading from a publisher until `s` has caught up.
    func hold(_ publisher: UInt64, for s: SessionRef) {
        guard publisher != 0 else { return }
        let session = handle(s)
        if congested.last.map({ $0.session == session && $0.publisher == publisher }) == true { return }
        if congested.contains(where: { $0.session == session && $0.publisher == publisher }) { return }
        guard congested.count < 4096 else { return }
        congested.append((session, publisher))
        s.pointee.flags.insert(.holdsPublishers)
        counters.count(.clientsHeldBack)
        onShard(of: publisher) { $0.pausePublisher(publisher) }
    }

    func holdForInbox(_ publisher: UInt64) {
        guard publisher != 0, Handle.shard(publisher) == number else { return }
        pausePublisher(publisher)
    }

    func pausePublisher(_ handle: UInt64) {
        guard let c = connection(handle), c.pointee.phase == .connected, !c.pointee.flags.contains(.held) else {
            return
        }
        c.pointee.flags.insert(.held)
        pause(c.pointee.transport)
        held.append((handle, now + Self.longestHold))
        if held.count == 1 { armHeldTimer() }
    }

    func resumePublisher(_ handle: UInt64) {
        guard let c = connection(handle), c.pointee.flags.contains(.held) else { return }
        c.pointee.flags.remove(.held)
        held.removeAll { $0.connection == handle }
        resumeIfFree(c)
    }

    /// Reading goes on unless something else still forbids it.
    func resumeIfFree(_ c: ConnectionRef) {
        guard c.pointee.flags.isDisjoint(with: [.held, .throttled, .choked]),
            c.pointee.replay?.pointee.deferral ?? 0 == 0
        else { return }
        // The silence until now was ours: the keep alive begins anew.
        if c.pointee.transport.pointee.isPaused { c.pointee.transport.pointee.lastRead = now }
        resume(c.pointee.transport)
    }

    /// The receiver has written everything, or its queue is short again.
    func noteCaughtUp(_ s: SessionRef) {
        s.pointee.congestedSince = 0
        releasePublishers(of: s)
    }

    func releasePublishers(of s: SessionRef) {
        guard s.pointee.flags.contains(.holdsPublishers) else { return }
        s.pointee.flags.remove(.holdsPublishers)
        let session = handle(s)
        for entry in congested where entry.session == session {
            let publisher = entry.publisher
            onShard(of: publisher) { $0.resumePublisher(publisher) }
        }
        congested.removeAll { $0.session == session }
    }

    /// Those that have been held long enough, whatever became of the reason.
    func releaseHeld() {
        let due = held.filter { $0.until <= now }
        guard !due.isEmpty else { return }
        held.removeAll { $0.until <= now }
        for entry in due {
            guard let c = connection(entry.connection) else { continue }
            c.pointee.flags.remove(.held)
            resumeIfFree(c)
        }
        if !held.isEmpty { armHeldTimer() }
        // The other side forgets as well, or it would never hold this publisher again.
        congested.removeAll { entry in due.contains { $0.connection == entry.publisher } }
    }

    private func armHeldTimer() {
        // The loop must tick for endOfTick to look at the list.
        _ = after(Self.longestHold) {}
    }

    private func onShard(of handle: UInt64, _ body: @escaping @Sendable (Shard) -> Void) {
        let target = Handle.shard(handle)
        if target == number { return body(self) }
        let shard = broker.shards[target]
        shard.post { body(shard) }
    }

    // MARK: - Alarms

    func checkQueueAlarm(_ s: SessionRef) {
        guard let outbound = s.pointee.outbound else { return }
        let isRaised = s.pointee.flags.contains(.queueAlarm)
        let alarmed = outbound.pointee.queue.alarmed
        guard isRaised != alarmed else { return }
        if alarmed { s.pointee.flags.insert(.queueAlarm) } else { s.pointee.flags.remove(.queueAlarm) }
        let limits = s.pointee.zone.pointee.queue
        broker.queueAlarm(
            String(decoding: s.pointee.clientID, as: UTF8.self), raised: alarmed, length: outbound.pointee.queue.count,
            watermark: limits.hundredths(limits.highWatermark) / 100)
    }
}
