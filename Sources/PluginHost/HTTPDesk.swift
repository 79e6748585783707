// SPDX-License-Identifier: Apache-2.0
import CMartlet
import HTTPClient
import Synchronization

/// The HTTP clients of one plugin, and the requests whose callback it waits for. Any thread's, unless said otherwise.
final class HTTPDesk: Sendable {
    struct Client: Sendable {
        let name: String
        let pool: HTTPPool
    }

    private struct State {
        var clients: [martlet_token: Client] = [:]
        var calls: [martlet_token: Exchange] = [:]
        var lastCall: martlet_token = 0
        var isClosed = false
    }

    static let maxClients = 16
    private let state = Mutex(State())

    /// [main] False when there are enough.
    func add(_ client: Client, _ token: martlet_token) -> Bool {
        state.withLock { state in
            guard state.clients.count < Self.maxClients else { return false }
            state.clients[token] = client
            return true
        }
    }

    /// The pool behind a token; nil: it is stale. The one of token 0 is made when it is first asked for.
    func pool(
        _ token: martlet_token, _ make: () throws(HTTPEngine.Unavailable) -> HTTPPool
    ) throws(HTTPEngine.Unavailable) -> HTTPPool? {
        try state.withLock { state throws(HTTPEngine.Unavailable) in
            if let client = state.clients[token] { return client.pool }
            guard token == 0, !state.isClosed else { return nil }
            let pool = try make()
            state.clients[0] = Client(name: "default", pool: pool)
            return pool
        }
    }

    /// Hands a request over and stores its token before anything can come of it.
    func submit(
        _ request: HTTPRequest, to pool: HTTPPool, _ out: UnsafeMutablePointer<martlet_token>?,
        _ make: (martlet_token) -> HTTPCall
    ) -> martlet_status {
        nonisolated(unsafe) let out = out
        return state.withLock { state in
            guard !state.isClosed else { return statusState }
            state.lastCall += 1
            let call = make(state.lastCall)
            guard let exchange = pool.submit(request, { call.completed($0, $1) }) else { return statusBusy }
            state.calls[call.token] = exchange
            out?.pointee = call.token
            return statusOK
        }
    }

    /// True when the callback will not be called.
    func cancel(_ token: martlet_token) -> Bool {
        state.withLock { $0.calls.removeValue(forKey: token) }?.cancel() ?? false
    }

    /// It is about to be called back.
    func forget(_ call: HTTPCall) { state.withLock { $0.calls[call.token] = nil } }

    var openCalls: Int { state.withLock { $0.calls.count } }

