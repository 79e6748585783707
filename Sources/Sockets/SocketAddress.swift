// SPDX-License-Identifier: Apache-2.0
import Glibc

/// An IPv4 or IPv6 address with a port, as the kernel takes it.
public struct SocketAddress: Sendable, Hashable {
    /// Network order; an IPv4 address in the first four bytes.
    public let bytes: InlineArray<16, UInt8>
    public let port: UInt16
    public let isIPv6: Bool
    /// Interface of a link-local IPv6 address; 0: none.
    public let scope: UInt32

    public init(bytes: InlineArray<16, UInt8>, port: UInt16, isIPv6: Bool, scope: UInt32 = 0) {
        self.bytes = bytes
        self.port = port
        self.isIPv6 = isIPv6
        self.scope = scope
    }

    /// A numeric address; `*`, `localhost` and nothing are taken as well. Nil: it is a name, or none at all.
    public init?(host: String, port: UInt16) {
        let name = host == "localhost" ? "127.0.0.1" : host == "*" || host.isEmpty ? "0.0.0.0" : host
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        let family = name.utf8.contains(0x3A) ? AF_INET6 : AF_INET
        guard inet_pton(family, name, &bytes) == 1 else { return nil }
        self.init(bytes: bytes, port: port, isIPv6: family == AF_INET6)
    }

    /// `1883`, `0.0.0.0:1883`, `[::1]:1883`, `*:1883`; port 0 is a free one. Nil: it is none of these.
    public init?(_ text: String) {
        guard let parts = Self.parts(of: text) else { return nil }
        self.init(host: parts.host, port: parts.port)
    }

    /// Host and port of `host:port` or a port alone, the brackets of IPv6 removed; the host may be a name.
    public static func parts(of text: String) -> (host: String, port: UInt16)? {
        let colon = text.utf8.lastIndex(of: 0x3A)
        let digits = colon.map { text[text.utf8.index(after: $0)...] } ?? text[...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits)
        else { return nil }
        var host = colon.map { String(text[..<$0]) } ?? ""
        if host.hasPrefix("[") && host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard host.utf8.contains(0x3A) else { return nil }
        } else if host.utf8.contains(0x3A) {
            return nil
        }
        return (host, port)
    }

    /// As the kernel gives it. ::ffff:a.b.c.d stays IPv6: an answer must go back through the same socket.
    public init(_ storage: UnsafePointer<sockaddr_storage>) {
        let raw = UnsafeRawPointer(storage)
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        if Int32(storage.pointee.ss_family) == AF_INET6 {
            let from = raw.assumingMemoryBound(to: sockaddr_in6.self)
            // sin6_addr: 16 bytes at offset 8.
            for i in 0..<16 { bytes[i] = raw.load(fromByteOffset: 8 + i, as: UInt8.self) }
            self.init(
                bytes: bytes, port: UInt16(bigEndian: from.pointee.sin6_port), isIPv6: true,
                scope: from.pointee.sin6_scope_id)
        } else {
            let from = raw.assumingMemoryBound(to: sockaddr_in.self)
            for i in 0..<4 { bytes[i] = raw.load(fromByteOffset: 4 + i, as: UInt8.self) }
            self.init(bytes: bytes, port: UInt16(bigEndian: from.pointee.sin_port), isIPv6: false)
        }
    }

    public var family: Int32 { isIPv6 ? AF_INET6 : AF_INET }
    public var length: socklen_t {
        socklen_t(isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size)
    }

    public var storage: sockaddr_storage {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { to in
            if isIPv6 {
                var v6 = sockaddr_in6()
                v6.sin6_family = sa_family_t(AF_INET6)
                v6.sin6_port = port.bigEndian
                v6.sin6_scope_id = scope
                withUnsafeBytes(of: v6) { to.copyMemory(from: $0) }
                for i in 0..<16 { to[8 + i] = bytes[i] }
            } else {
                var v4 = sockaddr_in()
                v4.sin_family = sa_family_t(AF_INET)
                v4.sin_port = port.bigEndian
                withUnsafeBytes(of: v4) { to.copyMemory(from: $0) }
                for i in 0..<4 { to[4 + i] = bytes[i] }
            }
        }
        return storage
    }

    public func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    /// "192.0.2.7:1883", "[2001:db8::7]:1883"
    public var text: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// "192.0.2.7", "2001:db8::7"
    public var host: String {
        var bytes = bytes
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            inet_ntop(family, &bytes, buffer.baseAddress!, 64)
            return String(cString: buffer.baseAddress!)
        }
    }

    public static func == (left: SocketAddress, right: SocketAddress) -> Bool {
        guard left.port == right.port, left.isIPv6 == right.isIPv6, left.scope == right.scope else { return false }
        for i in 0..<16 where left.bytes[i] != right.bytes[i] { return false }
        return true
    }

    public func hash(into hasher: inout Hasher) {
        var words: (UInt64, UInt64) = (0, 0)
        for i in 0..<8 {
            words.0 = words.0 << 8 | UInt64(bytes[i])
            words.1 = words.1 << 8 | UInt64(bytes[i + 8])
        }
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(port)
    }

    /// What a socket is bound or connected to.
    static func of(_ fd: Int32, peer: Bool = false) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let failed = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                peer ? getpeername(fd, $0, &length) : getsockname(fd, $0, &length)
            }
        }
        return failed == 0 ? SocketAddress(&storage) : nil
    }
}

/// Why a socket cannot be had, in one sentence.
public struct SocketError: Error, CustomStringConvertible, Sendable {
    public var description: String
    /// errno behind it; 0: none.
    public var code: Int32
    public init(_ description: String, code: Int32 = 0) {
        self.description = description
        self.code = code
    }
}
