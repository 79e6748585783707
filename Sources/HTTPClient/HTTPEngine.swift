// SPDX-License-Identifier: Apache-2.0
import CHTTPClient
import Reactor
import Synchronization

/// The HTTP client of the process: libcurl and one thread, both there from the first pool on.
public final class HTTPEngine: Sendable {
    private struct State {
        var thread: HTTPThread?
        var isStopped = false
    }

    private let state = Mutex(State())
    private let ended = Semaphore()

    /// Why there can be no HTTP requests, as the end of a sentence.
    public struct Unavailable: Error, Equatable {
        public let reason: String
    }

    public init() {}

    /// Opens libcurl and starts the thread if this is the first one, which takes some 20 ms.
    public func makePool(_ options: HTTPPoolOptions) throws(Unavailable) -> HTTPPool {
        if let reason = chc_open() { throw Unavailable(reason: String(cString: reason)) }
        let thread: HTTPThread? = state.withLock { state in
            guard !state.isStopped else { return nil }
            if let thread = state.thread { return thread }
            let thread = HTTPThread()
            let ended = ended
            startDetachedThread("http client") {
                thread.run()
                ended.signal()
            }
            state.thread = thread
            return thread
        }
        guard let thread else { throw Unavailable(reason: "the broker is stopping") }
        return HTTPPool(options, on: thread)
    }

    /// Whether anybody has made a pool.
    public var isInUse: Bool { state.withLock { $0.thread != nil } }

    /// Ends the thread, after the pools closed before. Not on that thread.
    public func stop() {
        let thread = state.withLock { state in
            state.isStopped = true
            let thread = state.thread
            state.thread = nil
            return thread
        }
        guard let thread else { return }
        thread.post { thread.stop() }
        ended.wait()
    }
}
