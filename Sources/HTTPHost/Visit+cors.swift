// SPDX-License-Identifier: Apache-2.0
import HTTPTypes
import PluginHost

/// Cross-origin requests: which pages of other origins may read the answers. WHATWG Fetch §3.2
extension Visit {
    private static let requestMethod = HTTPField.Name("access-control-request-method")!
    private static let requestHeaders = HTTPField.Name("access-control-request-headers")!

    /// The origin that asks, when this listener knows it.
    private var allowedOrigin: String? {
        guard let origin = request.headers[.origin] else { return nil }
        let allowed = door.options.corsOrigins
        return allowed.contains("*") || allowed.contains(origin) ? origin : nil
    }

    func corsFields() -> [HTTPPair] {
        guard !door.options.corsOrigins.isEmpty else { return [] }
        let vary = HTTPPair("vary", "Origin")
        guard let origin = allowedOrigin else { return [vary] }
        // Never both: a wildcard with credentials would let every page act in the user's name.
        if door.options.corsOrigins.contains("*") { return [HTTPPair("access-control-allow-origin", "*")] }
        return [
            vary, HTTPPair("access-control-allow-origin", origin), HTTPPair("access-control-allow-credentials", "true"),
        ]
    }

    /// The answer to a browser that asks first whether it may ask; nil when this is another request. It needs no
    /// credentials, for the browser sends none.
    func preflight(_ target: Target) -> (HTTPHead, [UInt8])? {
        guard method == "OPTIONS", allowedOrigin != nil, let wanted = request.headers[Self.requestMethod] else {
            return nil
        }
        var methods: [String] = []
        switch server.router.find(wanted, target, on: door.options.routesName) {
        case .found: methods = [wanted]
        case .otherMethods(let others): methods = others
        case .none: if target.path == "/status" { methods = ["GET"] }
        }
        var fields = [HTTPPair("access-control-max-age", "600")]
        if !methods.isEmpty { fields.append(HTTPPair("access-control-allow-methods", methods.joined(separator: ", "))) }
        if let headers = request.headers[Self.requestHeaders] {
            fields.append(HTTPPair("access-control-allow-headers", headers))
        }
        return (HTTPHead(status: 204, fields: fields), [])
    }
}
