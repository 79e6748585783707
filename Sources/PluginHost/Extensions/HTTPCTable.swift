// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import HTTPClient

/// martlet.httpc/1
nonisolated(unsafe) let httpcTable = permanent(
    martlet_httpc_v1(
        size: size(of: martlet_httpc_v1.self),
        client: { host, options, out in
            registering(host, "httpc.client", out) { instance throws(RegistrationError) in
                try addClient(instance, options)
            }
        },
        close: { host, token in
            let instance = instance(host)
            guard isMainThread else { return instance.wrongThread("httpc.close", wanted: "the control thread") }
            guard let client = instance.http.close(token) else { return statusStale }
            instance.host.remember(client.pool.snapshot())
            return statusOK
        },
        request: { host, token, request, function, user, out in
            let instance = instance(host)
            guard instance.isOpen else { return instance.wrongPhase("httpc.request") }
            do throws(RegistrationError) {
                return try submit(instance, token, request, function, user, out)
            } catch {
                instance.setError(error.status, "httpc.request: \(error.text)")
                return error.status
            }
        },
        cancel: { host, token in instance(host).http.cancel(token) ? statusOK : statusStale }))

private func submit(
    _ instance: PluginInstance, _ token: martlet_token, _ request: UnsafePointer<martlet_httpc_request>,
    _ function: @escaping martlet_httpc_fn, _ user: UnsafeMutableRawPointer?,
    _ out: UnsafeMutablePointer<martlet_token>?
) throws(RegistrationError) -> martlet_status {
    guard isPresent(function) else { throw RegistrationError(statusInvalid, "the callback is NULL") }
    guard let given = readSized(request) else {
        throw RegistrationError(statusInvalid, "the request is NULL or its size is not that of a request")
    }
    let made = try makeRequest(given)
    let place = cr_current_loop()
    let pool: HTTPPool?
    do throws(HTTPEngine.Unavailable) {
        pool = try instance.http.pool(token) { () throws(HTTPEngine.Unavailable) in
            try instance.host.http.makePool(defaults(instance))
        }
    } catch {
        throw unavailable(error)
    }
    guard let pool else { throw RegistrationError(statusStale, "there is no such client") }
    return instance.http.submit(made, to: pool, out) { token in
        HTTPCall(token, of: instance, function, user, place: place >= 0 ? Int(place) : -1)
    }
}

private func unavailable(_ error: HTTPEngine.Unavailable) -> RegistrationError {
    RegistrationError(statusUnsupported, "there are no HTTP requests here: \(error.reason)")
}

/// 0 means the default; what is above the limit is the limit.
private func limited(_ value: UInt32, _ standard: UInt32, most: UInt32) -> UInt32 {
    value == 0 ? standard : min(value, most)
}

private func makeRequest(_ given: martlet_httpc_request) throws(RegistrationError) -> HTTPRequest {
    guard let method = given.method.buffer, let url = given.url.buffer, let body = given.body.buffer else {
        throw RegistrationError(statusInvalid, "bytes have a length and no pointer")
    }
    guard given.flags & ~UInt32(MARTLET_HTTPC_FOLLOW | MARTLET_HTTPC_MAY_REPEAT) == 0 else {
        throw RegistrationError(statusInvalid, "there are no flags \(given.flags)")
    }
    do throws(HTTPRequest.Mistake) {
        var request = try HTTPRequest(method: method, url: url, headers: try headers(given), body: body)
        request.timeoutMS = limited(given.timeout_ms, 10_000, most: 86_400_000)
        request.connectTimeoutMS = limited(given.connect_timeout_ms, 5000, most: 86_400_000)
        request.maxResponseBytes = Int(
            limited(given.max_response_bytes, 1 << 20, most: UInt32(HTTPRequest.maxBodyBytes)))
        request.retries = Int(min(given.retries, 10))
        request.followsRedirects = given.flags & UInt32(MARTLET_HTTPC_FOLLOW) != 0
        request.mayArriveTwice = given.flags & UInt32(MARTLET_HTTPC_MAY_REPEAT) != 0
        return request
    } catch {
        throw RegistrationError(statusInvalid, error.text)
    }
}

