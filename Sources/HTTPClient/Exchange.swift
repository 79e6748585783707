// SPDX-License-Identifier: Apache-2.0
import CHTTPClient
import CReactor
import Glibc
import Synchronization

/// One request on its way. Whoever made it may cancel it from any thread; its completion is called on the client's
/// thread, once, unless it was cancelled before.
public final class Exchange: @unchecked Sendable {
    public typealias Completion = @Sendable (Exchange, HTTPResult) -> Void

    private enum State: UInt8 { case pending, taken, cancelled }

    /// Where it is; the client's thread only.
    enum Phase {
        case new
        case waiting(Origin)
        case running(Origin, OpaquePointer)
        /// Between two attempts.
        case pausing(timer: UInt64)
        case over
    }

    private let state = Atomic<UInt8>(State.pending.rawValue)
    public let pool: HTTPPool
    let completion: Completion
    let bodyBytes: Int
    private let begun = cr_clock_ns()

    // The client's thread's.
    var request: HTTPRequest
    let rule: RetryRule
    let originName: String
    var phase = Phase.new
    var deadline: UInt64?
    var attempt = 0
    private(set) var response = HTTPResult()
    private(set) var wasSent = false
    private(set) var wasAnswered = false
    /// libcurl wanted to send again what must not arrive twice.
    private(set) var isResendRefused = false
    /// Times libcurl sent it again by itself, because a connection kept alive had been closed by the server.
    private(set) var resends = 0
    private var isTooLarge = false
    /// Method, URL, headers and body as libcurl wants them: at one address until the end.
    private var wire: UnsafeMutableRawBufferPointer?

    init(_ request: HTTPRequest, _ pool: HTTPPool, _ completion: @escaping Completion) {
        self.request = request
        self.pool = pool
        self.completion = completion
        bodyBytes = request.body.count
        rule = RetryRule(request)
        originName = Origin.name(of: request.url)
    }

    deinit { wire?.deallocate() }

    // MARK: - Any thread

    /// True once: the caller now delivers the result.
    public func take() -> Bool { leave(.taken) }

    /// True: its completion's result is worthless from now on, `take` answers false. False: too late.
    @discardableResult public func cancel() -> Bool {
        guard leave(.cancelled) else { return false }
        pool.stats.withLock { $0.cancelled += 1 }
        pool.thread.post { self.pool.drop(self) }
        return true
    }

    var isPending: Bool { state.load(ordering: .acquiring) == State.pending.rawValue }

    private func leave(_ next: State) -> Bool {
        let (won, _) = state.compareExchange(
            expected: State.pending.rawValue, desired: next.rawValue, ordering: .acquiringAndReleasing)
        if won { pool.giveBack(bodyBytes) }
        return won
    }

    // MARK: - The client's thread

    var age: UInt64 { (cr_clock_ns() - begun) / 1000 }

    /// What libcurl reads, laid out at the first attempt.
    func makeRequest() -> chc_request {
        attempt += 1
        (wasSent, wasAnswered, isResendRefused, isTooLarge) = (false, false, false, false)
        response = HTTPResult()
        let parts = [Array(request.method.utf8) + [0], Array(request.url.utf8) + [0], request.headerLines]
        let memory = wire ?? layOut(parts)
        let url = parts[0].count
        let headers = url + parts[1].count
        let body = headers + parts[2].count
        let text = memory.baseAddress!.assumingMemoryBound(to: CChar.self)
        return chc_request(
            user: Unmanaged.passUnretained(self).toOpaque(), method: text, url: text + url, headers: text + headers,
            body: memory.baseAddress!.assumingMemoryBound(to: UInt8.self) + body, body_length: bodyBytes,
            connect_timeout_ms: request.connectTimeoutMS, max_body: UInt64(request.maxResponseBytes),
            follows_redirects: request.followsRedirects && ["GET", "HEAD"].contains(request.method),
            about_to_send: { exchange($0).mayBeSent() },
            header: { exchange($0).take(line: UnsafeRawBufferPointer(start: $1, count: $2)) },
            part: { exchange($0).take(part: UnsafeRawBufferPointer(start: $1, count: $2)) })
    }

