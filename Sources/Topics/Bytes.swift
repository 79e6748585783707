// SPDX-License-Identifier: Apache-2.0

/// A topic name, a filter or a part of one, in place: the owner of the memory outlives the call, nothing here keeps it.
public typealias Bytes = UnsafeRawBufferPointer

enum TopicByte {
    static let slash = UInt8(ascii: "/")
    static let plus = UInt8(ascii: "+")
    static let number = UInt8(ascii: "#")
    static let dollar = UInt8(ascii: "$")
    static let percent = UInt8(ascii: "%")
}

/// 64 well-mixed bits of `bytes`. `seed` is secret and drawn once per process: every constant that meets bytes an
/// attacker chose depends on it, so nobody outside can prepare colliding topics.
@inlinable
public func hash(_ bytes: Bytes, seed: UInt64) -> UInt64 {
    let count = bytes.count
    guard count > 0, var at = bytes.baseAddress else { return foldMultiply(seed, 0x9e37_79b9_7f4a_7c15) }
    let secret = (seed &* 0xd6e8_feb8_6659_fd93) ^ (seed >> 29) ^ 0xa076_1d64_78bd_642f
    var state = seed ^ 0x8ebc_6af0_9c88_c6e3
    var rest = count
    while rest > 16 {
        state = foldMultiply(word(at) ^ secret, word(at + 8) ^ state)
        at += 16
        rest -= 16
    }
    let first: UInt64
    let last: UInt64
    if rest >= 8 {
        first = word(at)
        last = word(at + rest - 8)
    } else {
        first = partialWord(at, rest)
        last = 0
    }
    let mixed = foldMultiply(first ^ secret, last ^ state)
    return foldMultiply(mixed ^ secret, UInt64(truncatingIfNeeded: count) ^ 0x5895_88d2_ac7e_4b9b)
}

/// High and low half of the 128-bit product, folded.
@inlinable @inline(__always)
func foldMultiply(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}

@inlinable @inline(__always)
func word(_ at: UnsafeRawPointer) -> UInt64 {
    UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
}

/// `count` (0...7) bytes as a little-endian word, the rest zero, without touching a byte beyond them.
@inlinable @inline(__always)
func partialWord(_ at: UnsafeRawPointer, _ count: Int) -> UInt64 {
    if count >= 4 {
        let low = UInt32(littleEndian: at.loadUnaligned(as: UInt32.self))
        let high = UInt32(littleEndian: (at + count - 4).loadUnaligned(as: UInt32.self))
        return UInt64(low) | UInt64(high) &<< UInt64(truncatingIfNeeded: (count - 4) * 8)
    }
    if count == 0 { return 0 }
    let middle = count >> 1
    let last = count - 1
    return UInt64(at.load(as: UInt8.self))
        | UInt64(at.load(fromByteOffset: middle, as: UInt8.self)) &<< UInt64(truncatingIfNeeded: middle * 8)
        | UInt64(at.load(fromByteOffset: last, as: UInt8.self)) &<< UInt64(truncatingIfNeeded: last * 8)
}
