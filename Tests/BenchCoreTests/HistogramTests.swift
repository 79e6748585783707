// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import BenchCore

@Suite struct HistogramTests {
    @Test func everyValueLandsInABucketThatContainsIt() {
        var values: [UInt64] = Array(0...1000)
        for bit in 10..<40 { values += [1 << bit - 1, 1 << bit, 1 << bit + 1] }
        for value in values {
            let bucket = Histogram.bucket(of: value)
            #expect(value <= Histogram.upperBound(of: bucket))
            #expect(bucket == 0 || value > Histogram.upperBound(of: bucket - 1))
        }
    }

    @Test func quantilesAreWithinOnePercentOfTheExactOnes() {
        let histogram = Histogram()
        var values: [UInt64] = []
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 { values.append(UInt64.random(in: 1_000...50_000_000, using: &random)) }
        for value in values { histogram.record(value) }
        values.sort()
        for fraction in [0.5, 0.9, 0.99, 0.999] {
            let exact = Double(values[Int((Double(values.count) * fraction).rounded(.up)) - 1])
            let found = Double(histogram.quantile(fraction))
            #expect(found >= exact && found <= exact * 1.01, "\(fraction): \(found) for \(exact)")
        }
        #expect(histogram.quantile(1) == values.last)
        #expect(histogram.maximum == values.last)
    }

    @Test func addingTwoCountsBoth() {
        let a = Histogram()
        let b = Histogram()
        for i in 1...100 { a.record(UInt64(i)) }
        for i in 101...200 { b.record(UInt64(i)) }
        a.add(b)
        #expect(a.count == 200)
        #expect(a.quantile(0.5) == 100)
        #expect(a.mean == 100.5)
        a.reset()
        #expect(a.quantile(0.5) == 0)
    }

    @Test func valuesBeyondTheRangeAreKeptInTheLastBucketAndTheMaximum() {
        let histogram = Histogram()
        histogram.record(UInt64.max)
        #expect(histogram.maximum == .max)
        #expect(histogram.count == 1)
    }
}
