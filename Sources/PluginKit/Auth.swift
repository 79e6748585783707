// SPDX-License-Identifier: Apache-2.0
/// A CONNECT to judge, or one step of MQTT 5 enhanced authentication.
public struct AuthRequest: ~Copyable {
    public let raw: UnsafePointer<martlet_auth_req>
    public let host: Host

    @inline(__always) public var client: Client { Client(id: raw.pointee.client, tables: host.tables) }
    @inline(__always) public var clientID: Bytes { Bytes(raw.pointee.clientid) }
    /// nil when CONNECT carries none, which is not the same as an empty one.
    @inline(__always) public var username: Bytes? { raw.pointee.has_username ? Bytes(raw.pointee.username) : nil }
    @inline(__always) public var password: Bytes? { raw.pointee.has_password ? Bytes(raw.pointee.password) : nil }
    /// "192.0.2.7:51234"
    @inline(__always) public var peer: Bytes { Bytes(raw.pointee.peer) }
    /// MQTT 5 Authentication Method; empty: plain CONNECT.
    @inline(__always) public var method: Bytes { Bytes(raw.pointee.auth_method) }
    @inline(__always) public var data: Bytes { Bytes(raw.pointee.auth_data) }
    /// Enhanced authentication: 0 for the CONNECT, then 1, 2 ... for each AUTH.
    @inline(__always) public var step: UInt32 { raw.pointee.step }
    @inline(__always) public var isReauthentication: Bool { raw.pointee.reauthenticate }

    /// The answer follows; return `.pending`. nil: not now, answer `.error`. timeout in ms, 0: the host's default.
    public func later(timeout: UInt32 = 0) -> AuthDeferral? {
        guard let table = host.tables.pointee.auth else { return nil }
        let id = table.pointee.defer(raw, timeout)
        return id == 0 ? nil : AuthDeferral(id: id, tables: host.tables)
    }
}

/// What an auth module says. `username`, `mountpoint` and `data` point at memory that outlives the call.
public struct AuthAnswer {
    let verdict: Int32
    public var reason: UInt8 = 0
    /// Skips the ACL.
    public var isSuperuser = false
    /// Replaces the user name when not empty.
    public var username = Bytes.empty
    /// Replaces the mountpoint when not empty.
    public var mountpoint = Bytes.empty
    /// Enhanced authentication: data for AUTH or CONNACK.
    public var data = Bytes.empty
    /// What the person at an MQTT 5 client may read about a refusal or a step, where `mqtt.reason_strings` is on: at
    /// most 1,024 bytes of UTF-8, empty for the broker's own sentence. Never says which of user name and password was
    /// wrong.
    public var text = Bytes.empty

    @inline(__always) init(_ verdict: Int, reason: UInt8 = 0) {
        self.verdict = Int32(verdict)
        self.reason = reason
    }
    /// Not my client: ask the next module.
    @inline(__always) public static var ignore: AuthAnswer { AuthAnswer(MARTLET_IGNORE) }
    @inline(__always) public static var allow: AuthAnswer { AuthAnswer(MARTLET_ALLOW) }
    /// Bad user name or password.
    @inline(__always) public static var deny: AuthAnswer { AuthAnswer(MARTLET_DENY) }
    /// With an MQTT 5 reason code of 0x80 or above (MQTT 5 §3.2.2.2).
    @inline(__always) public static func deny(_ reason: UInt8) -> AuthAnswer {
        AuthAnswer(MARTLET_DENY, reason: reason)
    }
    /// The same with words for the person at the client, which outlive the call; see `text`.
    @inline(__always) public static func deny(_ reason: UInt8, _ text: Bytes) -> AuthAnswer {
        var answer = AuthAnswer(MARTLET_DENY, reason: reason)
        answer.text = text
        return answer
    }
    /// Could not decide: denies, counted and logged as an error.
    @inline(__always) public static var error: AuthAnswer { AuthAnswer(MARTLET_ERROR) }
    /// After `request.later()`.
    @inline(__always) public static var pending: AuthAnswer { AuthAnswer(MARTLET_PENDING) }
    /// Enhanced authentication: send `data` and ask me again.
    @inline(__always) public static func proceed(_ data: Bytes) -> AuthAnswer {
        var answer = AuthAnswer(MARTLET_CONTINUE)
        answer.data = data
        return answer
    }
    func write(_ out: UnsafeMutablePointer<martlet_auth_result>) {
        out.pointee.verdict = verdict
        out.pointee.reason_code = reason
        out.pointee.superuser = isSuperuser
        out.pointee.username = username.raw
        out.pointee.mountpoint = mountpoint.raw
        out.pointee.auth_data = data.raw
        // A broker of before has no room for it.
        guard Int(out.pointee.size) >= MemoryLayout<martlet_auth_result>.size else { return }
        out.pointee.reason_string = text.raw
    }
}

/// An answer a module still owes. Give it once, from any thread; a late or second one is `.stale`.
public struct AuthDeferral {
    let id: martlet_deferred
    let tables: Tables

    /// [any]
    @discardableResult public func answer(_ answer: AuthAnswer) -> Status {
        guard let table = tables.pointee.auth else { return .unsupported }
        var result = martlet_auth_result()
        result.size = UInt32(MemoryLayout<martlet_auth_result>.size)
        answer.write(&result)
        return Status(table.pointee.answer(tables.host, id, &result))
    }
}

/// martlet.auth/1: modules are asked by descending priority; the first answer other than `.ignore` counts.
public struct Auth {
    let tables: Tables
    public typealias Decide = (borrowing AuthRequest) -> AuthAnswer

    /// [main] The body runs on the client's loop and must not block.
    @discardableResult public func add(priority: Int32 = 0, _ body: @escaping Decide)
        throws(PluginError) -> Registration
    {
        let table = try tables.need(tables.pointee.auth, "martlet.auth/1")
        return try Registration.make(AuthBox(tables, body)) {
            table.pointee.add(tables.host, priority, AuthBox.call, $0, $1)
        }
    }
}

private final class AuthBox: Box {
    let body: Auth.Decide
    init(_ tables: Tables, _ body: @escaping Auth.Decide) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_auth_fn {
        { user, request, out in
            Box.use(user) { (box: AuthBox) in
                let answer = box.body(AuthRequest(raw: request, host: Host(tables: box.tables)))
                answer.write(out)
                return answer.verdict
            }
        }
    }
}
