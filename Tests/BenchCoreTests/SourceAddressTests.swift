// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import BenchCore

@Suite("Source addresses")
struct SourceAddressTests {
    @Test("Many for a target on this machine, none elsewhere", arguments: ["192.0.2.1", "::1", "128.0.0.1"])
    func onlyOnLoopback(host: String) throws {
        #expect(try SocketAddress(host: host, port: 1883).sources().isEmpty)
        #expect(try SocketAddress(host: "127.9.8.7", port: 1883).sources().count == SocketAddress.loopbackSources)
    }

    @Test("A connection comes from the address it was given, and its port is found by connect")
    func isUsed() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        #expect(try SocketAddress(host: "127.0.0.1", port: 0).bind(listener) == 0)
        #expect(listen(listener, 8) == 0)
        let target = try SocketAddress(host: "127.0.0.1", port: SocketAddress.port(of: listener))
        var seen: [UInt32] = []
        for source in try target.sources().prefix(3) {
            let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(fd) }
            #expect(source.bindAddress(fd) == 0)
            #expect(SocketAddress.port(of: fd) == 0)
            #expect(target.connect(fd) == 0)
            var peer = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let accepted = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { accept(listener, $0, &size) }
            }
            close(accepted)
            seen.append(UInt32(bigEndian: peer.sin_addr.s_addr))
        }
        #expect(seen == [0x7F00_0002, 0x7F00_0003, 0x7F00_0004])
    }
}
