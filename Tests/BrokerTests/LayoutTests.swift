// SPDX-License-Identifier: Apache-2.0
import Reactor
import Testing

@testable import Broker

/// An idle client costs these structs, its client id and its place in the tables: one that grows is a decision.
@Suite("Memory of an idle client")
struct LayoutTests {
    @Test("What a connection with one subscription holds keeps its size, in bytes")
    func sizes() {
        #expect(MemoryLayout<Transport>.stride <= 128)
        #expect(MemoryLayout<Connection>.stride <= 192)
        #expect(MemoryLayout<Session>.stride <= 208)
        #expect(MemoryLayout<Subscription>.stride <= 20)
        #expect(MemoryLayout<Subscriber>.stride <= 24)
    }
}
