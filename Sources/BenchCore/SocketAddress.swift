// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where the broker listens: resolved once.
public struct SocketAddress: Sendable {
    let family: Int32
    private let bytes: [UInt8]

    public init(host: String, port: UInt16) throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0, let found = list else {
            throw BenchError("cannot find the host \(host): \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(list) }
        family = found.pointee.ai_family
        bytes = Array(UnsafeRawBufferPointer(start: found.pointee.ai_addr, count: Int(found.pointee.ai_addrlen)))
    }

    /// `connect(2)`: 0, or -1 with errno.
    func connect(_ fd: Int32) -> Int32 { withAddress { Glibc.connect(fd, $0, $1) } }

    func bind(_ fd: Int32) -> Int32 { withAddress { Glibc.bind(fd, $0, $1) } }

    /// How many addresses of 127.0.0.0/8, from 127.0.0.2 on, connections are made from that would wear out one.
    static let loopbackSources = 64

    /// Addresses to connect to this one from, each with ports of its own; empty unless this is one of 127.0.0.0/8, where
    /// all are ours.
    func sources() throws -> [SocketAddress] {
        guard isLoopback4 else { return [] }
        return try (0..<Self.loopbackSources).map { try SocketAddress(host: "127.0.0.\($0 + 2)", port: 0) }
    }

    private var isLoopback4: Bool {
        guard family == AF_INET else { return false }
        let network = bytes.withUnsafeBytes {
            UInt32(bigEndian: $0.loadUnaligned(as: sockaddr_in.self).sin_addr.s_addr)
        }
        return network >> 24 == 127
    }

    /// Gives a socket its source address and leaves the port to `connect`, which alone knows which ones are free for this
    /// target: 0, or -1 with errno.
    func bindAddress(_ fd: Int32) -> Int32 {
        var on: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        guard setsockopt(fd, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &on, size) == 0 else { return -1 }
        return bind(fd)
    }

    /// Whether somebody listens there now.
    func accepts() -> Bool {
        let fd = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        return fd >= 0 && connect(fd) == 0
    }

    private func withAddress(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        bytes.withUnsafeBytes {
            body($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
        }
    }

    /// A port of 127.0.0.1 that was free a moment ago.
    static func freePort() throws -> UInt16 {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        guard fd >= 0, try SocketAddress(host: "127.0.0.1", port: 0).bind(fd) == 0 else {
            throw BenchError("cannot find a free port: \(errorText())")
        }
        return port(of: fd)
    }

    static func port(of fd: Int32) -> UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}
