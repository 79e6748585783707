// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Stored messages on their way to a session, pulled from a plugin as there is room.
struct Feed {
    var next: UnsafeMutablePointer<Feed>?
    var owner: UInt32
    var source: martlet_feed
    /// Messages that may wait in the session's queue.
    var mayQueue = 256
}

extension Shard {
    /// Messages one session may take from its feeds in one tick, so that others get their turn.
    private static var slice: Int { 256 }
    /// Output a feed keeps waiting at most.
    private static var feedOutput: Int { 64 << 10 }

    func addFeed(_ s: SessionRef, _ source: martlet_feed, owner: UInt32) {
        let feed = UnsafeMutablePointer<Feed>.allocate(capacity: 1)
        feed.initialize(to: Feed(next: nil, owner: owner, source: source))
        if let first = s.pointee.feeds {
            var last = first
            while let n = last.pointee.next { last = n }
            last.pointee.next = feed
        } else {
            s.pointee.feeds = feed
        }
        s.pointee.flags.insert(.feeding)
        // Not from inside `next`: that would ask a feed which is about to answer, and might end it.
        if isAskingFeed { return wantFeed(s) }
        // The first slice at once: a client that pings after subscribing gets a short answer before the PINGRESP.
        if let c = s.pointee.connection { runFeed(s, c) }
    }

    /// The session has room again: its feeds go on at the end of this tick.
    func wantFeed(_ s: SessionRef) {
        feeding.append((s.pointee.slot, s.pointee.generation))
    }

    func runFeeds() {
        let batch = feeding
        feeding.removeAll(keepingCapacity: true)
        for (slot, generation) in batch {
            guard let s = sessions.find(slot), s.pointee.generation == generation, s.pointee.flags.contains(.feeding),
                let c = s.pointee.connection
            else { continue }
            pump(s)
            runFeed(s, c)
        }
    }

    private func runFeed(_ s: SessionRef, _ c: ConnectionRef) {
        var left = Self.slice
        while let feed = s.pointee.feeds, left > 0 {
            guard c.pointee.transport.pointee.pending < Self.feedOutput else { return }
            guard mayTake(s, feed) else { return }
            var more = true
            isAskingFeed = true
            let message = feed.pointee.source.next(feed.pointee.source.user, &more)
            isAskingFeed = false
            left -= 1
            if feed.pointee.mayQueue > 0 { feed.pointee.mayQueue -= 1 }
            if let message {
                deliverFed(MessageRef(message), s, c, feed)
            } else if !more {
                finish(s, feed)
            } else {
                break
            }
        }
        if s.pointee.feeds == nil {
            if s.pointee.outbound?.pointee.queue.isEmpty ?? true { s.pointee.flags.remove(.feeding) }
        } else {
            wantFeed(s)
        }
    }

    /// QoS 1 and 2 of long feeds only while the window has room: what is stored waits where it is, not in our queue. A
    /// short feed is taken at once, so that the client gets what was stored when it subscribed, and gets it before what is
    /// published later. [MQTT-3.3.1-9] [MQTT-4.6.0-6]
    private func mayTake(_ s: SessionRef, _ feed: UnsafeMutablePointer<Feed>) -> Bool {
        guard feed.pointee.source.qos > 0, let outbound = s.pointee.outbound else { return true }
        return outbound.pointee.maySendNow || feed.pointee.mayQueue > 0 && mayWait(s, outbound)
    }

    /// Whether little waits in the queue, and after one more message it has most of its room left.
    private func mayWait(_ s: SessionRef, _ outbound: UnsafeMutablePointer<Outbound>) -> Bool {
        let (zone, queue) = (s.pointee.zone, outbound.pointee.queue.count)
        let (limits, bytes) = (zone.pointee.queue, outbound.pointee.queue.bytes)
        return queue < Self.slice && bytes < Self.feedOutput
            && (limits.maxLength == 0 || queue * 4 < limits.maxLength)
            && (limits.maxBytes == 0 || (bytes + zone.pointee.maxPacketSize) * 4 <= limits.maxBytes)
    }

    private func deliverFed(
        _ message: MessageRef, _ s: SessionRef, _ c: ConnectionRef, _ feed: UnsafeMutablePointer<Feed>
    ) {
        defer { message.release() }
        // [MQTT-3.10.4-2]
        if s.pointee.flags.contains(.feedDoubtful), !isSubscribed(s, to: message.pointee.topic) { return }
        guard !message.pointee.isExpired(at: unixMS) else { return counters.count(.messagesExpired) }
        let terms = Terms(
            qos: grantedQoS(feed.pointee.source.qos, message, s), retain: feed.pointee.source.retain,
            identifier: feed.pointee.source.subscription_id)
        var template = Template()
        deliver(message, 0, to: s, terms, publisher: 0, &template, shared: false)
    }

    private func isSubscribed(_ s: SessionRef, to topic: Bytes) -> Bool {
        for i in 0..<Int(s.pointee.subCount) where s.pointee.subs![i].group == 0 {
            if withFilter(of: s.pointee.subs![i].node, { matches(filter: $0, topic: topic) }) { return true }
        }
        return false
    }

    private func finish(_ s: SessionRef, _ feed: UnsafeMutablePointer<Feed>) {
        s.pointee.feeds = feed.pointee.next
        if s.pointee.feeds == nil { s.pointee.flags.remove(.feedDoubtful) }
        feed.pointee.source.end(feed.pointee.source.user)
        feed.deallocate()
    }

    func endFeeds(_ s: SessionRef) {
        while let feed = s.pointee.feeds { finish(s, feed) }
    }

    /// The plugin goes: its feeds end on every session of this shard.
    func endFeeds(of owner: UInt32) {
        forEachSession { s in
            var kept: [UnsafeMutablePointer<Feed>] = []
            var feed = s.pointee.feeds
            while let f = feed {
                feed = f.pointee.next
                if f.pointee.owner == owner {
                    f.pointee.source.end(f.pointee.source.user)
                    f.deallocate()
                } else {
                    kept.append(f)
                }
            }
            for i in kept.indices { kept[i].pointee.next = i + 1 < kept.count ? kept[i + 1] : nil }
            s.pointee.feeds = kept.first
            if kept.isEmpty { s.pointee.flags.remove(.feedDoubtful) }
        }
    }
}
