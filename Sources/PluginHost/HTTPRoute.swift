// SPDX-License-Identifier: Apache-2.0
public import CMartlet

/// A route or a folder of one plugin. The values are anybody's; the functions call the plugin and are [main].
public final class HTTPRoute: @unchecked Sendable {
    public enum Kind: Sendable, Equatable {
        case handler(streamsBody: Bool)
        case folder(HTTPFolder)
    }

    public let token: martlet_token
    public let owner: UInt32
    public let plugin: String
    /// "GET", "*"
    public let method: String
    public let pattern: HTTPPattern
    /// Names of listeners; "*" for all.
    public let listeners: [String]
    /// MARTLET_HTTP_AUTH_*
    public let auth: UInt32
    public let kind: Kind
    /// nil: the listener's.
    public var maxBody: Int?
    public var timeoutMS: Int?
    public var maxRequests = 256

    var functions: Functions?
    private weak var instance: PluginInstance?

    struct Functions {
        let handle: martlet_http_fn
        let chunk: martlet_http_chunk_fn?
        let writable: martlet_http_writable_fn?
        let gone: martlet_http_gone_fn?
        let user: UnsafeMutableRawPointer?
    }

    /// A route that nobody serves yet.
    public init(
        _ token: martlet_token, owner: UInt32, plugin: String, method: String, pattern: HTTPPattern,
        listeners: [String] = ["management"], auth: UInt32 = 0, kind: Kind = .handler(streamsBody: false)
    ) {
        self.token = token
        self.owner = owner
        self.plugin = plugin
        self.method = method
        self.pattern = pattern
        self.listeners = listeners
        self.auth = auth
        self.kind = kind
    }

    convenience init(
        _ token: martlet_token, _ instance: PluginInstance, method: String, pattern: HTTPPattern, listeners: [String],
        auth: UInt32, kind: Kind
    ) {
        self.init(
            token, owner: instance.owner, plugin: instance.name, method: method, pattern: pattern,
            listeners: listeners, auth: auth, kind: kind)
        self.instance = instance
    }

    public func isOn(_ listener: String) -> Bool { listeners.contains(listener) || listeners.contains("*") }

    /// [main] Its plugin runs and has not taken it back.
    public var isLive: Bool {
        guard let instance, instance.phase == .running else { return false }
        return instance.httpRoutes[token] === self
    }

    /// [main] False when the route is not live any more: then nothing was called.
    public func begin(_ call: HTTPArrival) -> Bool {
        guard isLive, let functions else { return false }
        lendRequest(call) { functions.handle(functions.user, $0) }
        return true
    }

    /// [main]
    public func chunk(_ id: martlet_http_req, _ bytes: [UInt8], isLast: Bool) -> martlet_status {
        guard isLive, let functions, let chunk = functions.chunk else { return statusStale }
        var bytes = bytes
        var status = statusOK
        lend(&bytes) { status = chunk(functions.user, id, $0, isLast) }
        return status
    }

    /// [main]
    public func writable(_ id: martlet_http_req) {
        guard isLive, let functions else { return }
        functions.writable?(functions.user, id)
    }

    /// [main]
    public func gone(_ id: martlet_http_req, _ why: martlet_status) {
        guard isLive, let functions else { return }
        functions.gone?(functions.user, id, why)
    }
}

public struct HTTPFolder: Sendable, Equatable {
    /// Absolute, without symbolic links.
    public var path: String
    public var cacheControl: String
    public var fallback: String?

    public init(path: String, cacheControl: String = "no-cache", fallback: String? = nil) {
        self.path = path
        self.cacheControl = cacheControl
        self.fallback = fallback
    }
}

/// A plugin that is asked about credentials.
public final class HTTPAuthenticator: @unchecked Sendable {
    public let owner: UInt32
    let token: martlet_token
    let priority: Int32
    private let function: martlet_http_auth_fn
    private let user: UnsafeMutableRawPointer?
    private weak var instance: PluginInstance?

    init(
        _ token: martlet_token, _ instance: PluginInstance, _ priority: Int32, _ function: martlet_http_auth_fn,
        _ user: UnsafeMutableRawPointer?
    ) {
        self.token = token
        self.instance = instance
        self.priority = priority
        self.function = function
        self.user = user
        owner = instance.owner
    }

    /// [main]
    public func ask(_ credentials: HTTPCredentials, about call: HTTPArrival) -> HTTPVerdict {
        guard let instance, instance.phase == .running, instance.httpAuthenticators[token] === self else {
            return .ignored
        }
        var result = martlet_http_auth_result()
        result.size = size(of: martlet_http_auth_result.self)
        var answer = HTTPVerdict.ignored
        lendCredentials(credentials, call) { lent in
            result.verdict = function(user, lent, &result)
            if let verdict = HTTPVerdict(result) {
                answer = verdict
            } else {
                instance.complain("its HTTP authenticator answered \(result.verdict), which is no verdict; it denies")
                answer = .denied
            }
        }
        return answer
    }
}

extension HTTPVerdict {
    /// Nil when the number is none.
    init?(_ result: martlet_http_auth_result) {
        switch Int(result.verdict) {
        case MARTLET_IGNORE: self = .ignored
        case MARTLET_ALLOW: self = .allowed(user: result.user.line(limit: 256))
        case MARTLET_DENY: self = .denied
        case MARTLET_ERROR: self = .failed
        case MARTLET_PENDING: self = .pending
        default: return nil
        }
    }
}
