// SPDX-License-Identifier: Apache-2.0

/// RFC 6455 §4.2.2. No extension is ever agreed to, so frames carry their payload as it is.
func switchingProtocols(_ accept: String, _ chosen: String?) -> [UInt8] {
    let choice = chosen.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? ""
    return Array(
        """
        HTTP/1.1 101 Switching Protocols\r
        Upgrade: websocket\r
        Connection: Upgrade\r
        Sec-WebSocket-Accept: \(accept)\r
        \(choice)\r\n
        """.utf8)
}

extension Upgrade.Refusal {
    private init(
        _ reason: StaticString, _ status: String, _ fields: String = "", connection: String = "close",
        body: String? = nil
    ) {
        let body = body ?? String(status.dropFirst(4))
        self.reason = reason
        answer = Array(
            """
            HTTP/1.1 \(status)\r
            Content-Type: text/plain\r
            Content-Length: \(body.utf8.count)\r
            \(fields)Connection: \(connection)\r
            \r
            \(body)
            """.utf8)
    }

    public static let badRequest = Self("ws_bad_request", "400 Bad Request")
    static let badProtocol = Self("ws_bad_protocol", "400 Bad Request", body: "Bad WebSocket Protocol")
    static let badOrigin = Self("ws_bad_origin", "403 Forbidden")
    static let notFound = Self("ws_not_found", "404 Not Found")
    static let tooLarge = Self("ws_header_too_large", "431 Request Header Fields Too Large")
    /// RFC 6455 §4.4; whoever sends Upgrade names it in Connection, RFC 9110 §7.8.
    static let badVersion = Self(
        "ws_bad_version", "426 Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        connection: "Upgrade, close")
    /// The client did not come to an end.
    public static let timeout = Self("ws_handshake_timeout", "408 Request Timeout")
    /// The client a proxy speaks for may not come in.
    public static let forbidden = Self("access_denied", "403 Forbidden")
}