private func headers(
    _ given: martlet_httpc_request
) throws(HTTPRequest.Mistake) -> [(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] {
    guard (0...ResponseHead.maxFields).contains(given.nheaders) else {
        throw HTTPRequest.Mistake("there may be \(ResponseHead.maxFields) headers")
    }
    var list: [(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] = []
    for index in 0..<given.nheaders {
        guard let header = given.headers?[index], let name = header.name.buffer, let value = header.value.buffer else {
            throw HTTPRequest.Mistake("a header has a length and no pointer")
        }
        list.append((name, value))
    }
    return list
}

// MARK: - Clients

private func defaults(_ instance: PluginInstance) -> HTTPPoolOptions {
    var options = HTTPPoolOptions()
    options.userAgent = "\(instance.host.options.brokerName)/\(instance.host.options.brokerVersion)"
    return options
}

private func addClient(
    _ instance: PluginInstance, _ given: UnsafePointer<martlet_httpc_options>?
) throws(RegistrationError) -> martlet_token {
    var (name, options) = ("default", defaults(instance))
    if let given {
        guard let given = readSized(given) else {
            throw RegistrationError(statusInvalid, "the size is not that of martlet_httpc_options")
        }
        (name, options) = try read(given, options)
    }
    if options.acceptsAnyCertificate {
        instance.log(
            .warning, "its HTTP client \(name) believes any certificate: anybody may answer in a server's place")
    }
    let pool: HTTPPool
    do throws(HTTPEngine.Unavailable) {
        pool = try instance.host.http.makePool(options)
    } catch {
        throw unavailable(error)
    }
    let token = instance.host.nextToken()
    guard instance.http.add(HTTPDesk.Client(name: name, pool: pool), token) else {
        pool.close()
        throw RegistrationError(statusNoMemory, "\(HTTPDesk.maxClients) clients are the limit")
    }
    return token
}

private func read(
    _ given: martlet_httpc_options, _ defaults: HTTPPoolOptions
) throws(RegistrationError) -> (String, HTTPPoolOptions) {
    var options = defaults
    guard given.flags & ~UInt32(MARTLET_HTTPC_ANY_CERTIFICATE) == 0 else {
        throw RegistrationError(statusInvalid, "there are no flags \(given.flags)")
    }
    options.acceptsAnyCertificate = given.flags & UInt32(MARTLET_HTTPC_ANY_CERTIFICATE) != 0
    options.hostConnections = limited(given.max_host_connections, 16, most: 256)
    options.maxOpen = Int(limited(given.max_open, 1024, most: 65536))
    options.dnsTTL = limited(given.dns_ttl_s, 60, most: 60)
    options.idleSeconds = limited(given.idle_s, 30, most: 3600)
    options.caFile = try file(given.ca_file)
    options.certificateFile = try file(given.certificate_file)
    options.keyFile = try file(given.key_file)
    options.keyPassword = try optionalText(given.key_password)
    options.proxy = try optionalText(given.proxy)
    guard (options.certificateFile == nil) == (options.keyFile == nil) else {
        throw RegistrationError(statusInvalid, "a certificate and its key come together")
    }
    return (try optionalText(given.name) ?? "default", options)
}

private func optionalText(_ bytes: martlet_bytes) throws(RegistrationError) -> String? {
    guard let buffer = bytes.buffer, buffer.count <= 4096, buffer.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
        throw RegistrationError(statusInvalid, "an option is longer than 4096 bytes or not one line of text")
    }
    return buffer.isEmpty ? nil : String(decoding: buffer, as: UTF8.self)
}

/// A name of a file that can be read; better told now than with each request.
private func file(_ bytes: martlet_bytes) throws(RegistrationError) -> String? {
    guard let path = try optionalText(bytes) else { return nil }
    guard access(path, R_OK) == 0 else {
        throw RegistrationError(statusInvalid, "\(path) cannot be read: \(systemText(errno))")
    }
    return path
}
