// SPDX-License-Identifier: Apache-2.0
import Broker
import Testing

@testable import Net

@Suite struct ProxyHeaderTests {
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    static let follows = Array("what follows".utf8)

    static func binary(_ command: UInt8, _ family: UInt8, _ body: [UInt8], length: Int? = nil) -> [UInt8] {
        let n = length ?? body.count
        return signature + [command, family, UInt8(n >> 8), UInt8(n & 255)] + body
    }

    static let four: [UInt8] = [192, 0, 2, 7, 127, 0, 0, 1, 0x12, 0x67, 0x07, 0x5B]
    static let six: [UInt8] =
        [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [7] + [UInt8](repeating: 0, count: 16) + [
            0x12, 0x67, 7, 0x5B,
        ]

    /// Header and the peer it names, as text; empty: the proxy's own.
    static let good: [([UInt8], String)] = [
        (Array("PROXY TCP4 192.0.2.7 127.0.0.1 4711 1883\r\n".utf8), "192.0.2.7:4711"),
        (Array("PROXY TCP6 2001:db8::7 ::1 4711 1883\r\n".utf8), "2001:db8::7:4711"),
        (Array("PROXY UNKNOWN\r\n".utf8), ""),
        (Array("PROXY UNKNOWN any thing\r\n".utf8), ""),
        (Array("PROXY UNKNOWN ".utf8) + [UInt8](repeating: 0x78, count: 91) + [13, 10], ""),
        (binary(0x21, 0x11, four), "192.0.2.7:4711"),
        (binary(0x21, 0x11, four + [UInt8](repeating: 0xFF, count: 700)), "192.0.2.7:4711"),
        (binary(0x21, 0x21, six), "2001:db8::7:4711"),
        (binary(0x21, 0x21, six + [4, 0, 1, 0]), "2001:db8::7:4711"),
        (binary(0x20, 0x00, []), ""), (binary(0x20, 0x11, four), ""), (binary(0x20, 0xEE, [1, 2, 3]), ""),
        (binary(0x21, 0x00, []), ""), (binary(0x21, 0x00, [1, 2, 3]), ""),
        (binary(0x21, 0x31, [UInt8](repeating: 1, count: 216)), ""),
    ]

    private func text(_ outcome: ProxyHeader.Outcome) -> String? {
        guard case .complete(let peer) = outcome else { return nil }
        guard let peer else { return "" }
        let groups = (0..<8).map {
            String(UInt16(peer.address[2 * $0]) << 8 | UInt16(peer.address[2 * $0 + 1]), radix: 16)
        }
        let host =
            peer.isIPv6
            ? groups.joined(separator: ":").replacing("0:0:0:0:0:", with: ":", maxReplacements: 1)
            : (0..<4).map { String(peer.address[$0]) }.joined(separator: ".")
        return "\(host):\(peer.port)"
    }

    /// Feeds pieces; what the header leaves over must be exactly what follows it.
    private func read(_ pieces: [[UInt8]]) -> (outcome: ProxyHeader.Outcome, left: [UInt8]) {
        var header = ProxyHeader()
        var left: [UInt8] = []
        for piece in pieces {
            let taken = piece.withUnsafeBytes { header.take($0) }
            left += piece[taken...]
        }
        return (header.outcome, left)
    }

    @Test(arguments: good) func everyFormInOnePieceAndSplitAnywhere(_ header: [UInt8], _ expected: String) {
        let stream = header + Self.follows
        for cut in 0...stream.count {
            let (outcome, left) = read([Array(stream[..<cut]), Array(stream[cut...])])
            #expect(text(outcome) == expected, "cut at \(cut)")
            #expect(left == Self.follows, "cut at \(cut)")
        }
        let single = read(stream.map { [$0] })
        #expect(text(single.outcome) == expected)
        #expect(single.left == Self.follows)
    }

    @Test(arguments: good) func halfAHeaderIsNone(_ header: [UInt8], _: String) {
        for cut in 0..<header.count {
            let (outcome, left) = read([Array(header[..<cut])])
            guard case .partial = outcome else {
                Issue.record("complete or malformed after \(cut) bytes")
                return
            }
            #expect(left == [])
        }
    }

    @Test(arguments: [
        "PROXY TCP4\r\n", "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3 1 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 +1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n", "PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", "PROXY \r\n", "PROXY\tTCP4 1.2.3.4",
        "proxy UNKNOWN\r\n", "PROXX", "\u{10}\u{0e}\u{0}\u{4}MQTT", "\r\n\r\n\0\r\nQUIX",
    ])
    func linesThatAreNone(_ text: String) {
        guard case .malformed = read([Array(text.utf8)]).outcome else {
            Issue.record("\(text.debugDescription) was taken")
            return
        }
    }

    @Test(arguments: [
        binary(0x11, 0x11, four), binary(0x31, 0x11, four), binary(0x22, 0x11, four), binary(0x21, 0x12, four),
        binary(0x21, 0x22, six), binary(0x21, 0x32, [UInt8](repeating: 0, count: 216)), binary(0x21, 0x41, four),
        binary(0x21, 0x11, four, length: 11), binary(0x21, 0x21, four), binary(0x21, 0x31, four),
        Array("PROXY UNKNOWN ".utf8) + [UInt8](repeating: 0x78, count: 93),
    ])
    func bytesThatAreNone(_ bytes: [UInt8]) {
        guard case .malformed = read([bytes]).outcome else {
            Issue.record("taken")
            return
        }
    }

    @Test func nothingIsTakenAfterAMalformedHeader() {
        #expect(read([Array("GET / HTTP/1.1".utf8)]).left == Array("ET / HTTP/1.1".utf8))
    }

    private static func field(_ kind: UInt8, _ value: [UInt8]) -> [UInt8] {
        [kind, UInt8(value.count >> 8), UInt8(value.count & 0xFF)] + value
    }

    /// PP2_TYPE_SSL: which certificates, whether verified, and what is known of them.
    private static func tls(_ client: UInt8, _ verify: UInt8, _ inside: [UInt8]) -> [UInt8] {
        field(0x20, [client, 0, 0, 0, verify] + inside)
    }

    private static let version = field(0x21, Array("TLSv1.3".utf8))
    private static let name = field(0x22, Array("device-1".utf8))

    @Test(
        arguments: [
            ([], nil), (tls(7, 0, version + name), "device-1"),
            (field(1, Array("h2".utf8)) + tls(3, 0, name + version) + field(4, [0, 0]), "device-1"),
            // No certificate, one that was not verified, no TLS at all, a name that is none.
            (tls(1, 0, version + name), nil), (tls(7, 1, version + name), nil), (name, nil), (tls(7, 0, version), nil),
            (tls(7, 0, field(0x22, [0x61, 0])), nil), (tls(7, 0, field(0x22, [0xFF])), nil),
            (field(0x20, [7]) + name, nil),
        ] as [([UInt8], String?)])
    func theNameInTheClientsCertificate(_ fields: [UInt8], _ expected: String?) {
        for (command, family, addresses) in [
            (UInt8(0x21), UInt8(0x11), Self.four), (0x21, 0x21, Self.six),
            (0x21, 0x31, [UInt8](repeating: 0x22, count: 216)), (0x21, 0, []),
        ] {
            let bytes = Self.binary(command, family, addresses + fields)
            var whole = ProxyHeader()
            #expect(bytes.withUnsafeBytes { whole.take($0) } == bytes.count)
            #expect(whole.commonName == expected)
            var single = ProxyHeader()
            for byte in bytes { _ = [byte].withUnsafeBytes { single.take($0) } }
            #expect(single.commonName == expected)
            guard case .complete = single.outcome else {
                Issue.record("not complete")
                return
            }
        }
        // One that the proxy sends for itself says nothing about a client.
        let own = Self.binary(0x20, 0x11, Self.four + fields)
        var header = ProxyHeader()
        #expect(own.withUnsafeBytes { header.take($0) } == own.count)
        #expect(header.commonName == nil)
    }
}