    private func layOut(_ parts: [[UInt8]]) -> UnsafeMutableRawBufferPointer {
        let count = parts.reduce(bodyBytes) { $0 + $1.count }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        var place = 0
        for part in parts + [request.body] {
            UnsafeMutableRawBufferPointer(rebasing: memory[place..<place + part.count]).copyBytes(from: part)
            place += part.count
        }
        wire = memory
        request.body = []
        return memory
    }

    /// A connection stands. Asked again when libcurl wants to send the request a second time: after a redirect, or
    /// because the server closed the connection without a word, which RFC 9110 §9.2.2 forbids to hide from whoever
    /// sends what is not idempotent.
    private func mayBeSent() -> Bool {
        if wasSent, !wasAnswered {
            guard rule.isRepeatable else {
                isResendRefused = true
                return false
            }
            resends += 1
        }
        wasSent = true
        wasAnswered = false
        return true
    }

    private func take(line: UnsafeRawBufferPointer) -> Bool {
        wasAnswered = true
        if line.starts(with: "HTTP/".utf8) { response.body.removeAll() }
        if !response.head.take(line) { isTooLarge = true }
        return !isTooLarge
    }

    private func take(part: UnsafeRawBufferPointer) -> Bool {
        guard response.body.count + part.count <= request.maxResponseBytes else {
            isTooLarge = true
            return false
        }
        response.body += part
        return true
    }

    /// The end of an attempt, as far as this side knows it.
    func result(of outcome: chc_outcome) -> HTTPResult {
        var result = response
        result.status = outcome.status
        result.version = outcome.version
        result.attempts = attempt + resends
        guard let failure = failure(of: outcome.kind) else { return result }
        result.failure = failure
        result.sentence = sentence(failure, String(cString: outcome.text))
        (result.head, result.body) = (ResponseHead(), [])
        return result
    }

    /// What was collected belongs to the result now.
    func forgetResponse() { response = HTTPResult() }

    /// Out of time, wherever it was.
    func timeoutResult() -> HTTPResult {
        var result = HTTPResult()
        result.failure = .timeout
        result.attempts = max(1, attempt + resends)
        let place =
            switch phase {
            case .running: wasAnswered ? "the response was not complete" : wasSent ? "no response" : "no connection"
            case .pausing: "no success"
            case .new, .waiting, .over: "no free connection"
            }
        result.sentence = sentence(.timeout, "\(place) within \(request.timeoutMS) ms")
        return result
    }

    private func failure(of kind: Int32) -> HTTPFailure? {
        switch Int(kind) {
        case CHC_WHOLE: nil
        // libcurl calls an answer that is no HTTP a URL of a protocol it does not know.
        case CHC_URL: wasSent ? .protocol : .url
        case CHC_RESOLVE: .resolve
        case CHC_CONNECT: .connect
        case CHC_TLS: .tls
        case CHC_TIMEOUT: .timeout
        case CHC_CLOSED, CHC_REFUSED_BY_US: .closed
        case CHC_TOO_LARGE: .tooLarge
        case CHC_PROTOCOL: .protocol
        default: .internal
        }
    }

    private func sentence(_ failure: HTTPFailure, _ text: String) -> String {
        let why =
            if isResendRefused {
                "the server closed the connection without an answer, and a \(request.method) is not sent twice"
            } else if isTooLarge, response.body.isEmpty {
                "the head of the response is longer than \(ResponseHead.maxBytes >> 10) KB"
            } else if failure == .tooLarge {
                "the response is longer than \(request.maxResponseBytes) bytes"
            } else {
                text
            }
        return "\(request.method) \(originName): \(why)"
    }
}

func exchange(_ user: UnsafeMutableRawPointer) -> Exchange {
    Unmanaged<Exchange>.fromOpaque(user).takeUnretainedValue()
}
