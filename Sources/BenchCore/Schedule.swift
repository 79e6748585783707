// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How the messages of a rate are spread over time.
public enum Beat: String, Sendable, CaseIterable {
    /// The same time between two messages, over all publishers.
    case even
    /// As from clients that know nothing of each other: exponentially distributed times between two messages.
    case random
    /// All that fall into a millisecond are due at its beginning, as from clients with millisecond timers.
    case millisecond
}

/// When the messages of one loop are due, round robin over its publishers.
struct Schedule {
    private(set) var nextDue: UInt64 = 0
    private(set) var isActive = false
    private var interval: Double = 0
    private var start: UInt64 = 0
    private var count: UInt64 = 0
    private var publishers = 0
    private var beat = Beat.even
    private var sinceStart = 0.0
    private var dice = SystemRandomNumberGenerator()

    /// `rate`: messages per second of all `publishers` together.
    mutating func begin(rate: Double, publishers: Int, at start: UInt64, beat: Beat = .even) {
        guard publishers > 0 && rate > 0 else { return }
        self.publishers = publishers
        self.start = start
        self.beat = beat
        interval = 1_000_000_000 / rate
        (count, sinceStart) = (0, 0)
        nextDue = start
        isActive = true
    }

    mutating func end() { isActive = false }

    /// Nanoseconds between two messages of the same publisher, on average.
    var publisherInterval: UInt64 { UInt64(interval * Double(publishers)) }

    mutating func advance(to now: UInt64, _ owe: (Int, UInt64) -> Void) {
        while nextDue <= now {
            owe(Int(count % UInt64(publishers)), nextDue)
            count += 1
            nextDue = start + UInt64(offset())
        }
    }

    /// Nanoseconds from the start to the message that is `count` now.
    private mutating func offset() -> Double {
        switch beat {
        case .even: return Double(count) * interval
        case .random:
            sinceStart -= log(Double.random(in: .leastNonzeroMagnitude..<1, using: &dice)) * interval
            return sinceStart
        case .millisecond: return (Double(count) * interval / 1_000_000).rounded(.down) * 1_000_000
        }
    }
}
