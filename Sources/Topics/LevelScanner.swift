// SPDX-License-Identifier: Apache-2.0

/// The secrets that keep outsiders from preparing topics whose levels collide in the table.
struct LevelKeys {
    let start: UInt64
    let word: UInt64
    let node: UInt64

    init(seed: UInt64) {
        var state = seed
        func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            let mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            return foldMultiply(mixed ^ (mixed >> 27), 0x94d0_49bb_1331_11eb) ^ state
        }
        start = next()
        word = next()
        node = next() | 1
    }
}

/// Walks the levels of a topic or filter in place, eight bytes at a time, and hashes each level on the way.
struct LevelScanner {
    /// First byte of the current level, its length, its seeded hash and its first eight bytes, zero-padded.
    private(set) var level: UnsafeRawPointer
    private(set) var length = 0
    private(set) var hash: UInt64 = 0
    private(set) var prefix: UInt64 = 0
    private(set) var isLast = false
    private var next: UnsafeRawPointer
    private let end: UnsafeRawPointer
    private let keys: LevelKeys

    @inline(__always)
    init(_ bytes: Bytes, _ keys: LevelKeys) {
        // An empty buffer may have no address; nothing is read through this one.
        level = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
        next = level
        end = level + bytes.count
        self.keys = keys
    }

    /// Moves to the next level; only while ``isLast`` is false.
    @inline(__always)
    mutating func advance() {
        level = next
        var at = next
        var state = keys.start
        while true {
            let left = end - at
            var bits = left >= 8 ? word(at) : partialWord(at, left)
            let difference = bits ^ 0x2f2f_2f2f_2f2f_2f2f
            let slashes = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if slashes == 0, left >= 8 {
                if at == level { prefix = bits }
                state = foldMultiply(bits ^ keys.word, state)
                at += 8
                continue
            }
            var rest = left
            if slashes != 0 {
                rest = slashes.trailingZeroBitCount >> 3
                bits &= (1 &<< UInt64(truncatingIfNeeded: rest * 8)) &- 1
            }
            if at == level { prefix = bits }
            hash = foldMultiply(bits ^ keys.word, state)
            at += rest
            length = at - level
            isLast = slashes == 0
            next = at + 1
            return
        }
    }

    @inline(__always) var isPlus: Bool { length == 1 && prefix == UInt64(TopicByte.plus) }
    @inline(__always) var isNumber: Bool { length == 1 && prefix == UInt64(TopicByte.number) }
}
