// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import PluginHost

/// One request on its way: whose it is, who may ask it, and what is answered. Runs on the server's loop.
struct Visit {
    let door: Door
    let keeper: Keeper
    let request: Request
    let channel: any Channel
    let peer: PeerAddress

    /// What becomes of the request.
    enum Plan {
        case own(HTTPHead, [UInt8])
        case file(FileAnswer)
        /// A plugin is to be asked, in the name of this user.
        case ask(Router.Match, user: String)
    }

    var server: HTTPServer { door.server }
    var method: String { request.head.method.rawValue }
    var isHead: Bool { method == "HEAD" }

    func run(_ writer: consuming ResponseWriter) async throws {
        // [RFC 9110 §9.3.7] About the server and none of its paths: that it is there.
        if method == "OPTIONS", request.head.path == "*" { return try await send((HTTPHead(status: 204), []), writer) }
        guard let target = Target(request.head.path ?? "") else {
            return try await send(own(400, "The path or the query is not valid."), writer)
        }
        if let answer = preflight(target) { return try await send(answer, writer) }
        let exchange = server.makeExchange(method)
        keeper.exchange = exchange
        defer {
            exchange.leave(martlet_status(MARTLET_E_IO))
            server.requests.remove(exchange)
        }
        switch await plan(target, exchange) {
        case .own(let head, let body): try await send((head, body), writer)
        case .file(let answer): try await send(answer, writer)
        case .ask(let match, let user): try await ask(match, target, user, exchange, writer)
        }
    }

    // MARK: - Deciding

    func plan(_ target: Target, _ exchange: Exchange) async -> Plan {
        switch server.router.find(method, target, on: door.options.routesName) {
        case .none where target.path == "/status" && (method == "GET" || isHead):
            return .own(
                HTTPHead(status: 200, fields: [HTTPPair("content-type", "text/plain; charset=utf-8")]),
                Array(server.statusText.utf8))
        case .none where target.path == "/status":
            return Plan(own(405, "/status has no method \(method), only GET, HEAD.", [HTTPPair("allow", "GET, HEAD")]))
        case .none: return Plan(own(404, "There is nothing at \(target.path)."))
        case .otherMethods(let methods):
            let list = methods.joined(separator: ", ")
            return Plan(own(405, "\(target.path) has no method \(method), only \(list).", [HTTPPair("allow", list)]))
        case .found(let match):
            var user = ""
            if match.route.auth != 0 {
                switch await authenticate(match.route, target, exchange) {
                case .allowed(let name): user = name
                case .refused(let answer): return Plan(answer)
                }
            }
            guard case .folder(let folder) = match.route.kind else { return .ask(match, user: user) }
            return file(folder, match, target)
        }
    }

    func own(_ status: Int, _ sentence: String? = nil, _ more: [HTTPPair] = []) -> (HTTPHead, [UInt8]) {
        let (fields, body) = hostAnswer(status, sentence)
        return (HTTPHead(status: status, fields: fields + more), body)
    }

    // MARK: - Authentication

    private enum Entry {
        case allowed(String)
        case refused((HTTPHead, [UInt8]))
    }

    private func authenticate(_ route: HTTPRoute, _ target: Target, _ exchange: Exchange) async -> Entry {
        let wait = server.failures.wait(peer.failureKey, now: door.now)
        guard wait == 0 else { return .refused(own(429, nil, [HTTPPair("retry-after", "\(wait)")])) }
        let unknown = own(401, nil, challenges(route.auth).map { HTTPPair("www-authenticate", $0) })
        guard let header = request.headers[.authorization],
            let credentials = HTTPCredentials(header, accepting: route.auth)
        else { return .refused(unknown) }
        let clock = deadline(route, exchange)
        defer { clock.cancel() }
        switch await verdict(credentials, call(exchange.id, target), exchange) {
        case .allowed(let user):
            server.failures.succeeded(peer.failureKey)
            return .allowed(user.isEmpty ? credentials.claimed : user)
        case .failed, .pending: return .refused(own(503, "Who you are cannot be found out at the moment."))
        case .denied, .ignored:
            server.failures.failed(peer.failureKey, now: door.now)
            return .refused(unknown)
        }
    }

    /// Of the first authenticator that does not ignore them.
    private func verdict(
        _ credentials: HTTPCredentials, _ call: HTTPArrival, _ exchange: Exchange
    ) async -> HTTPVerdict {
        for authenticator in server.router.registry.authenticators {
            exchange.expectVerdict(of: authenticator.owner)
            var verdict = await server.onControl { authenticator.ask(credentials, about: call) }
            if verdict == .pending { verdict = await exchange.verdict() ?? .failed }
            exchange.expectVerdict(of: 0)
            if verdict != .ignored { return verdict }
        }
        return .ignored
    }

    func deadline(_ route: HTTPRoute, _ exchange: Exchange) -> Scheduled<Void> {
        let limit = route.timeoutMS ?? door.options.requestTimeout
        return server.loop.scheduleTask(in: .milliseconds(Int64(limit))) {
            exchange.giveUp(504, martlet_status(MARTLET_E_TIMEOUT))
        }
    }

    func call(_ id: martlet_http_req, _ target: Target) -> HTTPArrival {
        var call = HTTPArrival(id: id)
        call.isSecure = door.isSecure
        call.method = method
        call.path = target.path
        call.query = target.query
        call.queryFields = target.fields
        call.peer = peer.text
        call.listener = door.options.routesName
        call.headers = request.head.authority.map { [HTTPPair("host", $0)] } ?? []
        for field in request.headers where field.name != .authorization {
            call.headers.append(HTTPPair(field.name.canonicalName, field.value))
        }
        return call
    }
}

extension Visit.Plan {
    init(_ answer: (HTTPHead, [UInt8])) { self = .own(answer.0, answer.1) }
}

extension Door {
    /// What Hummingbird calls for every request.
    func answer(_ request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel) async throws {
        guard let keeper = keeper(of: channel) else { throw NotAdmitted() }
        try await Visit(door: self, keeper: keeper, request: request, channel: channel, peer: keeper.peer).run(writer)
    }
}
