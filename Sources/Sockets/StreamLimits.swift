// SPDX-License-Identifier: Apache-2.0

/// What one connection may use. Times in ms, 0: no limit; sizes in bytes.
public struct StreamLimits: Sendable, Equatable {
    /// Received and not consumed by the handler.
    public var maxInput = 65536
    /// Waiting to be sent: above `highWater` nothing more is taken, at `lowWater` the handler hears that there is room.
    public var highWater = 524_288
    public var lowWater = 131_072
    /// Without a received byte.
    public var idleTimeout: UInt64 = 0
    /// While the peer takes nothing of what waits for it.
    public var sendTimeout: UInt64 = 60_000
    /// For the whole of an outgoing connection's beginning: the name, TCP, the layers' handshakes.
    public var connectTimeout: UInt64 = 10_000
    /// Bytes one `send` may carry.
    public static let maxSend = 16 << 20
    /// Until the peer closes too, once everything is written.
    static let lingerTimeout: UInt64 = 5000

    public init() {}
}

/// Why a connection is over.
public enum StreamEnd: Sendable, Equatable {
    case peerClosed
    /// The handler asked for it.
    case closed
    /// Its handler is gone.
    case stopped
    case failed(errno: Int32)
    case idle
    /// The peer took nothing for too long.
    case stuck
    /// More input gathered than the handler may leave lying.
    case overflow
    /// The handler claimed to have consumed more than there was.
    case misread
    case layer(String)
    case nameNotFound(String)
    case connectTimeout
    /// It goes on in other hands.
    case handedOver

    /// What `listeners` counts it under.
    public var name: String {
        switch self {
        case .peerClosed: "peer_closed"
        case .closed: "plugin_closed"
        case .stopped: "plugin_stopped"
        case .failed: "socket_error"
        case .idle: "idle_timeout"
        case .stuck: "send_timeout"
        case .overflow: "input_overflow"
        case .misread: "input_misread"
        case .layer(let reason): reason
        case .nameNotFound: "name_not_found"
        case .connectTimeout: "connect_timeout"
        case .handedOver: "adopted"
        }
    }
}

/// Whoever works with connections. Everything is called on the connection's loop, never concurrently for one of them.
public protocol StreamHandler: AnyObject, Sendable {
    /// The connection is up, all handshakes over.
    func opened(_ stream: Stream)
    /// Returns how many bytes were consumed; the rest comes again, with more.
    func received(_ stream: Stream, _ bytes: UnsafeRawBufferPointer) -> Int
    /// After `send` was refused: there is room again.
    func writable(_ stream: Stream)
    /// The last call about this connection; also for one that was never opened.
    func closed(_ stream: Stream, _ end: StreamEnd)
    /// No call may be made: another handler is about to take over.
    var isHeld: Bool { get }
    /// Names the handler's owner for `Stream.owner`.
    var owner: UInt32 { get }
}
