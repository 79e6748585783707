// SPDX-License-Identifier: Apache-2.0
/// martlet.hooks/1: the thirteen hook points. Add on the control thread; every body runs on the client's loop and must
/// not block. Higher priority runs first. `filter` limits message hooks and session.subscribed to matching topics, so
/// that other topics cost nothing.
public struct Hooks {
    let tables: Tables

    public typealias OnClient = (borrowing ClientEvent) -> Void
    public typealias OnSession = (borrowing SessionEvent) -> Void
    public typealias OnSubscribe = (borrowing SubscribeEvent) -> Verdict
    public typealias OnSubscription = (borrowing SubscriptionEvent) -> Void
    public typealias OnPublish = (borrowing PublishEvent) -> PublishVerdict
    public typealias OnMessage = (borrowing MessageEvent) -> Void

    /// After CONNACK is queued.
    @discardableResult public func onClientConnected(priority: Int32 = 0, _ body: @escaping OnClient)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_CLIENT_CONNECTED, priority, ClientHook(tables, body), ClientHook.call) }

    @discardableResult public func onClientDisconnected(priority: Int32 = 0, _ body: @escaping OnClient)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_CLIENT_DISCONNECTED, priority, ClientHook(tables, body), ClientHook.call) }

    @discardableResult public func onClientSubscribe(priority: Int32 = 0, _ body: @escaping OnSubscribe)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_CLIENT_SUBSCRIBE, priority, SubscribeHook(tables, body), SubscribeHook.call) }

    @discardableResult public func onClientUnsubscribe(priority: Int32 = 0, _ body: @escaping OnSubscribe)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_CLIENT_UNSUBSCRIBE, priority, SubscribeHook(tables, body), SubscribeHook.call) }

    @discardableResult public func onSessionCreated(priority: Int32 = 0, _ body: @escaping OnSession)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_SESSION_CREATED, priority, SessionHook(tables, body), SessionHook.call) }

    @discardableResult public func onSessionResumed(priority: Int32 = 0, _ body: @escaping OnSession)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_SESSION_RESUMED, priority, SessionHook(tables, body), SessionHook.call) }

    @discardableResult public func onSessionTerminated(priority: Int32 = 0, _ body: @escaping OnSession)
        throws(PluginError) -> Registration
    { try add(MARTLET_HOOK_SESSION_TERMINATED, priority, SessionHook(tables, body), SessionHook.call) }

    @discardableResult public func onSessionSubscribed(
        priority: Int32 = 0, filter: String = "", _ body: @escaping OnSubscription
    ) throws(PluginError) -> Registration {
        try add(
            MARTLET_HOOK_SESSION_SUBSCRIBED, priority, filter, SubscriptionHook(tables, body),
            SubscriptionHook.call)
    }

    @discardableResult public func onSessionUnsubscribed(priority: Int32 = 0, _ body: @escaping OnSubscription)
        throws(PluginError) -> Registration
    {
        try add(
            MARTLET_HOOK_SESSION_UNSUBSCRIBED, priority, SubscriptionHook(tables, body),
            SubscriptionHook.call)
    }

    /// - Parameter retainOnly: messages with the retain flag alone; the others then cost nothing.
    @discardableResult public func onMessagePublish(
        priority: Int32 = 0, filter: String = "", retainOnly: Bool = false, _ body: @escaping OnPublish
    ) throws(PluginError) -> Registration {
        let hook = MARTLET_HOOK_MESSAGE_PUBLISH | (retainOnly ? MARTLET_HOOK_RETAIN_ONLY : 0)
        return try add(hook, priority, filter, PublishHook(tables, body), PublishHook.call)
    }

    /// Written to the client that the event names.
    @discardableResult public func onMessageDelivered(
        priority: Int32 = 0, filter: String = "", _ body: @escaping OnMessage
    ) throws(PluginError) -> Registration {
        try add(MARTLET_HOOK_MESSAGE_DELIVERED, priority, filter, MessageHook(tables, body), MessageHook.call)
    }

    /// PUBACK or PUBREC came back.
    @discardableResult public func onMessageAcked(
        priority: Int32 = 0, filter: String = "", _ body: @escaping OnMessage
    ) throws(PluginError) -> Registration {
        try add(MARTLET_HOOK_MESSAGE_ACKED, priority, filter, MessageHook(tables, body), MessageHook.call)
    }

    @discardableResult public func onMessageDropped(
        priority: Int32 = 0, filter: String = "", _ body: @escaping OnMessage
    ) throws(PluginError) -> Registration {
        try add(MARTLET_HOOK_MESSAGE_DROPPED, priority, filter, MessageHook(tables, body), MessageHook.call)
    }

    /// [main] When it returns, the body runs nowhere any more. Not from inside that body.
    public func remove(_ registration: Registration) {
        guard let table = tables.pointee.hooks else { return }
        if table.pointee.remove(tables.host, registration.token) == 0 { registration.end(tables) }
    }

    private func add(_ hook: Int, _ priority: Int32, _ box: Box, _ fn: martlet_hook_fn)
        throws(PluginError) -> Registration
    { try add(hook, priority, "", box, fn) }

    private func add(_ hook: Int, _ priority: Int32, _ filter: String, _ box: Box, _ fn: martlet_hook_fn)
        throws(PluginError) -> Registration
    {
        let table = try tables.need(tables.pointee.hooks, "martlet.hooks/1")
        return try Registration.make(box) { user, token in
            filter.withBytes { table.pointee.add(tables.host, Int32(hook), priority, fn, $0.raw, user, token) }
        }
    }
}

