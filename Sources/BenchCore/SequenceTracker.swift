// SPDX-License-Identifier: Apache-2.0

/// What one receiver knows of one publisher's numbered messages: each is new, a duplicate, or late; what never came
/// is missing.
///
/// The expected message costs one comparison. Everything else goes through a list of the gaps, which is exact until a
/// stream has more than `gapLimit` of them; then the oldest gap is given up: a message that arrives for it later
/// counts as a duplicate.
public struct SequenceTracker: Sendable {
    public enum Expectation: Sendable {
        /// Every number from 0.
        case everyNumber
        /// Every number from the first one seen (the publisher was running before).
        case fromFirstSeen
        /// Rising numbers only: other receivers get the ones between.
        case rising
        /// Every number below `orderlessLimit`, in any order (retained messages).
        case anyOrder
    }

    static let orderlessLimit: UInt64 = 1 << 24

    static let gapLimit = 4096

    /// The number the next message should have.
    public private(set) var next: UInt64 = 0
    /// Distinct messages.
    public private(set) var received: UInt64 = 0
    public private(set) var duplicates: UInt64 = 0
    /// Distinct messages that came after a higher number.
    public private(set) var outOfOrder: UInt64 = 0
    private var gaps: [Range<UInt64>] = []
    private let expectation: Expectation
    private var skipped: UInt64 = 0
    /// One bit per number, for `.anyOrder`.
    private var seen: [UInt64] = []

    public init(_ expectation: Expectation = .everyNumber) {
        self.expectation = expectation
        // No number is the expected one, so that each takes the way through the bits.
        if expectation == .anyOrder { next = .max }
    }

    /// Numbers below the highest seen that did not come. Always 0 for `.rising` and `.anyOrder`, which cannot know.
    public var missing: UInt64 {
        expectation == .rising || expectation == .anyOrder ? 0 : next - received - skipped
    }

    @inline(__always)
    public mutating func note(_ sequence: UInt64) {
        if sequence == next {
            next &+= 1
            received &+= 1
        } else {
            noteUnexpected(sequence)
        }
    }

    @inline(never)
    private mutating func noteUnexpected(_ sequence: UInt64) {
        if expectation == .anyOrder {
            noteOrderless(sequence)
        } else if sequence > next {
            if expectation == .fromFirstSeen && received == 0 {
                skipped = sequence
            } else if expectation != .rising {
                if gaps.count == Self.gapLimit { gaps.removeFirst() }
                gaps.append(next..<sequence)
            }
            next = sequence + 1
            received += 1
        } else if expectation == .rising {
            if sequence + 1 == next {
                duplicates += 1
            } else {
                outOfOrder += 1
                received += 1
            }
        } else {
            noteOld(sequence)
        }
    }

    private mutating func noteOrderless(_ sequence: UInt64) {
        let word = Int(min(sequence, Self.orderlessLimit - 1) >> 6)
        if word >= seen.count { seen += [UInt64](repeating: 0, count: max(seen.count, word + 1 - seen.count)) }
        let bit: UInt64 = 1 << (sequence & 63)
        if seen[word] & bit == 0 { received += 1 } else { duplicates += 1 }
        seen[word] |= bit
    }

    private mutating func noteOld(_ sequence: UInt64) {
        guard let i = gaps.firstIndex(where: { $0.contains(sequence) }) else {
            duplicates += 1
            return
        }
        let gap = gaps.remove(at: i)
        if sequence + 1 < gap.upperBound { gaps.insert(sequence + 1..<gap.upperBound, at: i) }
        if gap.lowerBound < sequence { gaps.insert(gap.lowerBound..<sequence, at: i) }
        received += 1
        outOfOrder += 1
    }
}
