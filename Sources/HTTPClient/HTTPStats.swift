// SPDX-License-Identifier: Apache-2.0

/// What a pool has done since it was made.
public struct HTTPStats: Sendable, Equatable {
    /// Taken by `submit`.
    public var requests: UInt64 = 0
    /// Whole responses, whatever their status.
    public var responses: UInt64 = 0
    public var failures: [HTTPFailure: UInt64] = [:]
    /// Not taken: too many were waiting.
    public var busy: UInt64 = 0
    public var cancelled: UInt64 = 0
    /// Sent a second time, or a third.
    public var retries: UInt64 = 0
    /// Connections made.
    public var connections: UInt64 = 0
    /// Under way, waiting for a connection included.
    public var open = 0
    public var queued = 0
    /// From `submit` to the last byte of whole responses.
    public var latency = LatencyHistogram()

    public init() {}

    /// Adds the counters; `open` and `queued` are of the moment.
    public mutating func add(_ other: HTTPStats) {
        requests += other.requests
        responses += other.responses
        failures.merge(other.failures, uniquingKeysWith: +)
        busy += other.busy
        cancelled += other.cancelled
        retries += other.retries
        connections += other.connections
    }

    public var failed: UInt64 { failures.values.reduce(0, +) }
}

/// Microseconds in steps of an eighth of their power of two: a percentile is at most 12 % too high.
public struct LatencyHistogram: Sendable, Equatable {
    private static let steps = 8
    private var counts = [UInt32](repeating: 0, count: 32 * 8)

    public init() {}

    mutating func add(microseconds: UInt64) {
        let index = Self.index(microseconds)
        if counts[index] < .max { counts[index] += 1 }
    }

    /// Upper bound of the value at `share` (0.5, 0.99), in microseconds; 0 when nothing was measured.
    public func percentile(_ share: Double) -> UInt64 {
        let total = counts.reduce(UInt64(0)) { $0 + UInt64($1) }
        guard total > 0 else { return 0 }
        let wanted = max(1, UInt64((Double(total) * share).rounded(.up)))
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen += UInt64(count)
            if seen >= wanted { return Self.bound(index) }
        }
        return Self.bound(counts.count - 1)
    }

    private static func index(_ value: UInt64) -> Int {
        let value = min(value, UInt64(UInt32.max))
        guard value >= UInt64(steps) else { return Int(value) }
        let power = 63 - value.leadingZeroBitCount
        return (power - 2) * steps + Int(value >> UInt64(power - 3)) - steps
    }

    private static func bound(_ index: Int) -> UInt64 {
        guard index >= steps else { return UInt64(index) }
        let power = index / steps + 2
        let step = UInt64(index % steps + steps)
        return (step + 1) << UInt64(power - 3) - 1
    }
}
