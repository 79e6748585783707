// SPDX-License-Identifier: Apache-2.0

/// Counts of nanosecond values in log-linear buckets: exact below 256 ns, then 128 buckets per power of two (error <
/// 0.8 %), up to 2^40 ns (18 minutes); larger values land in the last bucket. `maximum` is always exact.
public final class Histogram: @unchecked Sendable {
    static let subBits = 7
    static let topExponent = 40 - subBits - 1
    static let bucketCount = (topExponent + 2) << subBits

    private let buckets: UnsafeMutablePointer<UInt64>
    public private(set) var count: UInt64 = 0
    public private(set) var maximum: UInt64 = 0
    private var sum: UInt64 = 0

    public init() {
        buckets = .allocate(capacity: Self.bucketCount)
        buckets.initialize(repeating: 0, count: Self.bucketCount)
    }

    deinit { buckets.deallocate() }

    @inline(__always)
    static func bucket(of value: UInt64) -> Int {
        let exponent = max(0, 63 - value.leadingZeroBitCount - subBits)
        return min(exponent << subBits + Int(truncatingIfNeeded: value >> UInt64(exponent)), bucketCount - 1)
    }

    /// The largest value that lands in the bucket.
    static func upperBound(of bucket: Int) -> UInt64 {
        guard bucket >= 2 << subBits else { return UInt64(bucket) }
        let exponent = bucket >> subBits - 1
        let mantissa = bucket - exponent << subBits
        return UInt64(mantissa + 1) << UInt64(exponent) - 1
    }

    @inline(__always)
    public func record(_ value: UInt64) {
        buckets[Self.bucket(of: value)] &+= 1
        count &+= 1
        sum &+= value
        if value > maximum { maximum = value }
    }

    public func reset() {
        buckets.update(repeating: 0, count: Self.bucketCount)
        (count, sum, maximum) = (0, 0, 0)
    }

    public func add(_ other: Histogram) {
        for i in 0..<Self.bucketCount { buckets[i] &+= other.buckets[i] }
        count &+= other.count
        sum &+= other.sum
        maximum = max(maximum, other.maximum)
    }

    public var mean: Double { count == 0 ? 0 : Double(sum) / Double(count) }

    /// The value that `fraction` (0...1) of all values do not exceed, within one bucket. 0 when nothing was recorded.
    public func quantile(_ fraction: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let rank = max(1, UInt64((Double(count) * fraction).rounded(.up)))
        var seen: UInt64 = 0
        for i in 0..<Self.bucketCount {
            seen += buckets[i]
            if seen >= rank { return min(Self.upperBound(of: i), maximum) }
        }
        return maximum
    }
}
