// SPDX-License-Identifier: Apache-2.0
import CPluginKit

/// Files, read whole. On the control thread or the blocking pool only: the disk may block.
public enum File {
    /// Lends the contents of a file of at most `limit` bytes; throws the sentence "etc/x: No such file or directory".
    public static func read<R: ~Copyable>(
        _ path: String, limit: Int = 16 << 20, _ body: (Bytes) throws(PluginError) -> R
    ) throws(PluginError) -> R {
        let contents = try load(path, limit)
        defer { pluginkit_free(contents.baseAddress) }
        return try body(Bytes(start: contents.baseAddress, count: contents.count))
    }

    /// As `read`, for a file with secrets: refused when others than its owner may read or write it, and overwritten in
    /// memory afterwards.
    public static func readSecret<R: ~Copyable>(
        _ path: String, limit: Int = 16 << 20, _ body: (Bytes) throws(PluginError) -> R
    ) throws(PluginError) -> R {
        let contents = try load(path, limit, isSecret: true)
        defer {
            if let start = contents.baseAddress { pluginkit_wipe(start, contents.count) }
            pluginkit_free(contents.baseAddress)
        }
        return try body(Bytes(start: contents.baseAddress, count: contents.count))
    }

    /// Memory for `pluginkit_free`.
    private static func load(
        _ path: String, _ limit: Int, isSecret: Bool = false
    ) throws(PluginError) -> UnsafeMutableBufferPointer<UInt8> {
        var start: UnsafeMutablePointer<UInt8>?
        var count = 0
        var terminated = Array(path.utf8)
        terminated.append(0)
        let error = terminated.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return Int32(-1) }
            let text = base.assumingMemoryBound(to: CChar.self)
            return isSecret
                ? pluginkit_read_secret(text, limit, &start, &count) : pluginkit_read_file(text, limit, &start, &count)
        }
        if error == 0 { return UnsafeMutableBufferPointer(start: start, count: start == nil ? 0 : count) }
        pluginkit_free(start)
        if isSecret, error == notPermitted {
            throw PluginError(.denied, "\(path): others than its owner may read or write it; chmod 600 \(path).")
        }
        throw PluginError(.io, "\(path): \(errorText(error)).")
    }

    /// EPERM
    private static var notPermitted: Int32 { 1 }
}

/// Bytes that nobody else may see, overwritten when their last user lets go.
public final class SecretBytes {
    private let memory: UnsafeMutablePointer<UInt8>
    private let room: Int
    public private(set) var count = 0

    /// - Parameter room: the most that can be appended.
    public init(room: Int) {
        self.room = room
        memory = .allocate(capacity: max(room, 1))
        memory.initialize(repeating: 0, count: max(room, 1))
    }
    deinit {
        pluginkit_wipe(memory, room)
        memory.deallocate()
    }
    /// False when there is no room left.
    @discardableResult public func append(_ byte: UInt8) -> Bool {
        guard count < room else { return false }
        memory[count] = byte
        count += 1
        return true
    }
    public var bytes: Bytes { Bytes(start: memory, count: count) }
}

private func errorText(_ error: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        guard let start = buffer.baseAddress else { return "" }
        return String(cString: pluginkit_error_text(error, start, 128))
    }
}

/// An IPv4 or IPv6 address, for comparing with networks.
public struct IPAddress {
    /// 16 bytes in network order; IPv4 stands as ::ffff:a.b.c.d.
    public let high: UInt64
    public let low: UInt64
    public let isV4: Bool

    /// "192.0.2.7" or "2001:db8::1"; nil when it is neither.
    public init?(_ text: Bytes) { self.init(text, parser: pluginkit_parse_ip) }

    @inline(__always)
    private init?(
        _ text: Bytes, parser: (UnsafePointer<UInt8>, Int, UnsafeMutablePointer<UInt8>) -> Int32
    ) {
        guard let start = text.start else { return nil }
        var bytes = SIMD16<UInt8>(repeating: 0)
        let family = withUnsafeMutableBytes(of: &bytes) { buffer -> Int32 in
            guard let out = buffer.baseAddress else { return 0 }
            return parser(start, text.count, out.assumingMemoryBound(to: UInt8.self))
        }
        guard family != 0 else { return nil }
        let words = unsafeBitCast(bytes, to: SIMD2<UInt64>.self)
        high = UInt64(bigEndian: words.x)
        low = UInt64(bigEndian: words.y)
        isV4 = family == 4
    }
    /// The address of "192.0.2.7:51234" or "[2001:db8::1]:51234", with or without port.
    public init?(peer: Bytes) {
        // What nearly every peer is, in a tenth of the time.
        if let address = IPAddress(peer, parser: pluginkit_parse_peer_v4) {
            self = address
        } else if peer.at(0) == UInt8(ascii: "[") {
            guard let end = peer.index(of: UInt8(ascii: "]")) else { return nil }
            let zone = peer.index(of: UInt8(ascii: "%")) ?? end
            self.init(peer.slice(1, Swift.min(zone, end)))
        } else if let colon = peer.index(of: UInt8(ascii: ":")),
            peer.index(of: UInt8(ascii: ":"), from: colon + 1) == nil
        {
            self.init(peer.slice(0, colon))
        } else {
            self.init(peer)
        }
    }
}

/// A network in CIDR notation. A single address is a network of one.
public struct IPNetwork {
    public let base: IPAddress
    private let highMask: UInt64
    private let lowMask: UInt64

    /// "192.168.1.0/24", "2001:db8::/32", "127.0.0.1"; host bits are ignored. nil when it is none of these.
    public init?(_ text: Bytes) {
        let slash = text.index(of: UInt8(ascii: "/"))
        guard let base = IPAddress(text.slice(0, slash ?? text.count)) else { return nil }
        let longest = base.isV4 ? 32 : 128
        var length = longest
        if let slash {
            guard let given = text.slice(slash + 1).integer, given >= 0, given <= longest else { return nil }
            length = given
        }
        if base.isV4 { length += 96 }
        self.base = base
        highMask = length >= 64 ? .max : ~(UInt64.max >> UInt64(length))
        lowMask = length <= 64 ? 0 : ~(length == 128 ? 0 : UInt64.max >> UInt64(length - 64))
    }
    public func contains(_ address: IPAddress) -> Bool {
        address.isV4 == base.isV4 && (address.high ^ base.high) & highMask == 0
            && (address.low ^ base.low) & lowMask == 0
    }
}
