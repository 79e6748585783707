// SPDX-License-Identifier: Apache-2.0
public import CMartlet

/// What the plugin host needs of an HTTP server, so that it stands on none.
public protocol HTTPPort: AnyObject, Sendable {
    /// [main] What is served from here on.
    func install(_ registry: HTTPRegistry)
    /// [main] The plugin's open requests end. `again`: an image of the same name serves its routes now, and what was
    /// only asked (GET, HEAD) and not begun to be answered is asked again.
    func endRequests(of owner: UInt32, again: Bool)
    /// [main] The route is gone, its plugin is not.
    func endRequests(route token: martlet_token)
    /// [any]
    func openRequests(of owner: UInt32) -> Int
    /// Names of the listeners that are configured.
    var listenerNames: [String] { get }

    // [any] What martlet_http_v1 says of them. An id that is not one of `owner`'s is stale.
    func respond(_ id: martlet_http_req, _ owner: UInt32, _ head: HTTPHead, body: [UInt8]) -> martlet_status
    func begin(_ id: martlet_http_req, _ owner: UInt32, _ head: HTTPHead) -> martlet_status
    func write(_ id: martlet_http_req, _ owner: UInt32, _ bytes: [UInt8]) -> martlet_status
    func event(_ id: martlet_http_req, _ owner: UInt32, _ event: HTTPEvent) -> martlet_status
    func end(_ id: martlet_http_req, _ owner: UInt32) -> martlet_status
    func resume(_ id: martlet_http_req, _ owner: UInt32) -> martlet_status
    func answerAuth(_ id: martlet_http_req, _ owner: UInt32, _ verdict: HTTPVerdict) -> martlet_status
}

public struct HTTPPair: Sendable, Equatable {
    public var name: String
    public var value: String
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// Status and headers of an answer.
public struct HTTPHead: Sendable, Equatable {
    public var status: Int
    public var fields: [HTTPPair]
    public init(status: Int, fields: [HTTPPair] = []) {
        self.status = status
        self.fields = fields
    }
}

public struct HTTPEvent: Sendable, Equatable {
    public var name = ""
    public var id = ""
    public var data: [UInt8] = []
    /// Milliseconds; 0: not sent.
    public var retry = 0
    public init() {}
}

/// A request on its way to a handler.
public struct HTTPArrival: Sendable {
    public var id: martlet_http_req
    public var isSecure = false
    public var method = ""
    public var path = ""
    public var query = ""
    public var peer = ""
    public var listener = ""
    public var user = ""
    public var params: [HTTPPair] = []
    public var queryFields: [HTTPPair] = []
    public var headers: [HTTPPair] = []
    public var body: [UInt8] = []

    public init(id: martlet_http_req) { self.id = id }
}

/// What a client presented.
public struct HTTPCredentials: Sendable, Equatable {
    public enum Secret: Sendable, Equatable {
        case basic(username: String, password: String)
        case bearer(token: String)
    }
    public var secret: Secret
    public init(_ secret: Secret) { self.secret = secret }
}

public enum HTTPVerdict: Sendable, Equatable {
    case ignored
    case allowed(user: String)
    case denied
    /// The authenticator could not tell.
    case failed
    /// It answers later.
    case pending
}

/// Everything plugins serve over HTTP at a moment.
public struct HTTPRegistry: Sendable {
    public var routes: [HTTPRoute] = []
    /// In the order in which they are asked.
    public var authenticators: [HTTPAuthenticator] = []
    public init() {}
}
