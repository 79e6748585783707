// SPDX-License-Identifier: Apache-2.0
import CReactor

/// Why a connection ended, as the transport saw it.
public enum CloseReason: UInt8, Sendable {
    /// The peer closed its side.
    case peer
    /// The socket failed (reset, timed out).
    case error
    /// A layer between socket and owner gave up: a TLS handshake, a WebSocket frame.
    case layer
    /// Our own decision; the owner knows why.
    case local
}

/// One socket of a loop: a slot of its slab. Input not yet understood and output not yet written exist only while
/// there are any, so an idle connection is this struct and nothing else.
///
/// Two cache lines: the first is what receiving looks at, the second what sending does.
@frozen
public struct Transport: SlabSlot {
    public var fd: Int32
    public var slot: UInt32
    /// Counts the uses of the slot, so that a late epoll event for an earlier use is recognised.
    public var generation: UInt32
    @usableFromInline var flags: Flags
    /// Bytes received and not consumed yet.
    @usableFromInline var rest: UnsafeMutableRawPointer?
    @usableFromInline var restCount: Int
    /// What stands between the socket's bytes and the owner's; nil for plain TCP.
    @usableFromInline var layers: Unmanaged<LayerStack>?
    /// The owner's state for this connection.
    public var owner: UnsafeMutableRawPointer?
    /// Loop time of the last sign of life, in ms: a packet, which the owner notes, or `signOfLife` bytes at once.
    public var lastRead: UInt64
    public var bytesIn: UInt64

    @usableFromInline var outHead: UnsafeMutablePointer<OutSegment>?
    @usableFromInline var outTail: UnsafeMutablePointer<OutSegment>?
    /// Bytes that wait to be written.
    public var pending: Int
    public var bytesOut: UInt64
    /// Loop time when the peer last took bytes from us.
    public var lastProgress: UInt64
    @usableFromInline var nextDirty: UInt32
    /// Bytes one turn may receive at most, not 0; the owner lowers it for a peer that is to be read slowly.
    public var readLimit: UInt32 = .max
    @usableFromInline var restRoom: Int
    /// Length of the packet at the head of `rest` when the owner knows it: lets the loop receive a large packet in
    /// place. 0: not known.
    public var needed: Int
    /// Bytes of an unfinished packet that show, when they come together, that its sender is alive.
    static let signOfLife = 512
    /// Bytes of a packet from which on what is behind its first `head` bytes is received in place.
    static let largePacket = 65536
    static let head = 8192

    /// What `rest` points into.
    static func block(of rest: UnsafeMutableRawPointer) -> InputRef {
        (rest - MemoryLayout<cr_input>.stride).assumingMemoryBound(to: cr_input.self)
    }

    @frozen
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt32
        @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let open = Flags(rawValue: 1)
        /// The owner asked for no more input for now.
        public static let paused = Flags(rawValue: 2)
        /// The kernel may hold bytes we have not read (edge-triggered: nobody will tell us again).
        public static let readable = Flags(rawValue: 4)
        /// In the list of connections with something to write this tick.
        public static let dirty = Flags(rawValue: 8)
        /// The socket buffer is full: wait for the kernel.
        public static let blocked = Flags(rawValue: 16)
        /// Queued for another round of reading.
        public static let again = Flags(rawValue: 32)
        /// Write what waits, then half-close and discard what comes until the peer closes.
        public static let lingering = Flags(rawValue: 64)
        public static let halfClosed = Flags(rawValue: 128)
        public static let dead = Flags(rawValue: 256)
        /// Inside the owner's `received`.
        public static let busy = Flags(rawValue: 512)
        /// The peer's end was read while our last bytes still wait.
        public static let ended = Flags(rawValue: 1024)
        /// The peer sends no more. The edge that said so may have come together with bytes: read until the end shows.
        public static let hungUp = Flags(rawValue: 2048)
        /// `owner` is a `TransportOwner`, not the loop subclass's state.
        public static let owned = Flags(rawValue: 4096)
        /// All the peer sent, its end included, is in the kernel's hands: the receive that falls short is the last.
        public static let complete = Flags(rawValue: 8192)
        /// Registered for room to write, too.
        public static let watchesOut = Flags(rawValue: 16384)
        /// The peer has said goodbye: it sends nothing more, and nothing but our end is owed to it.
        public static let dismissed = Flags(rawValue: 32768)
        /// Its last packets were large ones.
        static let sendsLarge = Flags(rawValue: 65536)
        /// Its events are reported to the group's first loop. The five bits above it count them.
        public static let away = Flags(rawValue: 1 << 26)
    }

    /// Its events are reported to the group's first loop.
    var isAway: Bool {
        get { flags.contains(.away) }
        set { if newValue { flags.insert(.away) } else { flags.remove(.away) } }
    }
    /// Events so far, modulo 32: enough to tell whether reporting them elsewhere is worth it.
    var events: UInt32 {
        get { flags.rawValue >> 27 }
        set { flags = Flags(rawValue: flags.rawValue & 0x07FF_FFFF | newValue << 27) }
    }

    @inlinable public var isOpen: Bool { flags.contains(.open) && !flags.contains(.lingering) }
    /// What stands between socket and owner; nil for plain TCP.
    public var stack: LayerStack? { layers?.takeUnretainedValue() }
    @inlinable public var isPaused: Bool { flags.contains(.paused) }
    /// The peer does not take what we send.
    @inlinable public var isBlocked: Bool { flags.contains(.blocked) }
}

public typealias TransportRef = UnsafeMutablePointer<Transport>

/// Asks for both its cache lines.
@inline(__always)
public func prefetch(_ t: TransportRef) {
    cr_prefetch(t)
    cr_prefetch(UnsafeRawPointer(t) + 64)
}
