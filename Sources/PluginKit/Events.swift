// SPDX-License-Identifier: Apache-2.0
/// What every hook event knows. Events are lent for the length of the callback and cannot be stored.
public protocol HookEvent: ~Copyable {
    var raw: UnsafeMutablePointer<martlet_event> { get }
    var host: Host { get }
}

extension HookEvent where Self: ~Copyable {
    /// `isNone` when there is no connection.
    @inline(__always) public var client: Client { Client(id: raw.pointee.client, tables: host.tables) }
    @inline(__always) public var session: Session { Session(id: raw.pointee.session) }
    @inline(__always) public var clientID: Bytes { Bytes(raw.pointee.clientid) }
    @inline(__always) public var username: Bytes { Bytes(raw.pointee.username) }
}

/// client.connected, client.disconnected.
public struct ClientEvent: HookEvent, ~Copyable {
    public let raw: UnsafeMutablePointer<martlet_event>
    public let host: Host
    /// connected: CONNACK return code, 0; disconnected: the reason code the connection ended with.
    @inline(__always) public var reason: UInt8 { UInt8(truncatingIfNeeded: raw.pointee.code) }
}

/// session.created, session.resumed, session.terminated (whose session handle is already stale).
public struct SessionEvent: HookEvent, ~Copyable {
    public let raw: UnsafeMutablePointer<martlet_event>
    public let host: Host
}

/// One filter of a SUBSCRIBE or UNSUBSCRIBE.
public struct Subscription {
    public let raw: UnsafeMutablePointer<martlet_sub>
    /// Without share prefix and without mountpoint.
    @inline(__always) public var filter: Bytes { Bytes(raw.pointee.topic) }
    /// Empty: not shared.
    @inline(__always) public var shareGroup: Bytes { Bytes(raw.pointee.share_group) }
    /// 0: none.
    @inline(__always) public var id: UInt32 { raw.pointee.subscription_id }
    @inline(__always) public var qos: UInt8 { raw.pointee.qos }
    @inline(__always) public var noLocal: Bool { raw.pointee.no_local }
    @inline(__always) public var retainAsPublished: Bool { raw.pointee.retain_as_published }
    /// MQTT 5 §3.8.3.1: 0 send, 1 send if new, 2 do not send.
    @inline(__always) public var retainHandling: UInt8 { raw.pointee.retain_handling }
    /// $local/...
    @inline(__always) public var isLocal: Bool { raw.pointee.local }
    /// session.subscribed: did not exist before.
    @inline(__always) public var isNew: Bool { raw.pointee.is_new }

    /// In client.subscribe only: grants less.
    public func lower(qos: UInt8) { if qos < raw.pointee.qos { raw.pointee.qos = qos } }
    /// In client.subscribe only: refuses this filter alone with a SUBACK code of 0x80 or above.
    public func refuse(_ code: UInt8 = 0x87) { raw.pointee.qos = code | 0x80 }
}

/// client.subscribe and client.unsubscribe: the filters may be edited.
public struct SubscribeEvent: HookEvent, ~Copyable {
    public let raw: UnsafeMutablePointer<martlet_event>
    public let host: Host

    @inline(__always) public var count: Int { raw.pointee.subs == nil ? 0 : raw.pointee.nsubs }
    /// nil past the end.
    @inline(__always) public subscript(_ index: Int) -> Subscription? {
        guard let subs = raw.pointee.subs, index >= 0, index < count else { return nil }
        // The broker's may be longer than the one known here.
        let at = UnsafeMutableRawPointer(subs) + index * Int(subs.pointee.size)
        return Subscription(raw: at.assumingMemoryBound(to: martlet_sub.self))
    }
    /// Replaces the filter; the text is copied.
    @discardableResult public func setFilter(_ index: Int, _ filter: Bytes) -> Status {
        guard let table = host.tables.pointee.hooks else { return .unsupported }
        return Status(table.pointee.set_topic(raw, index, filter.raw))
    }
    /// client.subscribe only: the answer follows; return `.deferred`. Nothing more is read from that client until
    /// then. nil: not deferrable here. timeout in ms, 0: the host's default.
    public func later(timeout: UInt32 = 0) -> HookDeferral? { HookDeferral(raw, host.tables, timeout) }
}

/// session.subscribed and session.unsubscribed: one event a filter.
public struct SubscriptionEvent: HookEvent, ~Copyable {
    public let raw: UnsafeMutablePointer<martlet_event>
    public let host: Host
    /// nil only if the host breaks its word.
    @inline(__always) public var subscription: Subscription? {
        guard let subs = raw.pointee.subs, raw.pointee.nsubs > 0 else { return nil }
        return Subscription(raw: subs)
    }
}

/// message.publish: the message may be replaced, dropped or held.
public struct PublishEvent: HookEvent, ~Copyable {
    public let raw: UnsafeMutablePointer<martlet_event>
    public let host: Host
    let pointer: OpaquePointer

    /// One host call: take it once and keep it in a `let`.
    public var message: MessageView { MessageView(pointer, host.tables) }
    /// The answer follows; return `.deferred`. nil: not deferrable here. timeout in ms, 0: the host's default.
    public func later(timeout: UInt32 = 0) -> HookDeferral? { HookDeferral(raw, host.tables, timeout) }
}

/// message.delivered, message.acked, message.dropped.
public struct MessageEvent: HookEvent, ~Copyable {
    public let raw: UnsafeMutablePointer<martlet_event>
    public let host: Host
    let pointer: OpaquePointer

    /// One host call: take it once and keep it in a `let`.
    public var message: MessageView { MessageView(pointer, host.tables) }
    /// message.dropped only.
    public var reason: DropReason? { DropReason(rawValue: raw.pointee.code) }
}

/// Why a message was dropped. For the first three there is no subscriber to name.
public enum DropReason: Int32 {
    case noSubscriber = 1
    /// A publish hook stopped it.
    case hook
    case denied
    case queueFull
    /// QoS 0 for an offline session.
    case qos0Queue
    /// QoS 0 for a client that does not read.
    case slow
    case tooLarge, expired, sessionEnd
}

/// What client.subscribe and client.unsubscribe answer. `stop` refuses every filter.
public enum Verdict: Int32 { case next = 0, stop = 1, deferred = 2 }

/// What message.publish answers. `stop` drops the message, which is still acknowledged.
public enum PublishVerdict: ~Copyable {
    case next, stop, deferred
    /// Go on with this message instead.
    case replace(Message)
}

/// An answer that a hook still owes. Give it once, from any thread; a late or second one is `.stale`.
public struct HookDeferral {
    let id: martlet_deferred
    let tables: Tables

    init?(_ event: UnsafeMutablePointer<martlet_event>, _ tables: Tables, _ timeout: UInt32) {
        guard let table = tables.pointee.hooks else { return nil }
        id = table.pointee.defer(event, timeout)
        self.tables = tables
        if id == 0 { return nil }
    }
    /// [any]
    @discardableResult public func resume(_ verdict: consuming PublishVerdict) -> Status {
        guard let table = tables.pointee.hooks else { return .unsupported }
        switch consume verdict {
        case .next: return Status(table.pointee.resume(tables.host, id, Verdict.next.rawValue, nil))
        case .stop: return Status(table.pointee.resume(tables.host, id, Verdict.stop.rawValue, nil))
        case .deferred: return .invalid
        case .replace(let message):
            return Status(table.pointee.resume(tables.host, id, Verdict.next.rawValue, message.leak().raw))
        }
    }
}
