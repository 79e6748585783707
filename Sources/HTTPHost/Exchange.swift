// SPDX-License-Identifier: Apache-2.0
import CMartlet
import PluginHost
import Synchronization

/// One request from the moment a plugin may answer it. Plugins push from any thread; the connection's task pulls.
///
/// States:
///  1) idle: nobody has been asked, or the plugin that was has gone; only the host ends it.
///  2) waiting: `owner` owes an answer.
///  3) streaming: `owner` has begun one.
///  4) ended: by the plugin, the host or the client; every call is stale.
final class Exchange: Sendable {
    /// What the connection's task has to do next.
    enum Output: Sendable, Equatable {
        case whole(HTTPHead, [UInt8])
        case head(HTTPHead)
        case bytes([UInt8])
        case end
        /// The host's own answer, if none has begun; else the connection just ends.
        case fail(Int)
        /// The plugin that was asked is replaced: ask again.
        case again
        /// The client is gone.
        case gone
    }

    /// Bytes that may wait for the client before write answers MARTLET_E_BUSY, and below which there is room again.
    static let highWater = 256 << 10
    static let lowWater = 64 << 10

    private enum Phase { case idle, waiting, streaming, ended }

    private struct State {
        var phase = Phase.idle
        var owner: UInt32 = 0
        var route: HTTPRoute?
        var outputs: [Output] = []
        /// In `outputs` and on their way into the socket.
        var waitingBytes = 0
        var wantsRoom = false
        var isEventStream = false
        /// Something was sent since the last heartbeat.
        var hasSpoken = false
        var reader: CheckedContinuation<Void, Never>?
        /// While an authenticator owes a verdict.
        var authOwner: UInt32 = 0
        var verdict: HTTPVerdict?
        var judge: CheckedContinuation<Void, Never>?
        /// While the plugin wants no more of the body.
        var isPaused = false
        var feeder: CheckedContinuation<Void, Never>?
    }

    let id: martlet_http_req
    let method: String
    private let state = Mutex(State())
    /// Calls the plugin, on the control thread.
    private let onMain: @Sendable (@escaping @Sendable () -> Void) -> Void

    init(id: martlet_http_req, method: String, onMain: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void) {
        self.id = id
        self.method = method
        self.onMain = onMain
    }

    var isSafe: Bool { method == "GET" || method == "HEAD" }

    // MARK: - The connection's task

    /// From here on `route` owes the answer. False: the client has gone meanwhile.
    func expectAnswer(of route: HTTPRoute) -> Bool {
        state.withLock { state in
            guard state.phase == .idle else { return false }
            state.phase = .waiting
            state.owner = route.owner
            state.route = route
            return true
        }
    }

    /// The next thing to do, as soon as there is one. Not more than one caller at a time.
    func next() async -> Output {
        while true {
            if let output = take() { return output }
            await withCheckedContinuation { continuation in
                let isThere = state.withLock { state in
                    if state.outputs.isEmpty { state.reader = continuation }
                    return !state.outputs.isEmpty
                }
                if isThere { continuation.resume() }
            }
        }
    }

    private func take() -> Output? {
        state.withLock { $0.outputs.isEmpty ? nil : $0.outputs.removeFirst() }
    }

    /// So many bytes have gone into the socket.
    func written(_ count: Int) {
        let route: HTTPRoute? = state.withLock { state in
            state.waitingBytes -= count
            guard state.wantsRoom, state.waitingBytes <= Self.lowWater, state.phase == .streaming else { return nil }
            state.wantsRoom = false
            return state.route
        }
        if let route { onMain { [id] in route.writable(id) } }
    }

    /// A heartbeat, when the stream was silent since the last call.
    func beat() {
        push { state in
            guard state.phase == .streaming, state.isEventStream else { return nil }
            defer { state.hasSpoken = false }
            guard !state.hasSpoken, state.waitingBytes == 0 else { return nil }
            state.waitingBytes += eventStreamHeartbeat.count
            return .bytes(eventStreamHeartbeat)
        }
    }

