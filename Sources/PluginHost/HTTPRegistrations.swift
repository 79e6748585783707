// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc

extension PluginHost {
    /// [main] Tells the HTTP server what the running plugins serve.
    func publishHTTP() {
        guard let http = httpServer else { return }
        var registry = HTTPRegistry()
        for instance in running where instance.phase == .running {
            registry.routes += instance.httpRoutes.values.sorted { $0.token < $1.token }
        }
        registry.authenticators = running.filter { $0.phase == .running }
            .flatMap { $0.httpAuthenticators.values.sorted { $0.token < $1.token } }
            .enumerated().sorted { ($1.element.priority, $0.offset) < ($0.element.priority, $1.offset) }
            .map(\.element)
        http.install(registry)
    }

    /// Who serves this method, shape of path and listener already.
    fileprivate func holder(of route: HTTPRoute) -> HTTPRoute? {
        running.lazy.flatMap(\.httpRoutes.values).first { $0.collides(with: route) }
    }
}

extension HTTPRoute {
    fileprivate func collides(with other: HTTPRoute) -> Bool {
        method == other.method && pattern.shape == other.pattern.shape
            && (listeners.contains("*") || other.listeners.contains("*")
                || listeners.contains(where: other.listeners.contains))
    }
}

func addRoute(_ instance: PluginInstance, _ raw: martlet_http_route) throws(RegistrationError) -> martlet_token {
    guard isPresent(raw.handle) else { throw RegistrationError(statusInvalid, "the handler is NULL") }
    guard let method = cText(raw.method, limit: 32), !method.isEmpty,
        method == "*" || method.utf8.allSatisfy({ UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 })
    else { throw RegistrationError(statusInvalid, "the method must be a word such as GET, or *") }
    guard let text = cText(raw.pattern, limit: 1024), let pattern = HTTPPattern(text) else {
        throw RegistrationError(
            statusInvalid, "the pattern must look like /nodes/:node/clients/*rest, and *rest may only come last")
    }
    let route = HTTPRoute(
        instance.host.nextToken(), instance, method: method, pattern: pattern,
        listeners: try listeners(raw.listener), auth: try scheme(raw.auth),
        kind: .handler(streamsBody: raw.chunk != nil))
    route.functions = .init(
        handle: raw.handle, chunk: raw.chunk, writable: raw.writable, gone: raw.gone, user: raw.user)
    if raw.max_body > 0 { route.maxBody = Int(clamping: raw.max_body) }
    if raw.timeout_ms > 0 { route.timeoutMS = Int(raw.timeout_ms) }
    if raw.max_requests > 0 { route.maxRequests = Int(raw.max_requests) }
    return try add(route, to: instance)
}

func addFiles(_ instance: PluginInstance, _ raw: martlet_http_files) throws(RegistrationError) -> martlet_token {
    guard let prefix = cText(raw.prefix, limit: 1000),
        let pattern = HTTPPattern((prefix.hasSuffix("/") ? prefix : prefix + "/") + "*file"),
        pattern.levels.dropLast().allSatisfy({ if case .literal = $0 { true } else { false } })
    else { throw RegistrationError(statusInvalid, "the prefix must be a path such as /static") }
    guard let typed = cText(raw.folder, limit: 4096), !typed.isEmpty else {
        throw RegistrationError(statusInvalid, "the folder is missing")
    }
    let path = typed.hasPrefix("/") ? typed : instance.host.options.root + "/" + typed
    guard let real = realpath(path, nil) else {
        throw RegistrationError(statusNotFound, "the folder \(path) cannot be read: \(systemText(errno))")
    }
    defer { free(real) }
    let folder = HTTPFolder(
        path: String(cString: real),
        cacheControl: raw.cache_control.flatMap { cText($0, limit: 200) } ?? "no-cache",
        fallback: raw.fallback.flatMap { cText($0, limit: 1000) })
    let route = HTTPRoute(
        instance.host.nextToken(), instance, method: "GET", pattern: pattern,
        listeners: try listeners(raw.listener), auth: try scheme(raw.auth), kind: .folder(folder))
    return try add(route, to: instance)
}

private func add(_ route: HTTPRoute, to instance: PluginInstance) throws(RegistrationError) -> martlet_token {
    let host = instance.host
    guard instance.httpRoutes.count < 1000 else {
        throw RegistrationError(statusNoMemory, "1000 HTTP routes are the limit")
    }
    let name = "\(route.method) \(route.pattern.text)"
    if instance.httpRoutes.values.contains(where: { $0.collides(with: route) }) {
        throw RegistrationError(statusExists, "\(name) is registered twice")
    }
    if let there = host.holder(of: route), there.owner != instance.predecessor?.owner {
        throw RegistrationError(statusExists, "\(name) is served by \(there.plugin)")
    }
    instance.httpRoutes[route.token] = route
    let known = host.httpServer?.listenerNames ?? []
    for listener in route.listeners where listener != "*" && !known.contains(listener) {
        instance.log(.debug, "\(name) is for the HTTP listener \(listener), which is not configured")
    }
    if instance.phase == .running { host.publishHTTP() }
    return route.token
}

private func listeners(_ raw: UnsafePointer<CChar>?) throws(RegistrationError) -> [String] {
    guard let raw else { return ["management"] }
    let names = cText(raw, limit: 512)?.split(separator: ",").map { $0.filter { $0 != " " } } ?? []
    guard !names.isEmpty, names.allSatisfy({ !$0.isEmpty }) else {
        throw RegistrationError(statusInvalid, "the listeners must be names such as \"management,dashboard\"")
    }
    return names.map { String($0) }
}

private func scheme(_ auth: UInt32) throws(RegistrationError) -> UInt32 {
    guard auth <= UInt32(MARTLET_HTTP_AUTH_ANY) else {
        throw RegistrationError(statusInvalid, "\(auth) is no way to authenticate")
    }
    return auth
}
