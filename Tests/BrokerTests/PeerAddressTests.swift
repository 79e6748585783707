// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Broker

/// What accept() would say of a client at this address.
func address(_ host: String, _ port: UInt16) -> PeerAddress {
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) { raw in
        if host.contains(":") {
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            inet_pton(AF_INET6, host, &v6.sin6_addr)
            withUnsafeBytes(of: &v6) { raw.copyMemory(from: $0) }
        } else {
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            inet_pton(AF_INET, host, &v4.sin_addr)
            withUnsafeBytes(of: &v4) { raw.copyMemory(from: $0) }
        }
    }
    return PeerAddress(&storage)
}

@Suite("Peer addresses")
struct PeerAddressTests {
    @Test(
        "In text: IPv6 in brackets, IPv4 from a dual-stack listener as IPv4",
        arguments: [
            ("192.0.2.7", 51234, "192.0.2.7:51234"), ("0.0.0.0", 0, "0.0.0.0:0"),
            ("255.255.255.255", 65535, "255.255.255.255:65535"), ("2001:db8::1", 1883, "[2001:db8::1]:1883"),
            ("::", 10, "[::]:10"), ("::ffff:192.0.2.7", 9, "192.0.2.7:9"),
            ("1234:5678:9abc:def0:1234:5678:9abc:def0", 65535, "[1234:5678:9abc:def0:1234:5678:9abc:def0]:65535"),
        ])
    func text(host: String, port: Int, expected: String) {
        #expect(withPeerText(address(host, UInt16(port))) { BrokerTests.text($0) } == expected)
    }

    @Test(
        "Loopback",
        arguments: [
            ("127.0.0.1", true), ("127.9.9.9", true), ("::1", true), ("::ffff:127.0.0.1", true),
            ("::ffff:10.0.0.1", false),
            ("10.0.0.1", false), ("::2", false), ("::", false), ("1::1", false), ("::127.0.0.1", false),
        ])
    func loopback(host: String, expected: Bool) {
        #expect(address(host, 1).isLoopback == expected)
    }

    @Test("Decimal digits", arguments: [0, 1, 9, 10, 99, 100, 65535, 1_000_000, Int(Int32.max)])
    func decimal(value: Int) {
        var room = [CChar](repeating: 0, count: 24)
        let count = writeDecimal(value, &room)
        #expect(String(decoding: room[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) == "\(value)")
    }
}
