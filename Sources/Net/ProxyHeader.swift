// SPDX-License-Identifier: Apache-2.0
public import Broker
import Glibc

/// What a proxy says in front of the client's bytes: PROXY protocol, version 1 (a line) and 2 (binary). Pure: takes
/// bytes as they come, in pieces of any size, and not one beyond the header.
public struct ProxyHeader {
    public enum Outcome {
        /// More bytes are needed.
        case partial
        /// The client's own address; nil: the proxy speaks for itself, or does not know.
        case complete(PeerAddress?)
        case malformed
    }

    public private(set) var outcome = Outcome.partial
    /// Bytes of the header so far, the first `kept` of them.
    private var bytes: InlineArray<107, UInt8> = InlineArray(repeating: 0)
    private var kept = 0
    /// Bytes still to come of a version 2 header, behind its addresses.
    private var left = 0
    private var fields = ProxyFields()

    public init() {}

    /// Whom the proxy has found in the client's certificate; nil: it says nothing about one, or does not trust it.
    var commonName: String? { fields.commonName }

    /// Longest line of version 1, with its end.
    private static let longestLine = 107
    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// Takes what belongs to the header; returns how many bytes that were.
    public mutating func take(_ input: UnsafeRawBufferPointer) -> Int {
        var at = 0
        while at < input.count, case .partial = outcome {
            if left > 0 {
                let n = min(left, input.count - at)
                if !isLocal { for byte in input[at..<at + n] { fields.take(byte) } }
                left -= n
                at += n
                if left == 0 { finishBinary() }
            } else {
                bytes[kept] = input[at]
                kept += 1
                at += 1
                look()
            }
        }
        return at
    }

    /// After every byte, so that whoever does not speak the protocol is found out before a header's worth came.
    private mutating func look() {
        if bytes[0] == Self.signature[0] { lookAtBinary() } else { lookAtLine() }
    }

    // MARK: - Version 2

    private mutating func lookAtBinary() {
        if kept <= 12 {
            if bytes[kept - 1] != Self.signature[kept - 1] { outcome = .malformed }
            return
        }
        // Version 2, LOCAL or PROXY.
        if kept == 13, bytes[12] != 0x20 && bytes[12] != 0x21 { outcome = .malformed }
        guard kept == 16 || kept == 16 + addressCount else { return }
        if kept == 16 {
            let needed = isLocal ? 0 : Self.addressCounts[bytes[13]]
            guard let needed, length >= needed else {
                outcome = .malformed
                return
            }
            if addressCount > 0 { return }
        }
        left = length - addressCount
        // Addresses that are not kept are no fields.
        fields.skip(bytes[13] & 0xF0 == 0x30 ? Self.addressCounts[bytes[13]] ?? 0 : 0)
        if left == 0 { finishBinary() }
    }

    /// Family and transport with the size of their addresses. Datagrams cannot come over a connection.
    private static let addressCounts: [UInt8: Int] = [0x00: 0, 0x11: 12, 0x21: 36, 0x31: 216]

    private var isLocal: Bool { bytes[12] & 0x0F == 0 }
    private var length: Int { Int(bytes[14]) << 8 | Int(bytes[15]) }
    /// Address bytes that are kept: those of IPv4 and IPv6. The rest is skipped, with the fields that may follow.
    private var addressCount: Int { isLocal || bytes[13] & 0xF0 == 0x30 ? 0 : Self.addressCounts[bytes[13]] ?? 0 }

    private mutating func finishBinary() {
        let count = addressCount
        guard count > 0 else {
            outcome = .complete(nil)
            return
        }
        // Source, destination, source port, destination port.
        let size = count == 12 ? 4 : 16
        let port = UInt16(bytes[16 + 2 * size]) << 8 | UInt16(bytes[17 + 2 * size])
        let address = (0..<size).map { bytes[16 + $0] }
        outcome = .complete(address.withUnsafeBytes { PeerAddress($0, port: port) })
    }

    // MARK: - Version 1

    private static let word: [UInt8] = Array("PROXY ".utf8)

    private mutating func lookAtLine() {
        if kept <= 6 {
            if bytes[kept - 1] != Self.word[kept - 1] { outcome = .malformed }
            return
        }
        guard bytes[kept - 1] == 0x0A else {
            if kept == Self.longestLine { outcome = .malformed }
            return
        }
        let line = String(decoding: (6..<kept).map { bytes[$0] }, as: UTF8.self)
        outcome = Self.parse(line)
    }

    /// `TCP4 SOURCE DESTINATION PORT PORT`, or `UNKNOWN` and whatever follows it; CR LF at the end.
    private static func parse(_ line: String) -> Outcome {
        let bytes = Array(line.utf8)
        guard bytes.count >= 2, bytes[bytes.count - 2] == 0x0D, !bytes.dropLast(2).contains(where: { $0 < 0x20 })
        else { return .malformed }
        let words = bytes.dropLast(2).split(separator: 0x20, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        if words[0] == "UNKNOWN" { return .complete(nil) }
        guard words.count == 5, words[0] == "TCP4" || words[0] == "TCP6" else { return .malformed }
        let family = words[0] == "TCP4" ? AF_INET : AF_INET6
        guard let source = address(words[1], family), address(words[2], family) != nil, let from = port(words[3]),
            port(words[4]) != nil
        else { return .malformed }
        return .complete(source.withUnsafeBytes { PeerAddress($0, port: from) })
    }

    private static func address(_ text: String, _ family: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        return inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }

    private static func port(_ text: String) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return text.utf8.count > 1 && text.utf8.first == 0x30 ? nil : UInt16(text)
    }
}
