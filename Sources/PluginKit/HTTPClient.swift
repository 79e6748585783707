// SPDX-License-Identifier: Apache-2.0
/// martlet.httpc/1: HTTP requests to other servers. The host keeps connections, bounds what waits, and repeats a request
/// only where that is safe. Make a client in `start()`; use it on every thread.
///
/// ```swift
/// let web = try host.httpClient("hooks")
/// let sent = web.send(HTTPClient.Request("POST", url: "http://localhost:8080/event", body: bytes)) { response in
///     if response.httpStatus != 200 { … }
/// }
/// if !sent.isUnderWay { … }      // the queue is full: the closure is not called
/// ```
public struct HTTPClient {
    fileprivate let box: Unmanaged<ClientBox>

    /// 0 and empty mean the host's default, named in martlet/httpc.h.
    public struct Options {
        public var maxHostConnections: UInt32 = 0
        /// Requests waiting and under way; above it `send` answers `.busy`.
        public var maxOpen: UInt32 = 0
        /// Seconds, at most 60.
        public var dnsTTL: UInt32 = 0
        public var idleSeconds: UInt32 = 0
        /// PEM files.
        public var caFile = ""
        public var certificateFile = ""
        public var keyFile = ""
        public var keyPassword = ""
        public var proxy = ""
        /// For tests: anybody may answer in a server's place.
        public var acceptsAnyCertificate = false
        public init() {}
    }

    /// A request to be; copied when it is sent, so one value may be sent many times.
    public struct Request {
        let method: StaticString
        /// The URL, then names and values of the headers.
        private var text: [UInt8]
        private let urlEnd: Int
        private var fields: [(start: Int, nameEnd: Int, end: Int)] = []
        public var body: [UInt8]
        /// Milliseconds for everything, waiting included; 0: 10,000.
        public var timeout: UInt32 = 0
        /// Milliseconds; 0: 5,000.
        public var connectTimeout: UInt32 = 0
        /// A longer response fails; 0: 1 MiB.
        public var maxResponseBytes: UInt32 = 0
        /// Where it is safe; see martlet/httpc.h.
        public var retries: UInt32 = 0
        /// Of GET and HEAD.
        public var followsRedirects = false
        /// The server may receive this twice, although the method is not idempotent.
        public var mayRepeat = false

        public init(_ method: StaticString = "GET", url: String, body: [UInt8] = []) {
            self.method = method
            self.body = body
            text = [UInt8](url.utf8)
            urlEnd = text.count
        }
        public mutating func header(_ name: StaticString, _ value: Bytes) {
            let start = text.count
            text += Bytes(name)
            let nameEnd = text.count
            text += value
            fields.append((start, nameEnd, text.count))
        }
        public mutating func header(_ name: StaticString, _ value: String) {
            value.withBytes { header(name, $0) }
        }

        fileprivate func lend(_ send: (UnsafePointer<martlet_httpc_request>) -> martlet_status) -> martlet_status {
            text.withBytes { text in
                var headers: [martlet_httpc_header] = []
                for field in fields {
                    headers.append(
                        martlet_httpc_header(
                            name: text.slice(field.start, field.nameEnd).raw,
                            value: text.slice(field.nameEnd, field.end).raw))
                }
                return headers.span.withUnsafeBufferPointer { headers in
                    body.withBytes { body in
                        var raw = martlet_httpc_request()
                        raw.size = UInt32(MemoryLayout<martlet_httpc_request>.size)
                        raw.flags =
                            (followsRedirects ? UInt32(MARTLET_HTTPC_FOLLOW) : 0)
                            | (mayRepeat ? UInt32(MARTLET_HTTPC_MAY_REPEAT) : 0)
                        raw.method = Bytes(method).raw
                        raw.url = text.slice(0, urlEnd).raw
                        raw.headers = headers.baseAddress
                        raw.nheaders = headers.count
                        raw.body = body.raw
                        raw.timeout_ms = timeout
                        raw.connect_timeout_ms = connectTimeout
                        raw.max_response_bytes = maxResponseBytes
                        raw.retries = retries
                        return send(&raw)
                    }
                }
            }
        }
    }

    /// What came of a request; borrowed until the closure returns.
    public struct Response: ~Copyable {
        public let raw: UnsafePointer<martlet_httpc_response>

        /// `.ok`: a whole response, whatever its `httpStatus`.
        @inline(__always) public var status: Status { Status(raw.pointee.status) }
        /// MARTLET_HTTPC_WHOLE, MARTLET_HTTPC_TIMEOUT … (martlet/httpc.h).
        @inline(__always) public var failure: Int { Int(raw.pointee.failure) }
        /// 200; 0 when none came.
        @inline(__always) public var httpStatus: Int { Int(raw.pointee.http_status) }
        @inline(__always) public var attempts: Int { Int(raw.pointee.attempts) }
        @inline(__always) public var body: Bytes { Bytes(raw.pointee.body) }
        /// One sentence for the log; empty when all is well.
        @inline(__always) public var error: Bytes { Bytes(raw.pointee.error) }
        @inline(__always) public var headerCount: Int { raw.pointee.nheaders }

        public func header(_ index: Int) -> (name: Bytes, value: Bytes)? {
            guard index >= 0, index < headerCount, let headers = raw.pointee.headers else { return nil }
            return (Bytes(headers[index].name), Bytes(headers[index].value))
        }
        /// The first of that name, in any case.
        public func header(_ name: StaticString) -> Bytes? {
            var index = 0
            while let field = header(index) {
                if sameWord(field.name, Bytes(name)) { return field.value }
                index += 1
            }
            return nil
        }
    }

