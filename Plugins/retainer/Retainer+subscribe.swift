// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

extension Retainer {
    /// [loop] session.subscribed.
    func onSubscribed(_ event: borrowing SubscriptionEvent, _ store: Store) {
        guard let made = event.subscription, wants(made) else { return }
        TopicKey.with(made.filter.raw) { key in
            // Most subscriptions to one topic find nothing there: they end here, without a feed.
            if !TopicKey.hasWildcard(key), !store.peek(key, now: Clock.unix) { return }
            let target = FeedTarget(
                session: event.session.id, qos: made.qos, subscriptionID: made.id, loop: loopIndex)
            let feed = makeFeed(store, target, filter: key)
            if made.noLocal { feed.leaveOut(from: event.clientID.raw) }
            start(feed)
        }
    }

    private func wants(_ made: Subscription) -> Bool {
        if !made.shareGroup.isEmpty { return false }  // MQTT 5 §4.8.2
        switch made.retainHandling {
        case 0: return true  // [MQTT-3.3.1-9]
        case 1: return made.isNew  // [MQTT-3.3.1-10]
        default: return false  // [MQTT-3.3.1-11]
        }
    }

    private var loopIndex: UInt32 {
        if case .loop(let index) = host.exec.current { index } else { 0 }
    }

    private func makeFeed(_ store: Store, _ target: FeedTarget, filter: UnsafeRawBufferPointer) -> SessionFeed {
        store.storage == .discOnly
            ? DiscFeed(store, target, work, filter: filter) : MemoryFeed(store, target, filter: filter)
    }

    /// [loop] of the session.
    private func start(_ feed: SessionFeed) {
        let user = Unmanaged.passRetained(feed)
        var table = martlet_feed(
            size: UInt32(MemoryLayout<martlet_feed>.size), qos: feed.target.qos, retain: true,  // [MQTT311-3.3.1-8]
            subscription_id: feed.target.subscriptionID, next: SessionFeed.callNext, end: SessionFeed.callEnd,
            user: user.toOpaque())
        // Otherwise the session is gone: so is the wish.
        if pubsub.pointee.session_feed(host.raw, feed.target.session, &table) != 0 { user.release() }
    }

    // MARK: - Reload

    /// [main] Goes on with feeds that the image before had to leave unfinished.
    func resumeParked(_ store: Store) {
        // As long as the image before is there it may still park more.
        guard store.state.pointee.owners.load(ordering: .acquiring) == 1, store.hasParked else { return }
        while var parked = store.changing({ $0.pointee.parked.popLast() }) {
            let asked = parked
            let status = host.exec.onLoop(parked.loop) { [self] in resume(asked, store) }
            if status == .ok { continue }
            guard status == .busy else {
                parked.free()
                continue
            }
            // Thousands of sessions may have been cut off at once: what the queue has no room for waits for the next tick.
            store.changing { $0.pointee.parked.append(asked) }
            return
        }
    }

    /// [loop] of the session.
    private func resume(_ parked: ParkedFeed, _ store: Store) {
        var parked = parked
        let target = FeedTarget(
            session: parked.session, qos: parked.qos, subscriptionID: parked.subscriptionID, loop: parked.loop)
        let feed = makeFeed(store, target, filter: parked.filter.bytes)
        feed.go(to: parked.next.bytes)
        feed.leaveOut(from: martlet_bytes(parked.ownID.bytes))
        parked.free()
        start(feed)
    }
}