private final class ClientHook: Box {
    let body: Hooks.OnClient
    init(_ tables: Tables, _ body: @escaping Hooks.OnClient) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_hook_fn {
        { user, event in
            Box.use(user) { (box: ClientHook) in box.body(ClientEvent(raw: event, host: Host(tables: box.tables))) }
            return Verdict.next.rawValue
        }
    }
}

private final class SessionHook: Box {
    let body: Hooks.OnSession
    init(_ tables: Tables, _ body: @escaping Hooks.OnSession) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_hook_fn {
        { user, event in
            Box.use(user) { (box: SessionHook) in box.body(SessionEvent(raw: event, host: Host(tables: box.tables))) }
            return Verdict.next.rawValue
        }
    }
}

private final class SubscribeHook: Box {
    let body: Hooks.OnSubscribe
    init(_ tables: Tables, _ body: @escaping Hooks.OnSubscribe) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_hook_fn {
        { user, event in
            Box.use(user) { (box: SubscribeHook) in
                box.body(SubscribeEvent(raw: event, host: Host(tables: box.tables))).rawValue
            }
        }
    }
}

private final class SubscriptionHook: Box {
    let body: Hooks.OnSubscription
    init(_ tables: Tables, _ body: @escaping Hooks.OnSubscription) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_hook_fn {
        { user, event in
            Box.use(user) { (box: SubscriptionHook) in
                box.body(SubscriptionEvent(raw: event, host: Host(tables: box.tables)))
            }
            return Verdict.next.rawValue
        }
    }
}

private final class PublishHook: Box {
    let body: Hooks.OnPublish
    /// The message itself, kept, is no other: the broker could not tell, and nobody would give the reference back.
    @inline(never)
    private static func replace(
        _ event: UnsafeMutablePointer<martlet_event>, _ message: OpaquePointer, _ tables: Tables
    ) {
        if event.pointee.msg == message { tables.pointee.message.pointee.release(message) }
        event.pointee.msg = message
    }
    init(_ tables: Tables, _ body: @escaping Hooks.OnPublish) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_hook_fn {
        { user, event in
            guard let message = event.pointee.msg else { return Verdict.next.rawValue }
            return Box.use(user) { (box: PublishHook) in
                switch box.body(PublishEvent(raw: event, host: Host(tables: box.tables), pointer: message)) {
                case .next: return Verdict.next.rawValue
                case .stop: return Verdict.stop.rawValue
                case .deferred: return Verdict.deferred.rawValue
                case .replace(let message):
                    PublishHook.replace(event, message.leak().raw, box.tables)
                    return Verdict.next.rawValue
                }
            }
        }
    }
}

private final class MessageHook: Box {
    let body: Hooks.OnMessage
    init(_ tables: Tables, _ body: @escaping Hooks.OnMessage) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_hook_fn {
        { user, event in
            guard let message = event.pointee.msg else { return Verdict.next.rawValue }
            Box.use(user) { (box: MessageHook) in
                box.body(MessageEvent(raw: event, host: Host(tables: box.tables), pointer: message))
            }
            return Verdict.next.rawValue
        }
    }
}
