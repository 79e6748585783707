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

    private let start: @Sendable (@escaping @Sendable () -> Void) -> Bool

    public convenience init() { self.init { startDetachedThread("http client", $0) } }

    /// - Parameter start: runs the body on a thread of its own; false: there is none to be had.
    init(start: @escaping @Sendable (@escaping @Sendable () -> Void) -> Bool) { self.start = start }

    /// Opens libcurl and starts the thread if this is the first one, which takes some 20 ms.
    public func makePool(_ options: HTTPPoolOptions) throws(Unavailable) -> HTTPPool {
        if let reason = chc_open() { throw Unavailable(reason: String(cString: reason)) }
        let thread = try state.withLock { state throws(Unavailable) in
            guard !state.isStopped else { throw Unavailable(reason: "the broker is stopping") }
            if let thread = state.thread { return thread }
            let thread = try startThread()
            state.thread = thread
            return thread
        }
        return HTTPPool(options, on: thread)
    }

    private func startThread() throws(Unavailable) -> HTTPThread {
        guard let thread = HTTPThread() else { throw Unavailable(reason: "no file descriptors are left for them") }
        let ended = ended
        let isStarted = start {
            thread.run()
            ended.signal()
        }
        guard isStarted else { throw Unavailable(reason: "no thread can be started for them") }
        return thread
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
