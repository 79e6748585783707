// SPDX-License-Identifier: Apache-2.0
import CTLS

/// A server's TLS on bytes that somebody else carries: for connections that no loop of ours holds.
///
/// Not safe for concurrent use; no function may be called from within `write` or `plain`, but `send`, `finish` from
/// `plain`.
public final class TLSStream {
    public enum State: Sendable {
        case open
        /// The peer has said goodbye.
        case ended
        /// Its last words have been written.
        case failed(TLSFailure)
    }

    private let context: TLSContext
    private var stream: OpaquePointer?
    private let write: (UnsafeRawBufferPointer) -> Void

    /// - Parameter write: takes what is for the peer, borrowed.
    public init(_ context: TLSContext, write: @escaping (UnsafeRawBufferPointer) -> Void) {
        self.context = context
        self.write = write
    }

    deinit { if let stream { ctls_stream_free(stream) } }

    public var isReady: Bool { stream.map { ctls_stream_is_ready($0) } ?? false }

    /// Bytes of the peer. `room` is memory to decode into; `plain` is given what they contain, in pieces that are
    /// borrowed.
    public func receive(
        _ bytes: UnsafeRawBufferPointer, room: UnsafeMutableRawBufferPointer,
        plain: (UnsafeRawBufferPointer) -> Void
    ) -> State {
        guard let stream = opened() else { return .failed(TLSFailure(.handshake, "there is no memory for it")) }
        var given = bytes
        while true {
            let wasReady = ctls_stream_is_ready(stream)
            var count = 0
            let state = ctls_stream_receive(
                stream, given.baseAddress?.assumingMemoryBound(to: UInt8.self), given.count,
                room.baseAddress!.assumingMemoryBound(to: UInt8.self), room.count, &count)
            if count > 0 { plain(UnsafeRawBufferPointer(rebasing: room[..<count])) }
            if Int(state) == CTLS_ENDED { return .ended }
            if Int(state) == CTLS_FAILED { return .failed(TLSFailure(of: stream, wasReady: wasReady)) }
            guard count == room.count else { return .open }
            given = UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// Only when `isReady`.
    public func send(_ bytes: UnsafeRawBufferPointer) {
        guard let stream, let base = bytes.baseAddress else { return }
        _ = ctls_stream_send(stream, base.assumingMemoryBound(to: UInt8.self), bytes.count)
    }

    /// Says goodbye, if it ever said hello.
    public func finish() {
        if let stream { ctls_stream_finish(stream) }
    }

    private func opened() -> OpaquePointer? {
        if stream == nil {
            stream = ctls_stream_new(
                context.raw,
                { user, bytes, count in
                    Unmanaged<TLSStream>.fromOpaque(user!).takeUnretainedValue()
                        .write(UnsafeRawBufferPointer(start: bytes, count: count))
                }, Unmanaged.passUnretained(self).toOpaque())
        }
        return stream
    }
}
