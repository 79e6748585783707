// SPDX-License-Identifier: Apache-2.0
import CTLS
import Reactor

/// TLS on one connection, as server or as client. RFC 8446, RFC 5246
///
/// OpenSSL's side of a server's connection is made when the first bytes come: who connects and says nothing costs no
/// more than on plain TCP, and who waited gets the certificates of now.
open class TLSLayer: StreamLayer, @unchecked Sendable {
    /// Who the server must prove to be, for a client.
    private let host: String?
    private let given: TLSContext?
    private let earlier: [UInt8]?
    private var stream: OpaquePointer?
    private var phase = Phase.silent
    /// While the handshake is under way, and the neighbours there.
    var places: Handshakes?
    unowned(unsafe) var older: TLSLayer?
    unowned(unsafe) var newer: TLSLayer?

    private enum Phase { case silent, shaking, ready, over }

    /// Bytes that may wait for the peer, of which the owner's are few (`backlog`). RFC 8446 §4.6.3 sets no limit to the
    /// new keys a peer may ask for, each of which is answered.
    private static let mostBacklog = 1 << 20

    /// - Parameters:
    ///   - context: nil when a subclass says which at the first bytes.
    ///   - host: as a client, the name or address that the server's certificate must be for.
    ///   - session: as a client, the `session` of an earlier connection to resume.
    public init(_ context: TLSContext?, host: String? = nil, session: [UInt8]? = nil) {
        given = context
        self.host = host
        earlier = session
    }

    deinit {
        places?.remove(self)
        if let stream { ctls_stream_free(stream) }
    }

    // MARK: - For subclasses

    /// The configuration in force, asked for once.
    open func currentContext() -> TLSContext? { given }
    /// Where its handshake takes a place, of the loop this is called on; nil: there may be any number.
    open func handshakePlaces() -> Handshakes? { nil }
    /// The peer has said its first words.
    open func handshakeBegan() {}
    /// The handshake is complete.
    open func handshakeEnded() {}
    /// It failed; before `receive` says so to the loop.
    open func failed(_ failure: TLSFailure) {}

    // MARK: - A layer

    public final override var isReady: Bool { phase == .ready }
    public final override var waitsFor: StaticString { "tls_handshake_timeout" }
    public final override func expire() { abandon(TLSFailure(.timeout, "the peer did not finish its handshake")) }

    public final override func begin() {
        guard phase == .silent, given?.options.role == .client, open(), let stream else { return }
        takePlace()
        _ = ctls_stream_begin(stream)
    }

    public final override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        if phase == .silent {
            guard open() else { return give(up: TLSFailure(.handshake, "there is no memory or no certificate for it")) }
            takePlace()
        }
        guard let stream else { return .open }
        let room = scratch
        var given = UnsafeRawBufferPointer(bytes)
        while true {
            var count = 0
            let state = ctls_stream_receive(
                stream, given.baseAddress?.assumingMemoryBound(to: UInt8.self), given.count,
                room.baseAddress!.assumingMemoryBound(to: UInt8.self), room.count, &count)
            if phase == .shaking, ctls_stream_is_ready(stream) {
                phase = .ready
                places?.remove(self)
                handshakeEnded()
            }
            if count > 0 { up(UnsafeMutableRawBufferPointer(rebasing: room[..<count])) }
            if Int(state) == CTLS_ENDED {
                ctls_stream_finish(stream)
                return .ended
            }
            if Int(state) == CTLS_FAILED {
                return give(up: TLSFailure(of: stream, wasReady: phase == .ready))
            }
            if backlog > Self.mostBacklog {
                return give(up: TLSFailure(.flood, "the peer takes none of the answers that it makes TLS give"))
            }
            guard count == room.count, !isDeaf else { return .open }
            given = UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    public final override func send(_ bytes: UnsafeRawBufferPointer) {
        guard let stream, let base = bytes.baseAddress else { return }
        // It cannot fail but for memory; then the peer sees the stream end without a goodbye.
        _ = ctls_stream_send(stream, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    public final override func finish() {
        if let stream { ctls_stream_finish(stream) }
    }

    /// Ends a handshake that nobody wants to wait for: its memory is free at once, whatever the peer does.
    public final func abandon(_ failure: TLSFailure) {
        guard phase == .silent || phase == .shaking else { return }
        _ = give(up: failure)
        fail(failure.reason)
    }

    private func takePlace() {
        handshakePlaces()?.add(self)
        handshakeBegan()
    }

    private func give(up failure: TLSFailure) -> LayerState {
        phase = .over
        places?.remove(self)
        failed(failure)
        if let stream { ctls_stream_free(stream) }
        stream = nil
        return .failed(failure.reason)
    }

    private func open() -> Bool {
        guard let context = currentContext() else { return false }
        stream = ctls_stream_new(
            context.raw,
            { user, bytes, count in
                let layer = Unmanaged<TLSLayer>.fromOpaque(user!).takeUnretainedValue()
                layer.down(UnsafeRawBufferPointer(start: bytes, count: count))
            }, Unmanaged.passUnretained(self).toOpaque())
        guard let stream else { return false }
        phase = .shaking
        // One that is not understood is not resumed: the handshake is a full one then.
        if let earlier { _ = ctls_stream_resume(stream, earlier, earlier.count) }
        return host.map { ctls_stream_expect(stream, $0) } ?? true
    }

    // MARK: - What was agreed

    public final override var certificate: PeerCertificate? {
        guard let stream, phase == .ready else { return nil }
        if let identity = sharedKeyIdentity { return PeerCertificate(sharedKey: identity) }
        return CertificateReader(stream)?.names
    }

    public final override func proof(_ what: PeerProof) -> [UInt8]? {
        guard let stream, phase == .ready else { return nil }
        return TLS.proof(what, of: stream)
    }

    /// "TLSv1.3"; nil before the handshake.
    public final var version: String? { stream.map { String(cString: ctls_stream_version($0)) } }
    public final var cipher: String? { stream.map { String(cString: ctls_stream_cipher($0)) } }
    public final var isResumed: Bool { stream.map { ctls_stream_is_resumed($0) } ?? false }
    /// The application protocol both have, nil when none was agreed.
    public final var applicationProtocol: String? {
        guard let stream else { return nil }
        var bytes: UnsafePointer<UInt8>?
        let count = ctls_stream_protocol(stream, &bytes)
        return count == 0 ? nil : String(decoding: UnsafeBufferPointer(start: bytes, count: count), as: UTF8.self)
    }
    /// The identity of the shared key the peer came with.
    public final var sharedKeyIdentity: String? {
        stream.flatMap { ctls_stream_identity($0) }.map { String(cString: $0) }
    }

    // MARK: - Sessions, for clients

    /// What a later connection to the same server resumes with; nil while the server has given no ticket.
    public final var session: [UInt8]? {
        guard let stream else { return nil }
        let count = ctls_stream_session(stream, nil, 0)
        guard count > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        _ = ctls_stream_session(stream, &bytes, count)
        return bytes
    }
}
