// SPDX-License-Identifier: Apache-2.0

/// What ``FilterTrie/match(_:into:)`` has looked at of a topic, and so for which others it would find the same.
struct MatchScope {
    /// Bit i: the name of level i was compared. That of the first always counts, because of `$`.
    var named: UInt64 = 0
    /// How many levels were walked.
    var levels = 0
    /// Nothing matches further down, so it does not matter what follows, nor whether anything does.
    var isOpen = false
}

/// The topics that a filter trie, as long as it stays as it is, does not tell apart from one that it has walked: where
/// filters have `+` or `#` their levels differ, where filters have names they are the same.
public struct TopicPattern {
    /// Levels of any name, and then bytes that are the same.
    private struct Run {
        var skip: UInt16 = 0
        var start: UInt16 = 0
        var count: UInt16 = 0
    }

    private enum End: UInt8 {
        /// One level of any name, whatever follows.
        case anything
        /// The end of a level, whatever follows.
        case level
        /// Nothing.
        case topic
        /// One level of any name and nothing more.
        case lastLevel
    }

    private static let mostRuns = 4
    private static let mostLevels = 64

    private var runs = InlineArray<4, Run>(repeating: Run())
    private var runCount: UInt8 = 0
    private var end = End.topic
    /// Levels of any name between the last run and the end.
    private var skip: UInt16 = 0

    /// A pattern that covers nothing.
    public init() {}

    /// Of the topic that was matched last; nil if it covers no other, or needs too much to be told.
    public init?(_ topic: Bytes, matchedInto list: borrowing NodeList) {
        self.init(topic, list.scope)
    }

    init?(_ topic: Bytes, _ scope: MatchScope) {
        guard scope.levels > 0, scope.levels <= Self.mostLevels else { return nil }
        var at = 0
        var isInRun = false
        var hasSkipped = false
        for level in 0..<scope.levels {
            var levelEnd = at
            while levelEnd < topic.count, topic[levelEnd] != TopicByte.slash { levelEnd += 1 }
            let isLast = level == scope.levels - 1
            if scope.named >> UInt64(level) & 1 == 1 {
                if !isInRun {
                    guard Int(runCount) < Self.mostRuns else { return nil }
                    runs[Int(runCount)] = Run(skip: skip, start: UInt16(at))
                    runCount += 1
                    skip = 0
                    isInRun = true
                }
                let run = Int(runCount) - 1
                runs[run].count = UInt16((isLast ? levelEnd : levelEnd + 1) - Int(runs[run].start))
            } else {
                isInRun = false
                hasSkipped = true
                if !isLast { skip += 1 }
            }
            at = levelEnd + 1
        }
        end = isInRun ? (scope.isOpen ? .level : .topic) : (scope.isOpen ? .anything : .lastLevel)
        if end == .topic && !hasSkipped { return nil }
    }

    /// - Parameter example: the topic that it was made of.
    @inline(__always)
    public func covers(_ topic: Bytes, like example: Bytes) -> Bool {
        var at = 0
        for i in 0..<Int(runCount) {
            let run = runs[i]
            let count = Int(run.count)
            guard skipLevels(run.skip, of: topic, &at), topic.count - at >= count,
                isSame(topic.baseAddress! + at, example.baseAddress! + Int(run.start), count)
            else { return false }
            at += count
        }
        guard skipLevels(skip, of: topic, &at) else { return false }
        switch end {
        case .anything: return true
        case .level: return at == topic.count || topic[at] == TopicByte.slash
        case .topic: return at == topic.count
        case .lastLevel:
            var none = at
            return !skipLevels(1, of: topic, &none)
        }
    }

    /// Moves `at` behind as many slashes; false: there are not so many.
    @inline(__always)
    private func skipLevels(_ levels: UInt16, of topic: Bytes, _ at: inout Int) -> Bool {
        levels == 0 || TopicPattern.skip(Int(levels), of: topic, &at)
    }

    private static func skip(_ levels: Int, of topic: Bytes, _ at: inout Int) -> Bool {
        var left = levels
        let start = topic.baseAddress!
        while at < topic.count {
            let rest = topic.count - at
            let bits = rest >= 8 ? word(start + at) : partialWord(start + at, rest)
            // The high bit of each byte that is a slash, exactly.
            let difference = bits ^ 0x2f2f_2f2f_2f2f_2f2f
            let low = (difference & 0x7f7f_7f7f_7f7f_7f7f) &+ 0x7f7f_7f7f_7f7f_7f7f
            var slashes = ~(low | difference | 0x7f7f_7f7f_7f7f_7f7f)
            let count = slashes.nonzeroBitCount
            if count >= left {
                while left > 1 {
                    slashes &= slashes &- 1
                    left -= 1
                }
                at += slashes.trailingZeroBitCount >> 3 + 1
                return true
            }
            left -= count
            at += 8
        }
        return false
    }

    /// Mostly few bytes: less than a call costs.
    @inline(__always)
    private func isSame(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
        if count < 8 { return partialWord(a, count) == partialWord(b, count) }
        var at = 0
        while at + 8 <= count {
            if word(a + at) != word(b + at) { return false }
            at += 8
        }
        return word(a + count - 8) == word(b + count - 8)
    }
}
