// SPDX-License-Identifier: Apache-2.0
/// martlet.http/1: routes that the broker's HTTP listeners serve. All closures run on the control thread; answer there,
/// or keep `request.exchange` and answer from any thread.
///
/// ```swift
/// try host.http.route("GET", "/hello/:name") { request in
///     request.answer("hello \(String(request.parameter("name")))\n")
/// }
/// ```
public struct HTTP {
    let tables: Tables
    public typealias Handler = (borrowing HTTPRequest) -> Void
    /// A piece of a body. `.ok`: the next one, please; `.busy`: not before `exchange.resume()`.
    public typealias Chunk = (HTTPExchange, Bytes, _ isLast: Bool) -> Status

    public struct Auth: OptionSet {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Everybody.
        public static var none: Auth { Auth(rawValue: 0) }
        public static var basic: Auth { Auth(rawValue: 1) }
        public static var bearer: Auth { Auth(rawValue: 2) }
        public static var any: Auth { Auth(rawValue: 3) }
    }

    /// What a route may say beyond method, pattern and handler. 0: the listener's own limit.
    public struct Options {
        public var auth = Auth.none
        /// "dashboard,management"; "*" for every listener.
        public var listener: StaticString = "management"
        public var maxBody: UInt64 = 0
        /// Milliseconds until the answer must have begun.
        public var timeout: UInt32 = 0
        /// Open at once; 0: 256.
        public var maxRequests: UInt32 = 0
        /// Present: the body is streamed in, and `HTTPRequest.body` is empty.
        public var chunk: Chunk?
        /// After `write` or `send` answered `.busy`: there is room again.
        public var writable: ((HTTPExchange) -> Void)?
        /// The request is over although the plugin did not end it.
        public var gone: ((HTTPExchange, Status) -> Void)?
        public init(auth: Auth = .none, listener: StaticString = "management") {
            self.auth = auth
            self.listener = listener
        }
    }

    /// [main] `pattern`: "/nodes/:node/clients/*rest". GET serves HEAD too.
    @discardableResult public func route(
        _ method: StaticString, _ pattern: StaticString, _ options: Options = Options(), _ body: @escaping Handler
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.http, "martlet.http/1")
        var raw = martlet_http_route(
            size: UInt32(MemoryLayout<martlet_http_route>.size), auth: options.auth.rawValue, method: method.cString,
            pattern: pattern.cString, listener: options.listener.cString, handle: RouteBox.call,
            chunk: options.chunk == nil ? nil : RouteBox.callChunk,
            writable: options.writable == nil ? nil : RouteBox.callWritable,
            gone: options.gone == nil ? nil : RouteBox.callGone, user: nil, max_body: options.maxBody,
            timeout_ms: options.timeout, max_requests: options.maxRequests)
        return try Registration.make(RouteBox(tables, options, body)) { user, token in
            raw.user = user
            return table.pointee.route(tables.host, &raw, token)
        }
    }

    /// [main] A folder of files below `prefix`. `folder` is absolute, or relative to the broker's root folder.
    @discardableResult public func files(
        _ prefix: StaticString, folder: String, auth: Auth = .none, on listener: StaticString = "management",
        cacheControl: StaticString = "no-cache", fallback: StaticString? = nil
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.http, "martlet.http/1")
        var path = folder + "\0"
        return try Registration.make(Box(tables)) { _, token in
            path.withUTF8 { text in
                text.withMemoryRebound(to: CChar.self) { text in
                    var raw = martlet_http_files(
                        size: UInt32(MemoryLayout<martlet_http_files>.size), auth: auth.rawValue,
                        prefix: prefix.cString, folder: text.baseAddress.unsafelyUnwrapped,
                        listener: listener.cString, cache_control: cacheControl.cString,
                        fallback: fallback?.cString)
                    return table.pointee.files(tables.host, &raw, token)
                }
            }
        }
    }

    /// [main] Asked about credentials, higher priority first.
    @discardableResult public func authenticator(
        priority: Int32 = 0, _ body: @escaping (borrowing HTTPCredentials) -> HTTPVerdict
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.http, "martlet.http/1")
        return try Registration.make(JudgeBox(tables, body)) {
            table.pointee.authenticator(tables.host, priority, JudgeBox.call, $0, $1)
        }
    }

    /// [main] Ends a route, a folder or an authenticator; its open requests get 503.
    public func remove(_ registration: Registration) {
        guard let table = tables.pointee.http else { return }
        if table.pointee.remove(tables.host, registration.token) == 0 { registration.end(tables) }
    }

    /// [any] Equal or not, in a time that does not tell where they differ.
    public func isSameSecret(_ a: Bytes, _ b: Bytes) -> Bool {
        guard let table = tables.pointee.http else { return false }
        return table.pointee.same_secret(a.raw, b.raw)
    }
}

