// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import HTTPTypes
import HummingbirdCore
import NIOCore
import PluginHost

/// An answer that cannot be completed: the connection ends, so that nobody takes a part for the whole.
struct AnswerBroken: Error {}

/// Writing the answer.
extension Visit {
    func send(_ answer: (HTTPHead, [UInt8]), _ writer: consuming ResponseWriter) async throws {
        let (head, body) = answer
        var response = response(head)
        let hasBody = head.status != 204 && head.status != 304
        if hasBody { response.headerFields[.contentLength] = "\(body.count)" }
        guard hasBody, !isHead, !body.isEmpty else { return try await writer.writeResponse(response) }
        var out = try await writer.writeHead(response)
        try await out.write(ByteBuffer(bytes: body))
        try await out.finish(nil)
    }

    /// What the plugin, or the host in its place, answers.
    func write(_ output: Exchange.Output, _ exchange: Exchange, _ writer: consuming ResponseWriter) async throws {
        switch output {
        case .whole(let head, let body): try await send((head, body), writer)
        case .head(let head): try await stream(head, exchange, writer)
        case .fail(let status):
            let more = status == 503 ? [HTTPPair("retry-after", "1")] : []
            try await send(own(status, nil, more), writer)
        case .bytes, .end, .again, .gone:
            keeper.close("normal")
            throw AnswerBroken()
        }
    }

    private func stream(_ head: HTTPHead, _ exchange: Exchange, _ writer: consuming ResponseWriter) async throws {
        let response = response(head)
        if isHead || head.status == 204 || head.status == 304 { return try await writer.writeResponse(response) }
        let isEvents = response.headerFields[.contentType]?.hasPrefix("text/event-stream") ?? false
        let heart = server.loop.scheduleRepeatedTask(
            initialDelay: .milliseconds(Int64(door.server.heartbeat)), delay: .milliseconds(Int64(server.heartbeat))
        ) { _ in exchange.beat() }
        defer { heart.cancel() }
        var out = try await writer.writeHead(response)
        while true {
            switch await exchange.next() {
            case .bytes(let bytes):
                try await out.write(ByteBuffer(bytes: bytes))
                exchange.written(bytes.count)
            case .end: return try await out.finish(nil)
            case .fail where isEvents: return try await out.finish(nil)
            default:
                keeper.close("normal")
                throw AnswerBroken()
            }
        }
    }

    func response(_ head: HTTPHead) -> HTTPResponse {
        var response = HTTPResponse(status: .init(code: head.status))
        for field in head.fields + corsFields() {
            guard let name = HTTPField.Name(field.name) else { continue }
            response.headerFields.append(HTTPField(name: name, value: field.value))
        }
        response.headerFields[.date] = httpDate(Int(time(nil)))
        return response
    }
}
