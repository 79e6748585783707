// SPDX-License-Identifier: Apache-2.0
/// May this client publish to, or subscribe to, this topic?
public struct ACLRequest: ~Copyable {
    public let raw: UnsafePointer<martlet_acl_req>
    public let host: Host

    public enum Action { case publish, subscribe }

    @inline(__always) public var client: Client { Client(id: raw.pointee.client, tables: host.tables) }
    @inline(__always) public var clientID: Bytes { Bytes(raw.pointee.clientid) }
    @inline(__always) public var username: Bytes { Bytes(raw.pointee.username) }
    /// "192.0.2.7:51234"
    @inline(__always) public var peer: Bytes { Bytes(raw.pointee.peer) }
    /// Name or filter, without share prefix and mountpoint.
    @inline(__always) public var topic: Bytes { Bytes(raw.pointee.topic) }
    @inline(__always) public var action: Action {
        Int(raw.pointee.action) == MARTLET_ACL_PUBLISH ? .publish : .subscribe
    }
    @inline(__always) public var qos: UInt8 { raw.pointee.qos }
    @inline(__always) public var retain: Bool { raw.pointee.retain }

    /// The answer about to be given, `.allow`, `.deny` or `.ignore`, is the same for every topic, QoS and retain flag of
    /// this client and action: the broker need not ask for each until `forget`.
    @inline(__always) public func holdsForAnyTopic() {
        guard let table = host.tables.pointee.acl else { return }
        _ = table.pointee.any_topic(raw)
    }

    /// The answer follows; return `.pending`. nil: not now, answer `.error`. timeout in ms, 0: the host's default.
    public func later(timeout: UInt32 = 0) -> ACLDeferral? {
        guard let table = host.tables.pointee.acl else { return nil }
        let id = table.pointee.defer(raw, timeout)
        return id == 0 ? nil : ACLDeferral(id: id, tables: host.tables)
    }
}

public enum ACLAnswer: Int32 {
    /// No rule of mine: ask the next module.
    case ignore = 0
    case allow, deny
    /// Could not decide: denies, counted and logged as an error.
    case error
    /// After `request.later()`.
    case pending
}

/// An answer a module still owes. Give it once, from any thread; a late or second one is `.stale`.
public struct ACLDeferral {
    let id: martlet_deferred
    let tables: Tables

    /// [any]
    @discardableResult public func answer(_ answer: ACLAnswer) -> Status {
        guard let table = tables.pointee.acl else { return .unsupported }
        return Status(table.pointee.answer(tables.host, id, answer.rawValue))
    }
}

/// martlet.acl/1: modules are asked by descending priority; the first answer other than `.ignore` counts and is cached
/// per client and topic.
public struct ACL {
    let tables: Tables
    public typealias Decide = (borrowing ACLRequest) -> ACLAnswer

    /// [main] The body runs on the client's loop and must not block.
    @discardableResult public func add(priority: Int32 = 0, _ body: @escaping Decide)
        throws(PluginError) -> Registration
    {
        let table = try tables.need(tables.pointee.acl, "martlet.acl/1")
        return try Registration.make(ACLBox(tables, body)) {
            table.pointee.add(tables.host, priority, ACLBox.call, $0, $1)
        }
    }
    /// [any] Forget the cached answers of one client, or of all.
    public func forget(_ client: Client? = nil) {
        guard let table = tables.pointee.acl else { return }
        _ = table.pointee.invalidate(tables.host, client?.id ?? 0)
    }
}

private final class ACLBox: Box {
    let body: ACL.Decide
    init(_ tables: Tables, _ body: @escaping ACL.Decide) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_acl_fn {
        { user, request in
            Box.use(user) { (box: ACLBox) in
                box.body(ACLRequest(raw: request, host: Host(tables: box.tables))).rawValue
            }
        }
    }
}
