// SPDX-License-Identifier: Apache-2.0

/// Who of several subscribers gets a message.
public enum SubscriptionTarget: UInt8, Sendable {
    /// Every subscriber.
    case plain
    /// One member of the group named in `$share/GROUP/FILTER` (MQTT 5 §4.8.2).
    case shared
    /// One member of the group `$queue`: `$queue/FILTER`, EMQ's older spelling of `$share/$queue/FILTER`.
    case queue
}

/// What a client asked for in one SUBSCRIBE or UNSUBSCRIBE entry, as ranges of the bytes that were parsed.
public struct ParsedSubscription: Equatable, Sendable {
    public var kind: SubscriptionTarget
    /// The group's name; of a queue the bytes `$queue`; empty when plain.
    public var group: Range<Int>
    /// The filter that topics are matched against: not empty, valid.
    public var filter: Range<Int>
    /// `$local/…`: messages published on other nodes do not reach it.
    public var isLocal: Bool
}

/// Takes the prefixes `$local/`, `$queue/` and `$share/GROUP/` off; nil if what the client sent is not valid.
///
/// Each prefix may stand once, `$queue/` excludes `$share/`, and what follows `$share/GROUP/` is taken literally, as in
/// EMQ. A bare `$share`, `$queue` or `$local` without a slash is an ordinary filter.
public func parseSubscription(_ filter: Bytes) -> ParsedSubscription? {
    guard filter.count <= maximumTopicLength else { return nil }
    var result = ParsedSubscription(kind: .plain, group: 0..<0, filter: 0..<filter.count, isLocal: false)
    var at = 0
    while true {
        if starts(filter, at, with: "$local/") {
            if result.isLocal { return nil }
            result.isLocal = true
            at += 7
        } else if starts(filter, at, with: "$queue/") {
            if result.kind != .plain { return nil }
            result.kind = .queue
            result.group = at..<at + 6
            at += 7
        } else if starts(filter, at, with: "$share/") {
            guard result.kind == .plain, let group = groupName(filter, from: at + 7) else { return nil }
            result.kind = .shared
            result.group = group
            at = group.upperBound + 1
            break
        } else {
            break
        }
    }
    result.filter = at..<filter.count
    return isValidFilter(Bytes(rebasing: filter[result.filter])) ? result : nil
}

/// The bytes up to the next slash: at least one [MQTT-4.8.2-1], no wildcard, and the slash is there [MQTT-4.8.2-2].
private func groupName(_ filter: Bytes, from start: Int) -> Range<Int>? {
    var end = start
    while end < filter.count, filter[end] != TopicByte.slash {
        if filter[end] == 0 || filter[end] == TopicByte.plus || filter[end] == TopicByte.number { return nil }
        end += 1
    }
    return end > start && end < filter.count ? start..<end : nil
}

private func starts(_ bytes: Bytes, _ at: Int, with prefix: StaticString) -> Bool {
    guard bytes.count - at >= prefix.utf8CodeUnitCount else { return false }
    for index in 0..<prefix.utf8CodeUnitCount where bytes[at + index] != prefix.utf8Start[index] { return false }
    return true
}
