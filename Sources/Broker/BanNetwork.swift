// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The addresses a ban holds for: "192.0.2.7", "10.0.0.0/8", "2001:db8::/32". A single address is a network of one.
struct BanNetwork: Hashable, Sendable {
    /// An IPv4 address that came in over IPv6 (::ffff:a.b.c.d) counts as IPv4.
    let isIPv4: Bool
    /// Bits of the prefix.
    let length: Int
    /// The prefix; an IPv4 address in the upper half of `high`.
    let high: UInt64
    let low: UInt64

    private init(isIPv4: Bool, length: Int, high: UInt64, low: UInt64) {
        self.isIPv4 = isIPv4
        self.length = length
        self.high = length >= 64 ? high : high & ~(UInt64.max >> UInt64(length))
        self.low = length <= 64 ? 0 : low & ~(length == 128 ? 0 : UInt64.max >> UInt64(length - 64))
    }

    /// nil when it is no address or network. Bits behind the prefix are ignored.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let peer = PeerAddress(String(first)) else { return nil }
        self.init(peer)
        if parts.count == 2 {
            guard let given = UInt8(parts[1]), given <= length else { return nil }
            self = prefix(Int(given))
        }
    }

    init(_ peer: PeerAddress) {
        var words: (UInt64, UInt64) = (0, 0)
        for i in 0..<8 {
            words.0 = words.0 << 8 | UInt64(peer.address[i])
            words.1 = words.1 << 8 | UInt64(peer.address[i + 8])
        }
        if !peer.isIPv6 {
            self.init(isIPv4: true, length: 32, high: words.0, low: 0)
        } else if words.0 == 0, words.1 >> 32 == 0xFFFF {
            self.init(isIPv4: true, length: 32, high: words.1 << 32, low: 0)
        } else {
            self.init(isIPv4: false, length: 128, high: words.0, low: words.1)
        }
    }

    func prefix(_ length: Int) -> BanNetwork { BanNetwork(isIPv4: isIPv4, length: length, high: high, low: low) }

    func contains(_ other: BanNetwork) -> Bool {
        other.isIPv4 == isIPv4 && other.length >= length && other.prefix(length) == self
    }

    /// In the one form that is stored and shown: without the length where it is a single address.
    var text: String {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        for i in 0..<8 {
            bytes[i] = UInt8(truncatingIfNeeded: high >> (56 - 8 * UInt64(i)))
            bytes[i + 8] = UInt8(truncatingIfNeeded: low >> (56 - 8 * UInt64(i)))
        }
        let address = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            inet_ntop(isIPv4 ? AF_INET : AF_INET6, &bytes, buffer.baseAddress!, 64)
            return String(cString: buffer.baseAddress!)
        }
        return length == (isIPv4 ? 32 : 128) ? address : "\(address)/\(length)"
    }
}

extension PeerAddress {
    /// An address without a port; nil when it is none.
    init?(_ text: String) {
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        let family = text.contains(":") ? AF_INET6 : AF_INET
        guard inet_pton(family, text, &bytes) == 1 else { return nil }
        self.init(address: bytes, port: 0, isIPv6: family == AF_INET6)
    }
}
