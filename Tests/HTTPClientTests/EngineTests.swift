// SPDX-License-Identifier: Apache-2.0
import Reactor
import Synchronization
import Testing

@testable import HTTPClient

/// What cannot be had is said, and asked for again the next time.
@Suite struct EngineTests {
    private let tries = Tries()

    private final class Tries: Sendable {
        let count = Atomic<Int>(0)
    }

    @Test func withoutAThreadThereIsNoPool() throws {
        let engine = HTTPEngine { [tries] body in
            guard tries.count.add(1, ordering: .relaxed).newValue > 1 else { return false }
            return startDetachedThread("http client", body)
        }
        #expect(throws: HTTPEngine.Unavailable(reason: "no thread can be started for them")) {
            try engine.makePool(HTTPPoolOptions())
        }
        #expect(!engine.isInUse)
        try engine.makePool(HTTPPoolOptions()).close()
        #expect(engine.isInUse)
        engine.stop()
    }

    @Test func withoutDescriptorsThereIsNoThread() { #expect(HTTPThread(nil) == nil) }
}
