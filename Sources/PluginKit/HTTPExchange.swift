// SPDX-License-Identifier: Apache-2.0
/// A request as its handler sees it: borrowed until the handler returns, but for `exchange`.
public struct HTTPRequest: ~Copyable {
    public let raw: UnsafePointer<martlet_http_request>
    let tables: Tables

    public var host: Host { Host(tables: tables) }
    /// To answer later, from any thread.
    public var exchange: HTTPExchange { HTTPExchange(tables: tables, id: raw.pointee.id) }
    public var isSecure: Bool { raw.pointee.secure }
    public var method: Bytes { Bytes(raw.pointee.method) }
    /// As sent, percent-encoded, without the query.
    public var path: Bytes { Bytes(raw.pointee.path) }
    public var query: Bytes { Bytes(raw.pointee.query) }
    public var peer: Bytes { Bytes(raw.pointee.peer) }
    public var listener: Bytes { Bytes(raw.pointee.listener) }
    /// Whom the authenticator named; empty on an open route.
    public var user: Bytes { Bytes(raw.pointee.user) }
    public var body: Bytes { Bytes(raw.pointee.body) }

    /// Of the pattern, decoded; empty when it has none of this name.
    public func parameter(_ name: StaticString) -> Bytes {
        find(raw.pointee.params, raw.pointee.nparams, name) ?? .empty
    }
    /// The first of this name, decoded.
    public func queryField(_ name: StaticString) -> Bytes? {
        find(raw.pointee.query_fields, raw.pointee.nquery_fields, name)
    }
    /// Without regard to case.
    public func header(_ name: StaticString) -> Bytes? { find(raw.pointee.headers, raw.pointee.nheaders, name) }

    private func find(_ fields: UnsafePointer<martlet_http_field>?, _ count: Int, _ name: StaticString) -> Bytes? {
        guard let table = tables.pointee.http else { return nil }
        var value = martlet_bytes()
        guard table.pointee.find(fields, count, name.cString, &value) else { return nil }
        return Bytes(value)
    }

    /// The whole answer at once.
    @discardableResult public func answer(
        _ text: String, status: Int = 200, type: StaticString = "text/plain; charset=utf-8"
    ) -> Status {
        text.withBytes { exchange.answer($0, status: status, type: type) }
    }
}

/// A header of an answer.
public struct HTTPHeader {
    let name: StaticString
    let value: String
    public init(_ name: StaticString, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An open request. [any] `.stale` when it has been answered, has timed out, or its client has left.
public struct HTTPExchange: Equatable {
    let tables: Tables
    public let id: martlet_http_req

    public static func == (a: HTTPExchange, b: HTTPExchange) -> Bool { a.id == b.id }

    /// The whole answer, once.
    @discardableResult public func answer(
        _ body: Bytes, status: Int = 200, type: StaticString = "text/plain; charset=utf-8",
        headers: [HTTPHeader] = []
    ) -> Status {
        withFields(type, headers) { table, fields, count in
            table.pointee.respond(tables.host, id, Int32(status), fields, count, body.raw)
        }
    }
    /// Begins an answer of unknown length.
    @discardableResult public func begin(
        status: Int = 200, type: StaticString = "text/plain; charset=utf-8", headers: [HTTPHeader] = []
    ) -> Status {
        withFields(type, headers) { table, fields, count in
            table.pointee.respond_begin(tables.host, id, Int32(status), fields, count)
        }
    }
    /// `.busy`: nothing was taken; `Options.writable` is called when there is room.
    @discardableResult public func write(_ bytes: Bytes) -> Status {
        with { $0.pointee.write(tables.host, id, bytes.raw) }
    }
    @discardableResult public func end() -> Status { with { $0.pointee.end(tables.host, id) } }

    /// A server-sent event; the first one begins the answer. `.busy` as with `write`.
    @discardableResult public func send(
        _ data: Bytes, name: Bytes = .empty, id eventID: Bytes = .empty, retry: UInt32 = 0
    ) -> Status {
        with { table in
            var event = martlet_http_event(
                size: UInt32(MemoryLayout<martlet_http_event>.size), retry_ms: retry, name: name.raw, id: eventID.raw,
                data: data.raw)
            return table.pointee.event(tables.host, id, &event)
        }
    }
    /// The next piece of the body, after `Chunk` answered `.busy`.
    @discardableResult public func resume() -> Status { with { $0.pointee.resume(tables.host, id) } }

    /// The verdict of an authenticator that answered `.pending`.
    @discardableResult public func judge(_ verdict: HTTPVerdict) -> Status {
        with { table in
            var result = martlet_http_auth_result()
            result.size = UInt32(MemoryLayout<martlet_http_auth_result>.size)
            result.verdict = verdict.rawValue
            guard case .allowAs(let name) = verdict else { return table.pointee.auth_answer(tables.host, id, &result) }
            return name.withBytes {
                result.user = $0.raw
                return table.pointee.auth_answer(tables.host, id, &result)
            }
        }
    }

    private func with(_ call: (UnsafePointer<martlet_http_v1>) -> martlet_status) -> Status {
        guard let table = tables.pointee.http else { return .unsupported }
        return Status(call(table))
    }

    private func withFields(
        _ type: StaticString, _ headers: [HTTPHeader],
        _ call: (UnsafePointer<martlet_http_v1>, UnsafePointer<martlet_http_field>?, Int) -> martlet_status
    ) -> Status {
        with { table in
            // Values in one run of bytes, so that all of them are lent at once.
            var text: [UInt8] = []
            for header in headers { text += Array(header.value.utf8) }
            return text.withBytes { text in
                var fields = [martlet_http_field(name: Bytes("content-type").raw, value: Bytes(type).raw)]
                var start = 0
                for header in headers {
                    let end = start + header.value.utf8.count
                    fields.append(
                        martlet_http_field(name: Bytes(header.name).raw, value: text.slice(start, end).raw))
                    start = end
                }
                return fields.withUnsafeBufferPointer { call(table, $0.baseAddress, $0.count) }
            }
        }
    }
}
