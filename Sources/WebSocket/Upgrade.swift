// SPDX-License-Identifier: Apache-2.0

/// What a door asks of a client that wants to speak WebSocket.
public struct UpgradeTerms: Sendable {
    /// The one path that answers, others are not found.
    public var path = "/mqtt"
    /// Whether a client must offer a subprotocol of MQTT.
    public var verifiesProtocol = true
    /// Fields in which a proxy names the client, in any case; empty: none is believed.
    public var addressHeader = ""
    public var portHeader = ""
    /// Origins a browser's page may come from; empty: all. "https://example.com"
    public var origins: [String] = []

    public init() {}
}

/// The server's side of the opening handshake. Pure: takes bytes as they come, in pieces of any size, and not one
/// beyond the request. RFC 6455 §4.2
public struct Upgrade {
    public enum Outcome {
        /// More bytes are needed.
        case partial
        case accepted(Acceptance)
        case refused(Refusal)
    }

    public struct Acceptance {
        /// What the client is to be sent before anything else.
        public var answer: [UInt8]
        /// As the proxy's fields say it: the first of the addresses, and its port, 0 when nobody said one.
        public var forwarded: (address: String, port: UInt16)?
    }

    public struct Refusal: Sendable {
        /// For the counters.
        public var reason: StaticString
        /// A whole HTTP answer.
        public var answer: [UInt8]
    }

    private let terms: UpgradeTerms
    private var head = RequestHead()

    public init(_ terms: UpgradeTerms) { self.terms = terms }

    /// Whether the client has said anything yet.
    public var hasBegun: Bool { !head.isEmpty }

    /// Takes what belongs to the request; returns how many bytes that were.
    public mutating func take(_ input: UnsafeRawBufferPointer) -> (count: Int, outcome: Outcome) {
        let count = head.take(input)
        switch head.state {
        case .partial: return (count, .partial)
        case .malformed: return (count, .refused(.badRequest))
        case .tooLarge: return (count, .refused(.tooLarge))
        case .complete: return (count, judge())
        }
    }

    /// RFC 6455 §4.2.1, in the order of its list; the path before everything else.
    private func judge() -> Outcome {
        guard head.path == terms.path else { return .refused(.notFound) }
        guard head.method == "GET", head.version == "HTTP/1.1", head.values("host").count == 1, !hasBody,
            head.list("upgrade").contains(where: { $0.lowercased() == "websocket" }),
            head.list("connection").contains(where: { $0.lowercased() == "upgrade" })
        else { return .refused(.badRequest) }
        let keys = head.values("sec-websocket-key")
        guard head.values("sec-websocket-version") == ["13"] else { return .refused(.badVersion) }
        guard keys.count == 1, isNonce(keys[0]) else { return .refused(.badRequest) }
        if !terms.origins.isEmpty, let origin = head.values("origin").first {
            guard terms.origins.contains(where: { $0.lowercased() == origin.lowercased() }) else {
                return .refused(.badOrigin)
            }
        }
        guard let chosen = chooseProtocol() else { return .refused(.badProtocol) }
        let answer = switchingProtocols(acceptKey(keys[0]), chosen.isEmpty ? nil : chosen)
        return .accepted(Acceptance(answer: answer, forwarded: forwarded))
    }

    /// A body would be taken for frames.
    private var hasBody: Bool {
        !head.values("transfer-encoding").isEmpty || head.values("content-length").contains { $0 != "0" }
    }

    // MARK: - Subprotocol

    /// Names under which clients know MQTT, the present one first.
    private static let known = ["mqtt", "mqttv3.1.1", "mqttv3.1"]

    /// The subprotocol to answer with, one of those offered; empty: the answer names none; nil: there is no agreement.
    private func chooseProtocol() -> String? {
        let offered = head.list("sec-websocket-protocol")
        // [MQTT-6.0.0-3] [MQTT-6.0.0-4]: "mqtt" wherever it is offered, the names of old clients where it is not.
        if let name = Self.known.first(where: { offered.contains($0) }) { return name }
        // Clients that cannot set the standard's field say it in this one.
        if head.values("emq-websocket-protocol").contains(where: { $0.hasPrefix("mqtt") }) { return "" }
        if terms.verifiesProtocol { return nil }
        // A browser gives up when it offered something and nothing was chosen.
        return offered.first ?? ""
    }

    // MARK: - Behind a proxy

    /// The first address of the list is the client's; the proxies it came through follow.
    private var forwarded: (address: String, port: UInt16)? {
        guard !terms.addressHeader.isEmpty, let first = head.list(terms.addressHeader.lowercased()).first,
            first.lowercased() != "unknown"
        else { return nil }
        var (address, port) = splitAddress(first)
        if !terms.portHeader.isEmpty, let text = head.list(terms.portHeader.lowercased()).first {
            port = UInt16(text) ?? port
        }
        return (address, port)
    }
}

/// "192.0.2.7", "192.0.2.7:4711", "2001:db8::7", "[2001:db8::7]:4711": without brackets, and the port or 0.
private func splitAddress(_ text: String) -> (String, UInt16) {
    if text.hasPrefix("["), let end = text.lastIndex(of: "]") {
        let port = text[end...].dropFirst()
        return (String(text[..<end].dropFirst()), port.hasPrefix(":") ? UInt16(port.dropFirst()) ?? 0 : 0)
    }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2 else { return (text, 0) }
    return (String(parts[0]), UInt16(parts[1]) ?? 0)
}
