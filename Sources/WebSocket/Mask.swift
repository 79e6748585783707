// SPDX-License-Identifier: Apache-2.0

/// A frame's masking key, turned so that its first byte is for the next byte of the payload. RFC 6455 §5.3
struct Mask {
    /// The first byte to use is the lowest.
    private var key: UInt32

    init() { key = 0 }

    init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        key = UInt32(a) | UInt32(b) << 8 | UInt32(c) << 16 | UInt32(d) << 24
    }

    /// Uncovers `count` bytes and moves them down on the way: `to` is at or below `from`.
    mutating func uncover(_ from: UnsafeRawPointer, to: UnsafeMutableRawPointer, count: Int) {
        let eight = (UInt64(key) << 32 | UInt64(key)).littleEndian
        let many = SIMD4<UInt64>(repeating: eight)
        var at = 0
        // What a step stores lies below what the next one loads, so overlapping places do no harm.
        while count - at >= 32 {
            let word = (from + at).loadUnaligned(as: SIMD4<UInt64>.self)
            (to + at).storeBytes(of: word ^ many, as: SIMD4<UInt64>.self)
            at += 32
        }
        while count - at >= 8 {
            let word = (from + at).loadUnaligned(as: UInt64.self)
            (to + at).storeBytes(of: word ^ eight, as: UInt64.self)
            at += 8
        }
        for i in at..<count {
            let byte = from.load(fromByteOffset: i, as: UInt8.self)
            to.storeBytes(
                of: byte ^ UInt8(truncatingIfNeeded: key >> UInt32(i % 4 * 8)), toByteOffset: i, as: UInt8.self)
        }
        let turn = UInt32(count % 4 * 8)
        if turn > 0 { key = key >> turn | key << (32 - turn) }
    }
}
