// SPDX-License-Identifier: Apache-2.0
import CMartlet
import HTTPTypes
import HummingbirdCore
import NIOCore
import NIOHTTP1
import PluginHost

/// Asking a plugin: the body in, the answer out.
extension Visit {
    func ask(
        _ first: Router.Match, _ target: Target, _ user: String, _ exchange: Exchange,
        _ writer: consuming ResponseWriter
    ) async throws {
        var match = first
        var call = call(exchange.id, target)
        call.user = user
        // [RFC 9110 §10.1.1] What the header tells already is answered before the client is asked for its body.
        if let limit = bodyLimit(match.route), declaredLength > limit {
            return try await send(own(413), writer)
        }
        try await greet(writer)
        if case .handler(streamsBody: false) = match.route.kind {
            switch try await wholeBody(match.route) {
            case .success(let body): call.body = body
            case .failure(let refusal): return try await send(own(refusal.status), writer)
            }
        }
        while true {
            let token = match.route.token
            guard server.requests.enter(token, limit: match.route.maxRequests) else {
                return try await send(own(503, nil, [HTTPPair("retry-after", "1")]), writer)
            }
            defer { server.requests.leave(token) }
            let clock = deadline(match.route, exchange)
            defer { clock.cancel() }
            let feeder = await begin(match, call, exchange)
            let output = await exchange.next()
            clock.cancel()
            if output != .again {
                try await write(output, exchange, writer)
                feeder?.cancel()
                return await feeder?.value ?? ()
            }
            guard case .found(let next) = server.router.find(method, target, on: door.options.routesName),
                next.route.auth == match.route.auth, next.route.kind == match.route.kind
            else { return try await send(own(503, nil, [HTTPPair("retry-after", "1")]), writer) }
            match = next
        }
    }

    /// [RFC 9110 §10.1.1] The client waits for a word before it sends its body, if it has one.
    private func greet(_ writer: borrowing ResponseWriter) async throws {
        guard request.headers[.expect]?.lowercased() == "100-continue",
            declaredLength > 0 || request.headers[.transferEncoding] != nil
        else { return }
        try await writer.writeInformationalHead(HTTPResponse(status: .continue))
    }

    /// Bytes a body may have; nil: any number, for the route takes it in pieces.
    private func bodyLimit(_ route: HTTPRoute) -> Int? {
        if case .handler(streamsBody: true) = route.kind { return route.maxBody }
        return route.maxBody ?? door.options.maxBody
    }

    /// Bytes of the body as the client announces them, 0 when it does not.
    private var declaredLength: Int { request.headers[.contentLength].flatMap { Int($0) } ?? 0 }

    /// Calls the handler. What comes of it is read from the exchange.
    private func begin(_ match: Router.Match, _ call: HTTPArrival, _ exchange: Exchange) async -> Task<Void, Never>? {
        var call = call
        call.params = match.params
        let route = match.route
        guard exchange.expectAnswer(of: route) else { return nil }
        let isCalled = await server.onControl { [call] in route.begin(call) }
        guard isCalled else {
            // Unloaded or replaced between the look-up and the call: its open requests have been ended by then, or
            // this one was not yet among them.
            exchange.revoke(again: true, wasAsked: false)
            return nil
        }
        guard case .handler(streamsBody: true) = route.kind else { return nil }
        return Task(executorPreference: server.executor) { await feed(route, exchange) }
    }

    // MARK: - The body

    struct Refusal: Error { let status: Int }

    private func wholeBody(_ route: HTTPRoute) async throws -> Result<[UInt8], Refusal> {
        let limit = route.maxBody ?? door.options.maxBody
        let keeper = keeper
        let clock = server.loop.scheduleTask(in: .milliseconds(Int64(door.options.requestTimeout))) {
            keeper.refuse(408, "body_timeout")
        }
        defer { clock.cancel() }
        do {
            let buffer = try await request.body.collect(upTo: limit)
            return .success(Array(buffer.readableBytesView))
        } catch is NIOTooManyBytesError {
            return .failure(Refusal(status: 413))
        }
    }

    /// Hands the body to the plugin piece by piece; each is taken before the next is read.
    private func feed(_ route: HTTPRoute, _ exchange: Exchange) async {
        var total = 0
        do {
            var pieces = request.body.makeAsyncIterator()
            while var buffer = try await next(&pieces) {
                total += buffer.readableBytes
                if let limit = route.maxBody, total > limit {
                    return exchange.giveUp(413, martlet_status(MARTLET_E_INVAL))
                }
                while let piece = buffer.readBytes(length: min(buffer.readableBytes, 64 << 10)), !piece.isEmpty {
                    guard await give(piece, isLast: false, route, exchange) else { return }
                }
            }
            _ = await give([], isLast: true, route, exchange)
        } catch {
            // The client's bytes were wrong, or it is gone.
            exchange.giveUp(400, martlet_status(MARTLET_E_IO))
        }
    }

    /// The next piece, within the time a client may be silent.
    private func next(_ pieces: inout RequestBody.AsyncIterator) async throws -> ByteBuffer? {
        let keeper = keeper
        let clock = server.loop.scheduleTask(in: .milliseconds(Int64(door.options.requestTimeout))) {
            keeper.refuse(408, "body_timeout")
        }
        defer { clock.cancel() }
        return try await pieces.next()
    }

    /// False when the request is over.
    private func give(_ piece: [UInt8], isLast: Bool, _ route: HTTPRoute, _ exchange: Exchange) async -> Bool {
        guard !Task.isCancelled else { return false }
        exchange.pauseBody()
        let id = exchange.id
        let status = await server.onControl { route.chunk(id, piece, isLast: isLast) }
        switch Int(status) {
        case MARTLET_OK: exchange.unpauseBody()
        case MARTLET_E_BUSY: break
        default:
            exchange.giveUp(400, status)
            return false
        }
        return await exchange.mayFeed()
    }
}
