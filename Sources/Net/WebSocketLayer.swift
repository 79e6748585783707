// SPDX-License-Identifier: Apache-2.0
import Broker
import Reactor
import Synchronization
import WebSocket

/// The server's side of one WebSocket connection: the opening handshake, then MQTT in binary frames. MQTT 5 §6
///
///     opening   the client's request comes in, `opening` gathers it
///     open      frames both ways
///     closed    our close frame, or our refusal, is said: nothing more is read or sent
final class WebSocketLayer: StreamLayer, @unchecked Sendable {
    private enum Stage { case opening, open, closed }

    private var stage = Stage.opening
    /// Until the handshake is over: its memory is not needed afterwards.
    private var opening: Opening?
    private var decoder = FrameDecoder()
    private var client: ForwardedPeer?
    private let unanswered: UnansweredPings

    private final class Opening {
        var upgrade: Upgrade
        let access: AccessList

        init(_ terms: UpgradeTerms, _ access: AccessList) {
            upgrade = Upgrade(terms)
            self.access = access
        }
    }

    /// Pongs that wait for a peer which reads nothing are not added to beyond this, bytes. RFC 6455 §5.5.3 lets a
    /// server answer the latest ping alone.
    private static let mostBacklog = 262_144
    /// A frame of no more payload than this is handed down in one piece, so that TLS makes one record of it.
    private static let smallFrame = 4096

    /// - Parameters:
    ///   - access: holds for the client a proxy names as well.
    ///   - unanswered: where pings are counted that get no answer.
    init(_ terms: UpgradeTerms, access: AccessList, _ unanswered: UnansweredPings) {
        opening = Opening(terms, access)
        self.unanswered = unanswered
    }

    override var isReady: Bool { stage != .opening }
    override var waitsFor: StaticString { "ws_handshake_timeout" }
    override var forwarded: ForwardedPeer? { client }

    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        guard stage == .opening, let opening else { return receiveFrames(bytes) }
        let (count, outcome) = opening.upgrade.take(UnsafeRawBufferPointer(bytes))
        switch outcome {
        case .partial: return .open
        case .refused(let refusal): return refuse(refusal)
        case .accepted(let acceptance):
            if let refusal = learnClient(acceptance, opening.access) { return refuse(refusal) }
            say(acceptance.answer)
            stage = .open
            self.opening = nil
            return receiveFrames(UnsafeMutableRawBufferPointer(rebasing: bytes[count...]))
        }
    }

    // MARK: - Handshake

    private func refuse(_ refusal: Upgrade.Refusal) -> LayerState {
        say(refusal.answer)
        stage = .closed
        opening = nil
        return .failed(refusal.reason)
    }

    /// The client a proxy names must be one that may come in.
    private func learnClient(_ acceptance: Upgrade.Acceptance, _ access: AccessList) -> Upgrade.Refusal? {
        guard let named = acceptance.forwarded else { return nil }
        guard let peer = PeerAddress(named.address, port: named.port) else { return .badRequest }
        guard access.allows(peer) else { return .forbidden }
        client = ForwardedPeer(address: named.address, port: named.port)
        return nil
    }

    // MARK: - Frames

    private func receiveFrames(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        var rest = bytes
        while rest.count > 0 {
            let step = decoder.decode(rest)
            // [MQTT-6.0.0-2]
            up(UnsafeMutableRawBufferPointer(rebasing: rest[step.payload]))
            if isDeaf { return .open }
            switch step.event {
            case .none, .pong: break
            case .ping(let body) where backlog < Self.mostBacklog: say(FrameEncoder.pong(body))
            case .ping: unanswered.count.add(1, ordering: .relaxed)
            case .close(let code):
                sayClose(code)
                return .failed("closed")
            case .failed(let error):
                // [MQTT-6.0.0-1] among them
                sayClose(error.code)
                return .failed(error.reason)
            }
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[step.consumed...])
        }
        return .open
    }

    override func send(_ bytes: UnsafeRawBufferPointer) {
        guard stage == .open, bytes.count > 0 else { return }
        let room = FrameEncoder.longestHead + (bytes.count <= Self.smallFrame ? bytes.count : 0)
        withUnsafeTemporaryAllocation(byteCount: room, alignment: 16) { frame in
            var count = FrameEncoder.writeHead(frame.baseAddress!, payload: bytes.count)
            if bytes.count <= Self.smallFrame {
                (frame.baseAddress! + count).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
                count += bytes.count
            }
            down(UnsafeRawBufferPointer(rebasing: frame[..<count]))
        }
        if bytes.count > Self.smallFrame { down(bytes) }
    }

    // MARK: - The end

    override func finish() {
        switch stage {
        case .opening: if opening?.upgrade.hasBegun == true { say(Upgrade.Refusal.timeout.answer) }
        case .open: sayClose(CloseCode(farewell))
        case .closed: break
        }
        stage = .closed
    }

    /// What the owner still has waiting stays unsent: nothing may follow a close frame. RFC 6455 §5.5.1
    private func sayClose(_ code: CloseCode?) {
        say(FrameEncoder.close(code))
        stage = .closed
    }

    private func say(_ bytes: [UInt8]) { bytes.withUnsafeBytes { down($0) } }
}

/// Pings of all clients of a listener that got no pong, because the client reads nothing of what it is sent.
final class UnansweredPings: Sendable {
    let count = Atomic<Int>(0)
}

extension CloseCode {
    init(_ farewell: Farewell) {
        switch farewell {
        case .normal: self = .normal
        case .goingAway: self = .goingAway
        case .violation: self = .protocolError
        case .tooBig: self = .tooBig
        case .refused: self = .policyViolation
        }
    }
}
