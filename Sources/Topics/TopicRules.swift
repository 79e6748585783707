// SPDX-License-Identifier: Apache-2.0

/// Longest topic name or filter in bytes [MQTT-4.7.3-3]. A lower limit of the broker's own is a matter of configuration.
public let maximumTopicLength = 65_535

/// Whether `topic` may stand in a PUBLISH or a will. UTF-8 is the codec's concern.
/// 1...65,535 bytes [MQTT-4.7.3-1, -3], no NUL [MQTT-4.7.3-2], no wildcard [MQTT-3.3.2-2]
/// (3.1.1: [MQTT-4.7.1-1], 5: [MQTT-4.7.0-1]).
public func isValidTopicName(_ topic: Bytes) -> Bool {
    guard !topic.isEmpty, topic.count <= maximumTopicLength else { return false }
    for byte in topic where byte == 0 || byte == TopicByte.plus || byte == TopicByte.number { return false }
    return true
}

/// Whether `filter` may stand in a SUBSCRIBE, share prefixes aside (see ``parseSubscription(_:)``).
/// Lengths and NUL as for names [MQTT-4.7.3-1...3]; `#` alone in the last level (3.1.1: [MQTT-4.7.1-2],
/// 5: [MQTT-4.7.1-1]); `+` alone in its level (3.1.1: [MQTT-4.7.1-3], 5: [MQTT-4.7.1-2]).
public func isValidFilter(_ filter: Bytes) -> Bool {
    let count = filter.count
    guard count > 0, count <= maximumTopicLength else { return false }
    for (index, byte) in filter.enumerated() {
        switch byte {
        case 0:
            return false
        case TopicByte.number, TopicByte.plus:
            if index > 0, filter[index - 1] != TopicByte.slash { return false }
            if index + 1 == count { continue }
            if byte == TopicByte.number || filter[index + 1] != TopicByte.slash { return false }
        default:
            continue
        }
    }
    return true
}

/// Whether a valid filter contains `+` or `#`, that is, can match more than one topic.
public func hasWildcard(_ filter: Bytes) -> Bool {
    for byte in filter where byte == TopicByte.plus || byte == TopicByte.number { return true }
    return false
}

/// Levels between slashes; empty ones count: `/` has two.
public func levelCount(_ topic: Bytes) -> Int {
    guard var at = topic.baseAddress else { return 1 }
    var (count, rest) = (1, topic.count)
    while rest >= 8 {
        count &+= slashes(word(at))
        at += 8
        rest -= 8
    }
    return count &+ slashes(partialWord(at, rest))
}

/// How many of the eight bytes are slashes.
@inline(__always)
private func slashes(_ word: UInt64) -> Int {
    let (ones, low): (UInt64, UInt64) = (0x0101_0101_0101_0101, 0x7f7f_7f7f_7f7f_7f7f)
    let others = word ^ (ones &* UInt64(TopicByte.slash))
    // The high bit of each byte that is not zero; no carry leaves a byte.
    return (~((others & low) &+ low | others | low)).nonzeroBitCount
}

/// Whether one valid filter matches one topic; for many filters there is ``FilterTrie``.
/// `a/#` matches `a` (MQTT 5 §4.7.1.2). `dollarGuard`: a wildcard in the first level does not match a topic that starts
/// with `$` [MQTT-4.7.2-1]; the rules of acl.conf switch that off.
public func matches(filter: Bytes, topic: Bytes, dollarGuard: Bool = true) -> Bool {
    var atFilter = 0
    var atTopic = 0
    if dollarGuard, topic.first == TopicByte.dollar, filter.first == TopicByte.plus || filter.first == TopicByte.number
    {
        return false
    }
    while true {
        if atFilter + 1 == filter.count, filter[atFilter] == TopicByte.number { return true }
        if isPlusLevel(filter, atFilter) {
            atFilter += 1
            while atTopic < topic.count, topic[atTopic] != TopicByte.slash { atTopic += 1 }
        } else {
            while atFilter < filter.count, atTopic < topic.count, filter[atFilter] == topic[atTopic],
                filter[atFilter] != TopicByte.slash
            {
                atFilter += 1
                atTopic += 1
            }
            if atFilter < filter.count, filter[atFilter] != TopicByte.slash { return false }
            if atTopic < topic.count, topic[atTopic] != TopicByte.slash { return false }
        }
        if atFilter == filter.count { return atTopic == topic.count }
        if atTopic == topic.count {
            return atFilter + 2 == filter.count && filter[atFilter + 1] == TopicByte.number
        }
        atFilter += 1
        atTopic += 1
    }
}

private func isPlusLevel(_ filter: Bytes, _ at: Int) -> Bool {
    guard at < filter.count, filter[at] == TopicByte.plus else { return false }
    return at + 1 == filter.count || filter[at + 1] == TopicByte.slash
}
