// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// What a filter says about one key, and where the next key is that could match.
enum FilterStep {
    case match
    /// Nothing before the key in the target buffer matches; the target is above the key that was asked about.
    case seek
    /// In the branch that the first `leaving` bytes of this key name nothing behind it matches but the key in the target
    /// buffer, if there is such a topic.
    case probe(leaving: Int)
    /// Nothing after this key matches.
    case end

    private static let hash = UInt8(ascii: "#")
    private static let plus = UInt8(ascii: "+")
    private static let dollar = UInt8(ascii: "$")

    /// Compares level by level. `filter` is a filter's key; on `.seek` and `.probe` the target replaces what `target` holds.
    static func take(
        _ key: UnsafeRawBufferPointer, filter: UnsafeRawBufferPointer, target: inout ByteBuffer
    ) -> FilterStep {
        if key.count > 0, key[0] == dollar, isWildcard(filter, 0, levelEnd(filter, 0)) {
            target.removeAll()  // [MQTT-4.7.2-1]
            target.append(dollar + 1)
            return .seek
        }
        var k = 0
        var f = 0
        /// Where the deepest level of `key` ends that a `+` accepted: the branch to leave when nothing below it fits.
        var accepted = -1
        while true {
            let keyEnd = levelEnd(key, k)
            let filterEnd = levelEnd(filter, f)
            if filterEnd - f == 1, filter[f] == hash { return .match }
            if filterEnd - f == 1, filter[f] == plus {
                accepted = keyEnd
            } else {
                let order = TopicKey.compare(slice(key, k, keyEnd), slice(filter, f, filterEnd))
                if order > 0 { return leave(key, accepted, &target) }
                if order < 0 {
                    target.removeAll()
                    target.append(slice(key, 0, k))
                    return find(filter, f, filterEnd, accepted, &target)
                }
            }
            if filterEnd == filter.count {
                return keyEnd == key.count ? .match : leave(key, accepted, &target)
            }
            if keyEnd == key.count { return descend(key, filter, filterEnd + 1, accepted, &target) }
            k = keyEnd + 1
            f = filterEnd + 1
        }
    }

    /// The key has ended and the filter goes on at `f`: only `#` accepts that (MQTT 5
    /// §4.7.1.2), anything else is below.
    private static func descend(
        _ key: UnsafeRawBufferPointer, _ filter: UnsafeRawBufferPointer, _ f: Int, _ accepted: Int,
        _ target: inout ByteBuffer
    ) -> FilterStep {
        let filterEnd = levelEnd(filter, f)
        let wildcard = isWildcard(filter, f, filterEnd)
        if wildcard, filter[f] == hash { return .match }
        target.removeAll()
        target.append(key)
        target.append(TopicKey.separator)
        return wildcard ? .seek : find(filter, f, filterEnd, accepted, &target)
    }

    /// Appends to the target the level of the filter from `f` to `end`, a name, or all that follows when it is names.
    private static func find(
        _ filter: UnsafeRawBufferPointer, _ f: Int, _ end: Int, _ accepted: Int, _ target: inout ByteBuffer
    ) -> FilterStep {
        let rest = slice(filter, f, filter.count)
        guard accepted >= 0, !TopicKey.hasWildcard(rest) else {
            target.append(slice(filter, f, end))
            return .seek
        }
        target.append(rest)
        return .probe(leaving: accepted)
    }

    /// Skips everything below the level that ends at `accepted`.
    private static func leave(
        _ key: UnsafeRawBufferPointer, _ accepted: Int, _ target: inout ByteBuffer
    ) -> FilterStep {
        guard accepted >= 0 else { return .end }
        behind(slice(key, 0, accepted), &target)
        return .seek
    }

    /// The lowest key behind a branch.
    static func behind(_ branch: UnsafeRawBufferPointer, _ target: inout ByteBuffer) {
        target.removeAll()
        target.append(branch)
        target.append(TopicKey.separator + 1)
    }

    private static func isWildcard(_ filter: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        end - start == 1 && (filter[start] == plus || filter[start] == hash)
    }

    private static func levelEnd(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> Int {
        guard start < bytes.count, let base = bytes.baseAddress else { return bytes.count }
        guard let found = memchr(base + start, Int32(TopicKey.separator), bytes.count - start) else {
            return bytes.count
        }
        return UnsafeRawPointer(found) - base
    }

    private static func slice(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }
}
