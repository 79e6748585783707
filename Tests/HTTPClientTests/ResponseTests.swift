// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import HTTPClient

@Suite struct ResponseHeadTests {
    private func take(_ head: inout ResponseHead, _ line: String) -> Bool {
        var line = line
        return line.withUTF8 { head.take(UnsafeRawBufferPointer($0)) }
    }

    private func pairs(_ head: ResponseHead) -> [String] {
        head.fields.map {
            String(decoding: head.bytes[$0.name], as: UTF8.self) + "="
                + String(decoding: head.bytes[$0.value], as: UTF8.self)
        }
    }

    @Test func valuesAreTrimmed() {
        var head = ResponseHead()
        for line in ["HTTP/1.1 200 OK\r\n", "A:b\r\n", "C: \t d e \r\n", "Empty:\r\n", "Blank:   \r\n", "\r\n"] {
            #expect(take(&head, line))
        }
        #expect(pairs(head) == ["A=b", "C=d e", "Empty=", "Blank="])
    }

    @Test func aNewStatusLineForgetsTheHeadBefore() {
        var head = ResponseHead()
        for line in ["HTTP/1.1 302 Found\r\n", "Location: /x\r\n", "\r\n", "HTTP/2 200\r\n", "A: b\r\n", "\r\n"] {
            #expect(take(&head, line))
        }
        #expect(pairs(head) == ["A=b"])
    }

    @Test func linesWithoutAColonAreSkipped() {
        var head = ResponseHead()
        for line in ["garbage\r\n", ": no name\r\n", "", " folded: yes\r\n"] { #expect(take(&head, line)) }
        #expect(pairs(head) == [" folded=yes"])
    }

    @Test func theHeadIsBounded() {
        var head = ResponseHead()
        for index in 0..<ResponseHead.maxFields { #expect(take(&head, "N\(index): v\r\n")) }
        #expect(!take(&head, "One: more\r\n"))
        head = ResponseHead()
        let long = "A: " + String(repeating: "b", count: 30_000) + "\r\n"
        #expect(take(&head, long) && take(&head, long))
        #expect(!take(&head, long))
    }
}

@Suite struct LatencyHistogramTests {
    @Test func aPercentileIsAtMostAnEighthTooHigh() {
        for value: UInt64 in [1, 7, 8, 9, 100, 999, 12_345, 1_000_000, 4_000_000_000] {
            var histogram = LatencyHistogram()
            histogram.add(microseconds: value)
            let found = histogram.percentile(0.5)
            #expect(found >= value && found <= value + value / 8 + 1, "\(value) became \(found)")
        }
    }

    @Test func percentilesFollowTheCounts() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(0.99) == 0)
        for _ in 0..<98 { histogram.add(microseconds: 5) }
        for _ in 0..<2 { histogram.add(microseconds: 10_000) }
        #expect(histogram.percentile(0.5) == 5)
        #expect(histogram.percentile(0.98) == 5)
        #expect(histogram.percentile(0.99) >= 10_000)
        histogram.add(microseconds: .max)
        #expect(histogram.percentile(1) > 4_000_000_000)
    }

    @Test func countersAddUpAndMomentsDoNot() {
        var total = HTTPStats()
        var one = HTTPStats()
        (one.requests, one.open, one.queued, one.failures) = (3, 2, 1, [.closed: 2])
        total.add(one)
        total.add(one)
        #expect(total.requests == 6 && total.failed == 4 && total.open == 0 && total.queued == 0)
    }
}
