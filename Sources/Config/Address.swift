// SPDX-License-Identifier: Apache-2.0
import Glibc

/// `1883`, `0.0.0.0:1883`, `[::]:1883`; only numeric hosts, because nothing on the way to a listener resolves names.
func parseAddress(_ text: String) -> ConfigAddress? {
    if let port = parsePort(text) { return ConfigAddress(host: nil, port: port) }
    guard let colon = text.lastIndex(of: ":"), let port = parsePort(String(text[text.index(after: colon)...]))
    else { return nil }
    var host = String(text[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
        host = String(host.dropFirst().dropLast())
        guard addressBytes(host)?.count == 16 else { return nil }
    } else {
        if host == "localhost" { host = "127.0.0.1" }
        if host == "*" { return ConfigAddress(host: nil, port: port) }
        guard addressBytes(host)?.count == 4 else { return nil }
    }
    return ConfigAddress(host: host, port: port)
}

/// `allow all`, `deny 10.0.0.0/8`, `allow ::1`.
func parseAccessRule(_ text: String) -> ConfigAccessRule? {
    let words = text.split(separator: " ", omittingEmptySubsequences: true)
    guard words.count == 2, words[0] == "allow" || words[0] == "deny" else { return nil }
    let isAllowed = words[0] == "allow"
    if words[1] == "all" { return ConfigAccessRule(isAllowed: isAllowed, network: nil) }
    let parts = words[1].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let bytes = addressBytes(String(parts[0])) else { return nil }
    let bits = bytes.count * 8
    guard let prefix = parts.count == 1 ? bits : parseDigits(parts[1]), (0...bits).contains(prefix) else { return nil }
    return ConfigAccessRule(isAllowed: isAllowed, network: .init(bytes: bytes, prefix: prefix))
}

extension ConfigAccessRule {
    /// A rule that does not stand in a file of ours; nil: it is none.
    public init?(_ text: String) {
        guard let rule = parseAccessRule(text) else { return nil }
        self = rule
    }
}

/// `RATE,BURST` in bytes; the burst may not be smaller than the rate, which also catches EMQ 2.3's reversed order.
func parseByteRate(_ text: String) -> ConfigRate? {
    if text == "0" { return .unlimited }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { parseBytes(trimmed($0)) }
    guard parts.count == 2, let rate = parts[0], let burst = parts[1], rate > 0, burst >= rate else { return nil }
    return ConfigRate(amount: rate, perMS: 1000, burst: burst)
}

/// `COUNT,TIME`, or `COUNT` for a second.
func parseCountRate(_ text: String) -> ConfigRate? {
    if let count = parseDigits(text) { return ConfigRate(amount: count, perMS: 1000, burst: count) }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) }
    guard parts.count == 2, let count = parseDigits(parts[0]), count > 0,
        let time = parseDuration(parts[1], bareUnitMS: 1000), time > 0
    else { return nil }
    return ConfigRate(amount: count, perMS: time, burst: count)
}

/// 4 or 16 bytes in network order; nil for anything that is not a numeric address.
private func addressBytes(_ text: String) -> [UInt8]? {
    for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
        var bytes = [UInt8](repeating: 0, count: size)
        if inet_pton(family, text, &bytes) == 1 { return bytes }
    }
    return nil
}

/// Not 0: the system would choose another port for the socket of each event loop.
private func parsePort(_ text: String) -> UInt16? {
    parseDigits(text).flatMap { UInt16(exactly: $0) }.flatMap { $0 > 0 ? $0 : nil }
}

private func parseDigits(_ text: some StringProtocol) -> Int? {
    guard !text.isEmpty, text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
    return Int(text)
}