/// What a client presented.
public struct HTTPCredentials: ~Copyable {
    let raw: UnsafePointer<martlet_http_credentials>
    let tables: Tables
    public var isBearer: Bool { raw.pointee.scheme == UInt32(MARTLET_HTTP_AUTH_BEARER) }
    public var username: Bytes { Bytes(raw.pointee.username) }
    public var password: Bytes { Bytes(raw.pointee.password) }
    public var token: Bytes { Bytes(raw.pointee.token) }
    public var path: Bytes { Bytes(raw.pointee.path) }
    public var method: Bytes { Bytes(raw.pointee.method) }
    public var peer: Bytes { Bytes(raw.pointee.peer) }
    /// For a verdict that comes later: answer `.pending` now.
    public var later: HTTPExchange { HTTPExchange(tables: tables, id: raw.pointee.id) }
}

public enum HTTPVerdict {
    case ignore, deny, error, pending
    case allow
    /// In the name of this user.
    case allowAs(String)

    var rawValue: Int32 {
        switch self {
        case .ignore: return Int32(MARTLET_IGNORE)
        case .deny: return Int32(MARTLET_DENY)
        case .error: return Int32(MARTLET_ERROR)
        case .pending: return Int32(MARTLET_PENDING)
        case .allow, .allowAs: return Int32(MARTLET_ALLOW)
        }
    }
}

private final class RouteBox: Box {
    let options: HTTP.Options
    let body: HTTP.Handler
    init(_ tables: Tables, _ options: HTTP.Options, _ body: @escaping HTTP.Handler) {
        self.options = options
        self.body = body
        super.init(tables)
    }
    static var call: martlet_http_fn {
        { user, raw in Box.use(user) { (box: RouteBox) in box.body(HTTPRequest(raw: raw, tables: box.tables)) } }
    }
    static var callChunk: martlet_http_chunk_fn {
        { user, id, bytes, isLast in
            Box.use(user) { (box: RouteBox) in
                box.options.chunk?(HTTPExchange(tables: box.tables, id: id), Bytes(bytes), isLast).rawValue ?? 0
            }
        }
    }
    static var callWritable: martlet_http_writable_fn {
        { user, id in
            Box.use(user) { (box: RouteBox) in box.options.writable?(HTTPExchange(tables: box.tables, id: id)) }
        }
    }
    static var callGone: martlet_http_gone_fn {
        { user, id, why in
            Box.use(user) { (box: RouteBox) in
                box.options.gone?(HTTPExchange(tables: box.tables, id: id), Status(why))
            }
        }
    }
}

private final class JudgeBox: Box {
    let body: (borrowing HTTPCredentials) -> HTTPVerdict
    /// The name of the last verdict, on the heap: the host copies it after the call.
    var name: [UInt8] = []
    init(_ tables: Tables, _ body: @escaping (borrowing HTTPCredentials) -> HTTPVerdict) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_http_auth_fn {
        { user, raw, out in
            Box.use(user) { (box: JudgeBox) in
                let verdict = box.body(HTTPCredentials(raw: raw, tables: box.tables))
                if case .allowAs(let name) = verdict {
                    box.name = [UInt8](name.utf8)
                    out.pointee.user = box.name.withUnsafeBufferPointer {
                        martlet_bytes(ptr: $0.baseAddress, len: $0.count)
                    }
                }
                return verdict.rawValue
            }
        }
    }
}
