// SPDX-License-Identifier: Apache-2.0

/// A hash of a topic's key, for `TopicIndex`. Every constant that meets bytes of a client's choice depends on a secret of
/// this store, so nobody can prepare topics that collide.
struct TopicHash {
    let bits: UInt64

    /// Drawn when the store is made.
    struct Secret {
        var first: UInt64
        var second: UInt64
    }

    /// Folded products of 64 bits, two words a step; after the last step its bits are mixed once more with the length,
    /// which tells `a` from `a` and NUL.
    init(_ key: UnsafeRawBufferPointer, _ secret: Secret) {
        let count = key.count
        guard count > 0, var at = key.baseAddress else {
            bits = 0
            return
        }
        var state = secret.first
        var rest = count
        while rest > 16 {
            state = Self.fold(Self.word(at) ^ secret.second, Self.word(at + 8) ^ state)
            at += 16
            rest -= 16
        }
        let first: UInt64
        var last: UInt64 = 0
        if rest >= 8 {
            first = Self.word(at)
            last = Self.word(at + rest - 8)
        } else if count >= 8 {
            first = Self.word(at + rest - 8)
        } else {
            first = Self.shortWord(at, rest)
        }
        state = Self.fold(first ^ secret.second, last ^ state)
        bits = Self.fold(state ^ secret.second, UInt64(truncatingIfNeeded: count) ^ secret.first)
    }

    @inline(__always)
    private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    @inline(__always)
    private static func word(_ at: UnsafeRawPointer) -> UInt64 {
        UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
    }

    /// 1 to 7 bytes.
    private static func shortWord(_ at: UnsafeRawPointer, _ count: Int) -> UInt64 {
        if count >= 4 {
            let low = UInt32(littleEndian: at.loadUnaligned(as: UInt32.self))
            let high = UInt32(littleEndian: (at + count - 4).loadUnaligned(as: UInt32.self))
            return UInt64(low) | UInt64(high) << 32
        }
        let middle = UInt64(at.load(fromByteOffset: count >> 1, as: UInt8.self))
        return UInt64(at.load(as: UInt8.self)) | middle << 8
            | UInt64(at.load(fromByteOffset: count - 1, as: UInt8.self)) << 16
    }
}