    /// [main] By token, which is the order in which they were made.
    var clients: [Client] {
        state.withLock { $0.clients.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// [main] Ends one client and cancels what it has open; nil: there is none.
    func close(_ token: martlet_token) -> Client? {
        let (client, calls) = state.withLock { state in
            let client = state.clients.removeValue(forKey: token)
            let calls = state.calls.filter { $0.value.pool === client?.pool }
            for token in calls.keys { state.calls[token] = nil }
            return (client, calls.values)
        }
        guard let client else { return nil }
        for exchange in calls { exchange.cancel() }
        client.pool.close()
        return client
    }

    /// [main] No request is taken any more.
    func refuse() { state.withLock { $0.isClosed = true } }

    /// [main] Ends everything: what has not been called back by now never is. Returns what there was.
    func cancelAll() -> [Client] {
        let (clients, calls) = state.withLock { state in
            state.isClosed = true
            defer { (state.clients, state.calls) = ([:], [:]) }
            return (Array(state.clients.values), Array(state.calls.values))
        }
        for exchange in calls { exchange.cancel() }
        for client in clients { client.pool.close() }
        return clients
    }
}

/// One request of a plugin: whom to call, and where.
final class HTTPCall: @unchecked Sendable {
    let token: martlet_token
    private let instance: PluginInstance
    private let function: martlet_httpc_fn
    private let user: UnsafeMutableRawPointer?
    /// A loop, or -1: the control thread.
    private let place: Int
    private var result = HTTPResult()

    init(
        _ token: martlet_token, of instance: PluginInstance, _ function: @escaping martlet_httpc_fn,
        _ user: UnsafeMutableRawPointer?, place: Int
    ) {
        self.token = token
        self.instance = instance
        self.function = function
        self.user = user
        self.place = place
    }

    /// On the HTTP client's thread: sends the result where it belongs, as a task of the plugin's, so that an end of the
    /// plugin waits for it.
    func completed(_ exchange: Exchange, _ result: HTTPResult) {
        self.result = result
        let host = instance.host
        if place >= 0 {
            instance.loopTasks.add(1, ordering: .sequentiallyConsistent)
            host.broker.loop(place).post { [self] in
                deliver(exchange)
                instance.loopTasks.subtract(1, ordering: .sequentiallyConsistent)
                instance.host.signalRest()
            }
        } else {
            let delivery = Unmanaged.passRetained(Delivery(self, exchange)).toOpaque()
            _ = instance.mainTasks.put(PluginTask(function: Delivery.run, user: delivery), limit: .max)
            host.control.post { [instance] in instance.runMainTasks() }
            host.signalRest()
        }
    }

    /// A control-thread task: PluginTask takes a C function.
    private final class Delivery {
        let call: HTTPCall
        let exchange: Exchange
        init(_ call: HTTPCall, _ exchange: Exchange) { (self.call, self.exchange) = (call, exchange) }

        static let run: martlet_task = { user in
            let me = Unmanaged<Delivery>.fromOpaque(user!).takeRetainedValue()
            me.call.deliver(me.exchange)
        }
    }

    private func deliver(_ exchange: Exchange) {
        instance.http.forget(self)
        guard exchange.take() else { return }
        instance.watched("httpc callback") { lendResult() }
    }

    private func lendResult() {
        let fields = result.head.fields
        var head = result.takeHead()
        var body = result.takeBody()
        var sentence = Array(result.sentence.utf8)
        lend(&head) { head in
            lend(&body) { body in
                lend(&sentence) { sentence in
                    withUnsafeTemporaryAllocation(of: martlet_httpc_header.self, capacity: max(1, fields.count)) {
                        for (index, field) in fields.enumerated() {
                            $0.initializeElement(
                                at: index,
                                to: martlet_httpc_header(name: part(head, field.name), value: part(head, field.value)))
                        }
                        var response = martlet_httpc_response(
                            size: size(of: martlet_httpc_response.self), status: status(of: result.failure),
                            failure: number(of: result.failure), http_status: result.status,
                            http_version: result.version, attempts: UInt32(clamping: result.attempts),
                            headers: fields.isEmpty ? nil : UnsafePointer($0.baseAddress), nheaders: fields.count,
                            body: body, error: sentence)
                        function(user, &response)
                    }
                }
            }
        }
    }
}

private func part(_ bytes: martlet_bytes, _ range: Range<Int>) -> martlet_bytes {
    martlet_bytes(ptr: bytes.ptr.map { $0 + range.lowerBound }, len: range.count)
}

/// MARTLET_HTTPC_*.
private func number(of failure: HTTPFailure?) -> Int32 {
    switch failure {
    case nil: Int32(MARTLET_HTTPC_WHOLE)
    case .url: Int32(MARTLET_HTTPC_URL)
    case .resolve: Int32(MARTLET_HTTPC_RESOLVE)
    case .connect: Int32(MARTLET_HTTPC_CONNECT)
    case .tls: Int32(MARTLET_HTTPC_TLS)
    case .timeout: Int32(MARTLET_HTTPC_TIMEOUT)
    case .closed: Int32(MARTLET_HTTPC_CLOSED)
    case .tooLarge: Int32(MARTLET_HTTPC_TOO_LARGE)
    case .protocol: Int32(MARTLET_HTTPC_PROTOCOL)
    case .internal: Int32(MARTLET_HTTPC_INTERNAL)
    }
}

private func status(of failure: HTTPFailure?) -> martlet_status {
    switch failure {
    case nil: statusOK
    case .url: statusInvalid
    case .tls: martlet_status(MARTLET_E_DENIED)
    case .timeout: martlet_status(MARTLET_E_TIMEOUT)
    case .tooLarge, .internal: statusNoMemory
    case .resolve, .connect, .closed, .protocol: statusIO
    }
}
