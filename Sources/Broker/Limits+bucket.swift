// SPDX-License-Identifier: Apache-2.0

/// So many per so long, of which a burst may be saved up. `rate_limit`, `publish_limit`
public struct RateLimit: Sendable, Equatable {
    /// Bytes or messages earned in `perMS` milliseconds; 0: no limit.
    public var amount: Int
    public var perMS: Int
    /// The most that can be saved up.
    public var burst: Int

    public static let none = RateLimit(amount: 0, perMS: 1000, burst: 0)

    public init(amount: Int, perMS: Int, burst: Int) {
        self.amount = amount
        self.perMS = perMS
        self.burst = burst
    }

    var isNone: Bool { amount == 0 }
}

/// A token bucket in whole numbers: a token is worth `perMS`, and each millisecond earns `amount`. Spending may go into
/// debt, which is then waited for. Time is a parameter.
struct TokenBucket {
    private let amount: Int64
    private let perMS: Int64
    private let full: Int64
    private var level: Int64
    private var filledAt: UInt64

    /// Full at first.
    init(_ limit: RateLimit, now: UInt64) {
        // Beyond 2^31 a product of two would leave 64 bits, and a limit of 2 GB a second is none.
        let cap = 1 << 31
        amount = Int64(min(limit.amount, cap))
        perMS = Int64(min(max(1, limit.perMS), cap))
        full = Int64(min(max(1, limit.burst), cap)) * perMS
        level = full
        filledAt = now
    }

    var isLimited: Bool { amount > 0 }

    mutating func spend(_ tokens: Int, now: UInt64) {
        guard isLimited else { return }
        fill(now)
        level -= Int64(tokens) * perMS
    }

    /// Whole tokens to be had now.
    mutating func available(now: UInt64) -> Int {
        fill(now)
        return max(0, Int(level / perMS))
    }

    /// Milliseconds until there is something worth going on for: what is earned in 50 ms, a token at least.
    mutating func wait(now: UInt64) -> UInt64 {
        fill(now)
        let wanted = min(full, max(perMS, amount * 50))
        return level >= wanted ? 0 : UInt64((wanted - level + amount - 1) / amount)
    }

    private mutating func fill(_ now: UInt64) {
        guard isLimited, now > filledAt else { return }
        let elapsed = now - filledAt
        filledAt = now
        level = elapsed > UInt64((full - level) / amount) ? full : level + Int64(elapsed) * amount
    }
}
