// SPDX-License-Identifier: Apache-2.0

/// SipHash-1-3 (Aumasson, Bernstein): keyed, so nobody can prepare topics that collide.
enum SipHash {
    static func hash(_ bytes: UnsafeRawBufferPointer, key k0: UInt64, _ k1: UInt64) -> UInt64 {
        var v = (
            k0 ^ 0x736f_6d65_7073_6575, k1 ^ 0x646f_7261_6e64_6f6d, k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573
        )
        let whole = bytes.count & ~7
        var offset = 0
        while offset < whole {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            v.3 ^= word
            round(&v)
            v.0 ^= word
            offset += 8
        }
        var last = UInt64(truncatingIfNeeded: bytes.count) << 56
        for i in whole..<bytes.count { last |= UInt64(bytes[i]) << UInt64(8 * (i - whole)) }
        v.3 ^= last
        round(&v)
        v.0 ^= last
        v.2 ^= 0xff
        for _ in 0..<3 { round(&v) }
        return v.0 ^ v.1 ^ v.2 ^ v.3
    }

    @inline(__always)
    private static func round(_ v: inout (UInt64, UInt64, UInt64, UInt64)) {
        v.0 = v.0 &+ v.1
        v.1 = rotate(v.1, 13) ^ v.0
        v.0 = rotate(v.0, 32)
        v.2 = v.2 &+ v.3
        v.3 = rotate(v.3, 16) ^ v.2
        v.0 = v.0 &+ v.3
        v.3 = rotate(v.3, 21) ^ v.0
        v.2 = v.2 &+ v.1
        v.1 = rotate(v.1, 17) ^ v.2
        v.2 = rotate(v.2, 32)
    }

    @inline(__always)
    private static func rotate(_ x: UInt64, _ by: UInt64) -> UInt64 { (x &<< by) | (x &>> (64 &- by)) }
}