    /// The client's end of it, or the host's: the plugin is told unless it had ended the request itself.
    func leave(_ why: martlet_status) {
        let route = close(.gone)
        if let route { onMain { [id] in route.gone(id, why) } }
    }

    /// The client has closed its side.
    func leaveStream() {
        if state.withLock({ $0.phase == .streaming }) { leave(martlet_status(MARTLET_E_IO)) }
    }

    /// The host answers in the plugin's place, which is told, unless the answer has begun already.
    func giveUp(_ status: Int, _ why: martlet_status) {
        let route = close(.fail(status), unlessBegun: true)
        if let route { onMain { [id] in route.gone(id, why) } }
    }

    /// The plugin's part is over without its doing. Returns its route if it owed something.
    private func close(_ output: Output, unlessBegun: Bool = false) -> HTTPRoute? {
        let (route, wakes) = state.withLock { state -> (HTTPRoute?, [CheckedContinuation<Void, Never>]) in
            guard state.phase != .ended, !unlessBegun || state.phase != .streaming else { return (nil, []) }
            let route = state.phase == .idle ? nil : state.route
            state.phase = .ended
            state.route = nil
            state.outputs.append(output)
            state.authOwner = 0
            state.isPaused = false
            return (route, Self.everybody(&state))
        }
        for continuation in wakes { continuation.resume() }
        return route
    }

    private static func everybody(_ state: inout State) -> [CheckedContinuation<Void, Never>] {
        let all = [state.reader, state.judge, state.feeder].compactMap { $0 }
        state.reader = nil
        state.judge = nil
        state.feeder = nil
        return all
    }

    // MARK: - Plugins

    func respond(_ owner: UInt32, _ head: HTTPHead, _ body: [UInt8]) -> martlet_status {
        answer(owner) { state in
            state.phase = .ended
            state.waitingBytes += body.count
            return .whole(head, body)
        }
    }

    func begin(_ owner: UInt32, _ head: HTTPHead) -> martlet_status {
        answer(owner) { state in
            state.phase = .streaming
            state.isEventStream = head.fields.contains {
                $0.name.lowercased() == "content-type" && $0.value.hasPrefix("text/event-stream")
            }
            return .head(head)
        }
    }

    private func answer(_ owner: UInt32, _ body: (inout State) -> Output) -> martlet_status {
        var status = martlet_status(MARTLET_E_STALE)
        push { state in
            guard state.owner == owner, state.phase == .waiting || state.phase == .streaming else { return nil }
            guard state.phase == .waiting else {
                status = martlet_status(MARTLET_E_STATE)
                return nil
            }
            status = martlet_status(MARTLET_OK)
            return body(&state)
        }
        return status
    }

    func write(_ owner: UInt32, _ bytes: [UInt8]) -> martlet_status {
        var status = martlet_status(MARTLET_E_STALE)
        push { state in
            guard state.owner == owner, state.phase == .waiting || state.phase == .streaming else { return nil }
            status = Self.admit(bytes, &state)
            return status == MARTLET_OK && !bytes.isEmpty ? .bytes(bytes) : nil
        }
        return status
    }

    private static func admit(_ bytes: [UInt8], _ state: inout State) -> martlet_status {
        guard state.phase == .streaming else { return martlet_status(MARTLET_E_STATE) }
        guard state.waitingBytes < highWater else {
            state.wantsRoom = true
            return martlet_status(MARTLET_E_BUSY)
        }
        state.waitingBytes += bytes.count
        state.hasSpoken = true
        return martlet_status(MARTLET_OK)
    }

    func event(_ owner: UInt32, _ event: HTTPEvent) -> martlet_status {
        let head = HTTPHead(
            status: 200,
            fields: [HTTPPair("Content-Type", "text/event-stream"), HTTPPair("Cache-Control", "no-store")])
        let status = begin(owner, head)
        guard status == MARTLET_OK || status == MARTLET_E_STATE else { return status }
        return write(owner, event.encoded)
    }

    func end(_ owner: UInt32) -> martlet_status {
        var status = martlet_status(MARTLET_E_STALE)
        push { state in
            guard state.owner == owner, state.phase == .waiting || state.phase == .streaming else { return nil }
            guard state.phase == .streaming else {
                status = martlet_status(MARTLET_E_STATE)
                return nil
            }
            status = martlet_status(MARTLET_OK)
            state.phase = .ended
            return .end
        }
        return status
    }

