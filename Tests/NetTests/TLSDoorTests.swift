// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Net

@Suite("What the TLS connections of a listener share")
struct TLSDoorTests {
    @Test("Only so many complaints are logged, and how many were not is said with the next")
    func complaints() {
        var rate = ComplaintRate()
        for _ in 0..<ComplaintRate.perWindow { #expect(rate.take(now: 5) == 0) }
        for _ in 0..<7 { #expect(rate.take(now: 6) == nil) }
        #expect(rate.take(now: 5 + ComplaintRate.window) == 7)
        #expect(rate.take(now: 6 + ComplaintRate.window) == 0)
    }
}
