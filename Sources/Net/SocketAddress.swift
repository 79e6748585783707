// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An address to bind: numeric IPv4 or IPv6, or `*`, `localhost`.
struct SocketAddress {
    var storage = sockaddr_storage()
    var length: socklen_t
    var family: Int32

    init(_ host: String, _ port: UInt16) throws(ListenerError) {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        let name = host == "localhost" ? "127.0.0.1" : host == "*" || host.isEmpty ? "0.0.0.0" : host
        if inet_pton(AF_INET, name, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            family = AF_INET
            withUnsafeMutableBytes(of: &storage) { to in withUnsafeBytes(of: &v4) { to.copyMemory(from: $0) } }
        } else if inet_pton(AF_INET6, name, &v6.sin6_addr) == 1 {
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            family = AF_INET6
            withUnsafeMutableBytes(of: &storage) { to in withUnsafeBytes(of: &v6) { to.copyMemory(from: $0) } }
        } else {
            throw ListenerError(
                description: "\(host):\(port) is not an address to listen on: give an IPv4 or IPv6 address and a port.")
        }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
