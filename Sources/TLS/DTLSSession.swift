// SPDX-License-Identifier: Apache-2.0
import CTLS
public import Reactor

/// One end of a DTLS association, on datagrams that somebody else carries. RFC 6347
///
/// A server's begins as one that listens: any number of peers may try, and nothing is kept of them, until one shows that it
/// receives what is sent to its address. From then on it is that peer's. Not safe for concurrent use; nothing may be
/// called from within `write` or `plain`.
public final class DTLSSession {
    public typealias State = TLSStream.State
    /// Plaintext one datagram may carry.
    public static let largest = Int(CTLS_LONGEST_DATAGRAM)

    /// Takes one datagram for the peer, borrowed.
    public var write: (UnsafeRawBufferPointer) -> Void = { _ in }
    /// There from the end of `init` on.
    private var stream: OpaquePointer!
    public let context: TLSContext

    /// Nil when there is no memory.
    public init?(_ context: TLSContext) {
        self.context = context
        stream = ctls_stream_new(
            context.raw,
            { user, bytes, count in
                Unmanaged<DTLSSession>.fromOpaque(user!).takeUnretainedValue()
                    .write(UnsafeRawBufferPointer(start: bytes, count: count))
            }, Unmanaged.passUnretained(self).toOpaque())
        if stream == nil { return nil }
    }

    deinit { if let stream { ctls_stream_free(stream) } }

    public var isReady: Bool { ctls_stream_is_ready(stream) }

    /// As a client: the first words.
    public func begin() { _ = ctls_stream_begin(stream) }

    /// True: it is this peer's now; `receive` of nothing goes on with the handshake. RFC 6347 §4.2.1
    /// - Parameter peer: the address as bytes, 32 at most.
    public func listen(_ datagram: UnsafeRawBufferPointer, from peer: UnsafeRawBufferPointer) -> Bool {
        ctls_stream_listen(
            stream, peer.baseAddress?.assumingMemoryBound(to: UInt8.self), peer.count,
            datagram.baseAddress?.assumingMemoryBound(to: UInt8.self), datagram.count)
    }

    /// A datagram of the peer. What cannot be read is passed over, as RFC 6347 §4.1.2.7 wants it.
    /// - Parameters:
    ///   - room: memory to decode into, `largest` bytes.
    ///   - plain: is given what it contains, record by record, borrowed.
    public func receive(
        _ datagram: UnsafeRawBufferPointer, room: UnsafeMutableRawBufferPointer,
        plain: (UnsafeRawBufferPointer) -> Void
    ) -> State {
        var given = datagram
        while true {
            let wasReady = isReady
            var count = 0
            let state = ctls_stream_receive(
                stream, given.baseAddress?.assumingMemoryBound(to: UInt8.self), given.count,
                room.baseAddress!.assumingMemoryBound(to: UInt8.self), room.count, &count)
            if count > 0 { plain(UnsafeRawBufferPointer(rebasing: room[..<count])) }
            let answer = self.state(state, wasReady: wasReady)
            guard case .open = answer, count > 0 else { return answer }
            given = UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// Encrypts one datagram, only when `isReady`. An empty one is not sent.
    public func send(_ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        _ = ctls_stream_send(stream, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Says goodbye, if the handshake is over.
    public func finish() { ctls_stream_finish(stream) }

    /// What the peer has proven; nil: no such thing, or the handshake is not over.
    public func proof(_ what: PeerProof) -> [UInt8]? { TLS.proof(what, of: stream) }

    /// Milliseconds until `expire` is due; nil: nothing waits for an answer.
    public var timeout: UInt64? {
        let left = ctls_stream_timeout(stream)
        return left < 0 ? nil : UInt64(left)
    }

    /// Sends the last flight of the handshake again. RFC 6347 §4.2.4
    public func expire() -> State { state(ctls_stream_expire(stream), wasReady: isReady) }

    private func state(_ code: Int32, wasReady: Bool) -> State {
        switch Int(code) {
        case CTLS_ENDED: .ended
        case CTLS_FAILED: .failed(TLSFailure(of: stream, wasReady: wasReady))
        default: .open
        }
    }
}