    /// A request that was sent, or was not.
    public struct Sent {
        /// `.busy`: too many are open. Anything but `.ok`: the closure will not be called.
        public let status: Status
        fileprivate let token: martlet_token
        fileprivate let call: Unmanaged<Call>
        fileprivate let client: Unmanaged<ClientBox>
        public var isUnderWay: Bool { status == .ok }

        /// [any] True: the closure is not called. False: it was, or is being called.
        @discardableResult public func cancel() -> Bool {
            guard isUnderWay else { return false }
            let box = client.takeUnretainedValue()
            guard let table = box.tables.pointee.httpc, table.pointee.cancel(box.tables.host, token) == 0 else {
                return false
            }
            box.remove(call)
            return true
        }
    }

    /// [any] The closure is called once, on this loop, or on the control thread when this is none; not at all once the
    /// plugin stops.
    @discardableResult
    public func send(_ request: Request, _ body: @escaping (borrowing Response) -> Void) -> Sent {
        let owner = box.takeUnretainedValue()
        let call = Unmanaged.passRetained(Call(box, body))
        var token: martlet_token = 0
        var status = Status.unsupported
        owner.add(call)
        if let table = owner.tables.pointee.httpc {
            status = Status(
                request.lend {
                    table.pointee.request(owner.tables.host, owner.token, $0, Call.run, call.toOpaque(), &token)
                })
        }
        if status != .ok { owner.remove(call) }
        return Sent(status: status, token: token, call: call, client: box)
    }

    /// [main] Ends the client and cancels what is open. Closures that are not called any more are freed with the plugin.
    public func close() {
        let owner = box.takeUnretainedValue()
        guard let table = owner.tables.pointee.httpc else { return }
        _ = table.pointee.close(owner.tables.host, owner.token)
    }
}

extension Host {
    /// [main] At most 16 per plugin. Throws where there is no libcurl, and when a file cannot be read.
    public func httpClient(
        _ name: StaticString, _ options: HTTPClient.Options = HTTPClient.Options()
    ) throws(PluginError) -> HTTPClient {
        let table = try tables.need(tables.pointee.httpc, "martlet.httpc/1")
        let box = ClientBox(tables)
        let status = lend(name, options) { table.pointee.client(tables.host, $0, &box.token) }
        try Status(status).check()
        _ = box.keep()
        return HTTPClient(box: Unmanaged.passUnretained(box))
    }

    private func lend(
        _ name: StaticString, _ options: HTTPClient.Options,
        _ body: (UnsafePointer<martlet_httpc_options>) -> martlet_status
    ) -> martlet_status {
        var raw = martlet_httpc_options()
        raw.size = UInt32(MemoryLayout<martlet_httpc_options>.size)
        raw.flags = options.acceptsAnyCertificate ? UInt32(MARTLET_HTTPC_ANY_CERTIFICATE) : 0
        raw.name = Bytes(name).raw
        raw.max_host_connections = options.maxHostConnections
        raw.max_open = options.maxOpen
        raw.dns_ttl_s = options.dnsTTL
        raw.idle_s = options.idleSeconds
        return options.caFile.withBytes { ca in
            options.certificateFile.withBytes { certificate in
                options.keyFile.withBytes { key in
                    options.keyPassword.withBytes { password in
                        options.proxy.withBytes { proxy in
                            raw.ca_file = ca.raw
                            raw.certificate_file = certificate.raw
                            raw.key_file = key.raw
                            raw.key_password = password.raw
                            raw.proxy = proxy.raw
                            return body(&raw)
                        }
                    }
                }
            }
        }
    }
}

/// A client, and the closures that wait for their responses: those the host never calls, because the plugin ends
/// first, are freed with this box.
private final class ClientBox: Box {
    var token: martlet_token = 0
    private let lock = Lock()
    private var first: Unmanaged<Call>?

    /// Takes over the one reference of `call`.
    func add(_ call: Unmanaged<Call>) {
        lock.withLock {
            call._withUnsafeGuaranteedRef { $0.next = first }
            first?._withUnsafeGuaranteedRef { $0.previous = call }
            first = call
        }
    }
    /// Frees it.
    func remove(_ call: Unmanaged<Call>) {
        lock.withLock {
            call._withUnsafeGuaranteedRef { call in
                if let previous = call.previous {
                    previous._withUnsafeGuaranteedRef { $0.next = call.next }
                } else {
                    first = call.next
                }
                call.next?._withUnsafeGuaranteedRef { $0.previous = call.previous }
            }
        }
        call.release()
    }
    deinit {
        while let call = first {
            first = call._withUnsafeGuaranteedRef { $0.next }
            call.release()
        }
    }
}

private final class Call {
    let client: Unmanaged<ClientBox>
    let body: (borrowing HTTPClient.Response) -> Void
    var next: Unmanaged<Call>?
    var previous: Unmanaged<Call>?

    init(_ client: Unmanaged<ClientBox>, _ body: @escaping (borrowing HTTPClient.Response) -> Void) {
        self.client = client
        self.body = body
    }

    static var run: martlet_httpc_fn {
        { user, response in
            let call = Unmanaged<Call>.fromOpaque(user.unsafelyUnwrapped)
            call._withUnsafeGuaranteedRef { $0.body(HTTPClient.Response(raw: response)) }
            let client = call._withUnsafeGuaranteedRef { $0.client }
            client.takeUnretainedValue().remove(call)
        }
    }
}

/// Equal but for the case of ASCII letters.
private func sameWord(_ left: Bytes, _ right: Bytes) -> Bool {
    guard left.count == right.count else { return false }
    var index = 0
    while let a = left.at(index), let b = right.at(index) {
        if a != b {
            guard a ^ b == 0x20, a | 0x20 >= UInt8(ascii: "a"), a | 0x20 <= UInt8(ascii: "z") else { return false }
        }
        index += 1
    }
    return true
}
