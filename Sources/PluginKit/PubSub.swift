// SPDX-License-Identifier: Apache-2.0
/// martlet.pubsub/1: publishing, subscribing, and feeding stored messages to a session.
public struct PubSub {
    let tables: Tables

    /// [any] Routes a message as if a client had sent it. With `runHooks` the message.publish chain runs, without this
    /// plugin's own hooks.
    @discardableResult public func publish(_ message: consuming Message, runHooks: Bool = true) -> Status {
        guard let table = tables.pointee.pubsub else { return .unsupported }
        return Status(table.pointee.publish(tables.host, message.leak().raw, runHooks))
    }
    /// [any] Makes and routes a message.
    @discardableResult public func publish(
        topic: String, payload: String, qos: UInt8 = 0, retain: Bool = false, runHooks: Bool = true
    ) -> Status {
        let made = Messages(tables: tables).make(topic: topic, payload: payload, qos: qos, retain: retain)
        guard let made else { return .invalid }
        return publish(made, runHooks: runHooks)
    }

    /// A message that matches the plugin's own subscription, on the loop that routed it.
    public typealias Deliver = (_ message: borrowing MessageView, _ filter: Bytes) -> Void

    /// [main] A subscription of the plugin itself: no session, no queue.
    @discardableResult public func subscribe(_ filter: String, qos: UInt8 = 0, _ body: @escaping Deliver)
        throws(PluginError) -> Registration
    {
        let table = try tables.need(tables.pointee.pubsub, "martlet.pubsub/1")
        return try Registration.make(DeliverBox(tables, body)) { user, token in
            filter.withBytes { table.pointee.subscribe(tables.host, $0.raw, qos, DeliverBox.call, user, token) }
        }
    }
    /// [main]
    public func unsubscribe(_ registration: Registration) {
        guard let table = tables.pointee.pubsub else { return }
        if table.pointee.unsubscribe(tables.host, registration.token) == 0 { registration.end(tables) }
    }

    /// [any] Subscribes a client's session on its behalf; takes effect on its loop.
    @discardableResult public func subscribe(_ session: Session, filter: Bytes, qos: UInt8) -> Status {
        guard let table = tables.pointee.pubsub else { return .unsupported }
        var sub = martlet_sub()
        sub.size = UInt32(MemoryLayout<martlet_sub>.size)
        sub.topic = filter.raw
        sub.qos = qos
        return Status(table.pointee.session_subscribe(tables.host, session.id, &sub, 1))
    }
    /// [any] One message to one session as if it matched a subscription of this QoS.
    @discardableResult public func deliver(
        _ message: consuming Message, to session: Session, qos: UInt8, retain: Bool
    ) -> Status {
        guard let table = tables.pointee.pubsub else { return .unsupported }
        return Status(table.pointee.session_deliver(tables.host, session.id, message.leak().raw, qos, retain))
    }
    /// [loop] of the session, normally inside session.subscribed: the host pulls messages as the client has room.
    /// `qos` is the subscription's; `retain` the flag the client sees; `subscriptionID` 0: none.
    @discardableResult public func feed(
        _ session: Session, _ feed: Feed, qos: UInt8, retain: Bool, subscriptionID: UInt32 = 0
    ) -> Status {
        guard let table = tables.pointee.pubsub else { return .unsupported }
        let user = Unmanaged.passRetained(feed)
        var raw = martlet_feed(
            size: UInt32(MemoryLayout<martlet_feed>.size), qos: qos, retain: retain, subscription_id: subscriptionID,
            next: Feed.callNext, end: Feed.callEnd, user: user.toOpaque())
        let status = Status(table.pointee.session_feed(tables.host, session.id, &raw))
        if status != .ok { user.release() }
        return status
    }
}

/// A source of messages for one session: subclass it, or give it closures' worth of state of your own. Everything on
/// the session's loop. It lives until `end`, which comes exactly once: done, or the session or the plugin went away.
open class Feed {
    public init() {}
    open func next() -> FeedStep { .end }
    open func end() {}

    static var callNext: martlet_feed_fn {
        { user, more in
            let feed = Unmanaged<Feed>.fromOpaque(user.unsafelyUnwrapped).takeUnretainedValue()
            switch feed.next() {
            case .message(let message):
                more.pointee = true
                return message.leak().raw
            case .pause: more.pointee = true
            case .end: more.pointee = false
            }
            return nil
        }
    }
    static var callEnd: martlet_feed_end_fn {
        { user in
            let feed = Unmanaged<Feed>.fromOpaque(user.unsafelyUnwrapped)
            feed._withUnsafeGuaranteedRef { $0.end() }
            feed.release()
        }
    }
}

public enum FeedStep: ~Copyable {
    case message(Message)
    /// Let others work and ask again.
    case pause
    case end
}

private final class DeliverBox: Box {
    let body: PubSub.Deliver
    init(_ tables: Tables, _ body: @escaping PubSub.Deliver) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_deliver_fn {
        { user, message, filter in
            Box.use(user) { (box: DeliverBox) in box.body(MessageView(message, box.tables), Bytes(filter)) }
        }
    }
}
