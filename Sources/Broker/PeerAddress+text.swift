// SPDX-License-Identifier: Apache-2.0
import Glibc
import Sessions
import Topics

/// Runs `body` with "192.0.2.7:51234" or "[2001:db8::1]:51234". No allocation.
func withPeerText<R>(_ peer: PeerAddress, _ body: (Bytes) -> R) -> R {
    withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
        var peer = peer
        let text = buffer.baseAddress!.assumingMemoryBound(to: CChar.self)
        var n = 0
        if peer.isIPv6 {
            text[0] = 0x5B
            inet_ntop(AF_INET6, &peer.address, text + 1, 48)
            n = strlen(text)
            text[n] = 0x5D
            n += 1
        } else {
            for i in 0..<4 {
                if i > 0 {
                    text[n] = 0x2E
                    n += 1
                }
                n += writeDecimal(Int(peer.address[i]), text + n)
            }
        }
        text[n] = 0x3A
        n += 1
        n += writeDecimal(Int(peer.port), text + n)
        return body(Bytes(start: buffer.baseAddress!, count: n))
    }
}

extension PeerAddress {
    /// "192.0.2.7:51234", "[2001:db8::1]:51234"
    public var text: String { withPeerText(self) { String(decoding: $0, as: UTF8.self) } }
}

/// Digits of a non-negative number; returns how many.
func writeDecimal(_ value: Int, _ to: UnsafeMutablePointer<CChar>) -> Int {
    var digits = 1
    var limit = 10
    while value >= limit {
        digits += 1
        limit *= 10
    }
    var left = value
    var i = digits
    while i > 0 {
        i -= 1
        to[i] = CChar(0x30 + left % 10)
        left /= 10
    }
    return digits
}
