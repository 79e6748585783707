// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import HTTPClient

/// martlet.http/1
nonisolated(unsafe) let httpTable = permanent(
    martlet_http_v1(
        size: size(of: martlet_http_v1.self),
        route: { host, route, out in
            registering(host, "http.route", out) { instance throws(RegistrationError) in
                guard let route = readSized(route) else {
                    throw RegistrationError(statusInvalid, "the struct is too small")
                }
                return try addRoute(instance, route)
            }
        },
        files: { host, files, out in
            registering(host, "http.files", out) { instance throws(RegistrationError) in
                guard let files = readSized(files) else {
                    throw RegistrationError(statusInvalid, "the struct is too small")
                }
                return try addFiles(instance, files)
            }
        },
        authenticator: { host, priority, function, user, out in
            registering(host, "http.authenticator", out) { instance throws(RegistrationError) in
                guard isPresent(function) else { throw RegistrationError(statusInvalid, "the function is NULL") }
                guard instance.httpAuthenticators.count < 16 else {
                    throw RegistrationError(statusNoMemory, "16 authenticators are the limit")
                }
                let asked = HTTPAuthenticator(instance.host.nextToken(), instance, priority, function, user)
                instance.httpAuthenticators[asked.token] = asked
                if instance.phase == .running { instance.host.publishHTTP() }
                return asked.token
            }
        },
        remove: { host, token in
            let instance = instance(host)
            guard isMainThread else { return instance.wrongThread("http.remove", wanted: "the control thread") }
            if instance.httpAuthenticators.removeValue(forKey: token) == nil {
                guard instance.httpRoutes.removeValue(forKey: token) != nil else { return statusStale }
            }
            instance.host.publishHTTP()
            instance.host.httpServer?.endRequests(route: token)
            return statusOK
        },
        respond: { host, id, status, headers, count, body in
            answering(host, status, headers, count) { port, owner, head in
                guard let body = copied(body, limit: Int(MARTLET_HTTP_MAX_BODY)) else { return statusInvalid }
                return port.respond(id, owner, head, body: body)
            }
        },
        respond_begin: { host, id, status, headers, count in
            answering(host, status, headers, count) { port, owner, head in port.begin(id, owner, head) }
        },
        write: { host, id, bytes in
            guard let bytes = copied(bytes, limit: Int(MARTLET_HTTP_MAX_WRITE)) else { return statusInvalid }
            return calling(host) { $0.write(id, $1, bytes) }
        },
        end: { host, id in calling(host) { $0.end(id, $1) } },
        event: { host, id, event in
            guard let raw = event.flatMap(readSized), let event = HTTPEvent(raw) else { return statusInvalid }
            return calling(host) { $0.event(id, $1, event) }
        },
        resume: { host, id in calling(host) { $0.resume(id, $1) } },
        auth_answer: { host, id, result in
            guard let raw = readSized(result), let verdict = HTTPVerdict(raw), verdict != .pending else {
                return statusInvalid
            }
            return calling(host) { $0.answerAuth(id, $1, verdict) }
        },
        find: { fields, count, name, out in
            let name = cText(name, limit: 256)?.lowercased()
            for index in 0..<(fields == nil ? 0 : max(0, count)) {
                guard let field = fields?[index], field.name.line(limit: 256).lowercased() == name else { continue }
                out.pointee = field.value
                return true
            }
            out.pointee = martlet_bytes(ptr: nil, len: 0)
            return false
        },
        same_secret: { a, b in
            guard let a = a.buffer, let b = b.buffer else { return false }
            return sameSecret(a, b)
        }))

/// Looks at every byte of `b`, wherever and whether they differ.
func sameSecret(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    var difference = a.count ^ b.count
    for index in 0..<b.count {
        difference |= Int((a.isEmpty ? 0 : a[index % a.count]) ^ b[index])
    }
    return difference == 0
}

private func calling(_ host: HostPointer, _ body: (any HTTPPort, UInt32) -> martlet_status) -> martlet_status {
    let instance = instance(host)
    guard instance.phase != .gone, let port = instance.host.httpServer else { return statusStale }
    return body(port, instance.owner)
}

private func answering(
    _ host: HostPointer, _ status: Int32, _ headers: UnsafePointer<martlet_http_field>?, _ count: Int,
    _ body: (any HTTPPort, UInt32, HTTPHead) -> martlet_status
) -> martlet_status {
    guard let head = HTTPHead(status, headers, count) else { return statusInvalid }
    return calling(host) { body($0, $1, head) }
}

private func copied(_ bytes: martlet_bytes, limit: Int) -> [UInt8]? {
    guard let buffer = bytes.buffer, buffer.count <= limit else { return nil }
    return Array(buffer)
}

/// Headers that are the host's to set.
private let ownHeaders: Set<String> = ["content-length", "transfer-encoding", "connection", "date", "keep-alive"]

extension HTTPHead {
    /// Nil when the status is none or a header could break the answer apart.
    init?(_ status: Int32, _ headers: UnsafePointer<martlet_http_field>?, _ count: Int) {
        guard (200...599).contains(status), (0...100).contains(count), count == 0 || headers != nil else { return nil }
        self.init(status: Int(status))
        for index in 0..<count {
            guard let name = headers?[index].name.buffer, let value = headers?[index].value.buffer,
                (1...256).contains(name.count), value.count <= 8192, name.allSatisfy(isTokenByte),
                value.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
            else { return nil }
            let text = String(decoding: name, as: UTF8.self)
            if ownHeaders.contains(text.lowercased()) { continue }
            fields.append(HTTPPair(text, String(decoding: value, as: UTF8.self)))
        }
    }
}

extension HTTPEvent {
    /// Nil when a name or an id has a line end in it, or there is too much data.
    init?(_ raw: martlet_http_event) {
        guard let name = raw.name.buffer, let id = raw.id.buffer, name.count <= 256, id.count <= 256,
            !name.contains(where: isLineEnd), !id.contains(where: isLineEnd), !id.contains(0),
            let data = copied(raw.data, limit: Int(MARTLET_HTTP_MAX_WRITE))
        else { return nil }
        self.init()
        self.name = String(decoding: name, as: UTF8.self)
        self.id = String(decoding: id, as: UTF8.self)
        self.data = data
        retry = Int(raw.retry_ms)
    }
}

private func isLineEnd(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") }
