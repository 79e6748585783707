// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CLMDB

/// A topic as the store keeps it: the same bytes with every `/` replaced by NUL, which no topic may contain
/// [MQTT-1.5.4-2].
///
/// Plain byte order of keys is then level order: a topic comes directly before everything below it, and a topic with
/// all that is below it is one run without gaps. That turns a wildcard filter into a few seeks.
enum TopicKey {
    static let separator: UInt8 = 0
    static let maxCount = 65_535

    /// Calls `body` with the key of a topic or filter, valid during the call. Nil when it is none: empty, too long or
    /// with a NUL inside.
    static func with<R>(_ topic: martlet_bytes, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        guard let from = topic.ptr, topic.len > 0, topic.len <= maxCount else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: topic.len, alignment: 1) { buffer -> R? in
            guard let to = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
            // Without a branch, so that it becomes one instruction for many bytes.
            var nuls: UInt8 = 0
            for i in 0..<topic.len {
                let byte = from[i]
                nuls |= byte == 0 ? 1 : 0
                to[i] = byte == UInt8(ascii: "/") ? separator : byte
            }
            return nuls != 0 ? nil : body(UnsafeRawBufferPointer(start: to, count: topic.len))
        }
    }

    /// Writes the topic of a key into `out`, which must have room for `key.count` bytes.
    static func writeTopic(_ key: UnsafeRawBufferPointer, to out: UnsafeMutablePointer<UInt8>) {
        for i in 0..<key.count {
            out[i] = key[i] == separator ? UInt8(ascii: "/") : key[i]
        }
    }

    /// Whether a filter's key has a level `+` or `#`.
    static func hasWildcard(_ key: UnsafeRawBufferPointer) -> Bool {
        var levelStart = 0
        for i in 0...key.count where i == key.count || key[i] == separator {
            if i - levelStart == 1, key[levelStart] == UInt8(ascii: "+") || key[levelStart] == UInt8(ascii: "#") {
                return true
            }
            levelStart = i + 1
        }
        return false
    }

    /// Whether a filter is well formed: `+` and `#` alone in their levels, `#` the last [MQTT-4.7.1-1], [MQTT-4.7.1-2].
    static func isFilter(_ key: UnsafeRawBufferPointer) -> Bool {
        for i in 0..<key.count {
            guard key[i] == UInt8(ascii: "+") || key[i] == UInt8(ascii: "#") else { continue }
            let isLast = i + 1 == key.count
            if i > 0, key[i - 1] != separator { return false }
            if !isLast, key[i] == UInt8(ascii: "#") || key[i + 1] != separator { return false }
        }
        return key.count > 0
    }

    @inline(__always)
    static func isEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count, let x = a.baseAddress, let y = b.baseAddress else { return false }
        return memcmp(x, y, a.count) == 0
    }

    /// Byte order; a prefix comes before what it begins. Negative, zero or positive.
    @inline(__always)
    static func compare(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
        let shared = min(a.count, b.count)
        if shared > 0, let x = a.baseAddress, let y = b.baseAddress {
            let order = memcmp(x, y, shared)
            if order != 0 { return Int(order) }
        }
        return a.count - b.count
    }
}

/// A growing run of bytes outside any Swift array, freed by `free()`.
struct ByteBuffer {
    private(set) var base: UnsafeMutableRawPointer?
    private(set) var count = 0
    private var capacity = 0

    init() {}

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

    mutating func removeAll() { count = 0 }

    mutating func append(_ more: UnsafeRawBufferPointer) {
        guard more.count > 0, let from = more.baseAddress else { return }
        reserve(count + more.count)
        guard let base else { return }
        memcpy(base + count, from, more.count)
        count += more.count
    }

    mutating func append(_ byte: UInt8) {
        reserve(count + 1)
        guard let base else { return }
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count += 1
    }

    /// Appends the topic of a key.
    mutating func appendTopic(_ key: UnsafeRawBufferPointer) {
        reserve(count + key.count)
        guard let base else { return }
        TopicKey.writeTopic(key, to: (base + count).assumingMemoryBound(to: UInt8.self))
        count += key.count
    }

    mutating func free() {
        CLMDB.free(base)
        base = nil
        count = 0
        capacity = 0
    }

    private mutating func reserve(_ needed: Int) {
        guard needed > capacity else { return }
        let wanted = max(needed, capacity * 2, 64)
        guard let grown = realloc(base, wanted) else { fatalError("retainer: out of memory") }
        base = grown
        capacity = wanted
    }
}