    private func push(_ body: (inout State) -> Output?) {
        let wakes = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard let output = body(&state) else { return [] }
            state.outputs.append(output)
            if state.phase == .ended { return Self.everybody(&state) }
            defer { state.reader = nil }
            return state.reader.map { [$0] } ?? []
        }
        for continuation in wakes { continuation.resume() }
    }

    /// The plugin is gone: 503, or the end of the stream, or another image is asked.
    /// - Parameter wasAsked: false when it never got to see the request, which may then be asked again whatever it is.
    func revoke(again: Bool, wasAsked: Bool = true) {
        let wakes = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            guard state.phase == .waiting || state.phase == .streaming else { return [] }
            let asksAgain = again && (isSafe || !wasAsked) && state.phase == .waiting
            state.phase = asksAgain ? .idle : .ended
            state.route = nil
            state.owner = 0
            state.isPaused = false
            state.outputs.append(asksAgain ? .again : .fail(503))
            return Self.everybody(&state)
        }
        for continuation in wakes { continuation.resume() }
    }

    func isOwned(by owner: UInt32) -> Bool {
        state.withLock {
            $0.owner == owner && ($0.phase == .waiting || $0.phase == .streaming) || $0.authOwner == owner
        }
    }

    func isOf(route token: martlet_token) -> Bool { state.withLock { $0.route?.token == token } }

    // MARK: - Authentication

    /// Of whoever is asked now, 0: of nobody any more. Once the request is over nobody is waited for.
    func expectVerdict(of owner: UInt32) {
        state.withLock { state in
            state.authOwner = state.phase == .ended ? 0 : owner
            state.verdict = nil
        }
    }

    /// The verdict that was given, or nil when nobody will give one: too late, or the plugin is gone.
    func verdict() async -> HTTPVerdict? {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                let isThere = state.verdict != nil || state.authOwner == 0
                if !isThere { state.judge = continuation }
                return isThere
            }
            if isThere { continuation.resume() }
        }
        return state.withLock { state in
            state.authOwner = 0
            return state.verdict
        }
    }

    func answerAuth(_ owner: UInt32, _ verdict: HTTPVerdict) -> martlet_status {
        let (isTaken, wake) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.authOwner == owner, state.verdict == nil else { return (false, nil) }
            state.verdict = verdict
            defer { state.judge = nil }
            return (true, state.judge)
        }
        wake?.resume()
        return martlet_status(isTaken ? MARTLET_OK : MARTLET_E_STALE)
    }

    /// The authenticator that was asked is gone.
    func revokeAuth(of owner: UInt32) {
        let wake: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard state.authOwner == owner, state.verdict == nil else { return nil }
            state.authOwner = 0
            defer { state.judge = nil }
            return state.judge
        }
        wake?.resume()
    }

    // MARK: - The body

    /// Before the plugin is given a piece: it may ask for the next one before it has answered that it is busy.
    func pauseBody() { state.withLock { $0.isPaused = true } }

    func unpauseBody() { state.withLock { $0.isPaused = false } }

    func resume(_ owner: UInt32) -> martlet_status {
        let (isTaken, wake) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.owner == owner, state.phase == .waiting || state.phase == .streaming else {
                return (false, nil)
            }
            state.isPaused = false
            defer { state.feeder = nil }
            return (true, state.feeder)
        }
        wake?.resume()
        return martlet_status(isTaken ? MARTLET_OK : MARTLET_E_STALE)
    }

    /// Returns when the plugin takes more of the body. False: the request is over.
    func mayFeed() async -> Bool {
        await withCheckedContinuation { continuation in
            let mustWait = state.withLock { state in
                let mustWait = state.isPaused && state.phase != .ended
                if mustWait { state.feeder = continuation }
                return mustWait
            }
            if !mustWait { continuation.resume() }
        }
        return state.withLock { $0.phase == .waiting || $0.phase == .streaming }
    }
}
