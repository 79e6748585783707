// SPDX-License-Identifier: Apache-2.0

/// How a receiver relates to the publishers it hears.
enum ReceiverRule: Sendable {
    /// The only receiver of its publishers, and it gets everything (pairs, fan-in).
    case onlyReceiver
    /// One of several that each get everything (fan-out).
    case everyReceiver
    /// Gets a part of each publisher's messages: those whose topic carries a number in its range (wildcard).
    case someReceiver(numbers: Range<Int>)
    /// Takes what there is, in any order, and nobody waits for it (retained messages).
    case collector
    /// Hears publishers of another process (`bench sub`).
    case stranger
}

/// A client as a scenario asks for it.
struct ClientSpec: Sendable {
    struct Publishing: Sendable {
        /// Number of the publisher, counted over all loops.
        var index: Int
        var topic: PublishTemplate.Topic
        /// Messages to send at most.
        var limit = UInt64.max
    }

    var name: String
    var filters: [String] = []
    var subscribeQoS: UInt8 = 0
    var persistent = false
    var publishing: Publishing?
    var receiver: ReceiverRule?
    /// Numbers of the publishers it hears.
    var hears: Range<Int> = 0..<0
    /// Disconnects as soon as it is connected, and connects again, this many times in all.
    var churn: UInt64 = 0
}

/// Bytes that wait for the socket, or for the end of the tick.
struct PendingBytes {
    private(set) var bytes: UnsafeMutablePointer<UInt8>?
    private(set) var count = 0
    private var capacity = 0

    /// Room for `extra` more bytes, which the caller fills.
    @inline(__always)
    mutating func grow(_ extra: Int) -> UnsafeMutablePointer<UInt8> {
        if count + extra > capacity { enlarge(to: count + extra) }
        defer { count += extra }
        return bytes! + count
    }

    @inline(never)
    private mutating func enlarge(to needed: Int) {
        let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: max(needed, capacity * 2, 256))
        let size = max(needed, capacity * 2, 256)
        if let bytes {
            larger.update(from: bytes, count: count)
            bytes.deallocate()
        }
        bytes = larger
        capacity = size
    }

    mutating func append(_ packet: [UInt8]) { grow(packet.count).update(from: packet, count: packet.count) }

    /// `source` may be a later part of these same bytes.
    mutating func replace(_ source: UnsafePointer<UInt8>, _ length: Int) {
        if length > capacity { enlarge(to: length) }
        if length > 0 { bytes!.update(from: source, count: length) }
        count = length
    }

    mutating func clear() { count = 0 }

    mutating func free() {
        bytes?.deallocate()
        self = PendingBytes()
    }
}

/// The packet identifiers of one publisher: 1...window, each free or in one state of its handshake.
struct Inflight {
    private enum State { static let free: UInt8 = 0, sent: UInt8 = 1, released: UInt8 = 2 }

    private let states: UnsafeMutablePointer<UInt8>
    private let times: UnsafeMutablePointer<UInt64>
    private let freeIDs: UnsafeMutablePointer<UInt16>
    private let window: Int
    private(set) var free: Int

    init(window: Int) {
        self.window = window
        free = window
        states = .allocate(capacity: window)
        states.initialize(repeating: State.free, count: window)
        times = .allocate(capacity: window)
        times.initialize(repeating: 0, count: window)
        freeIDs = .allocate(capacity: window)
        for i in 0..<window { freeIDs[i] = UInt16(window - i) }
    }

    func deallocate() {
        states.deallocate()
        times.deallocate()
        freeIDs.deallocate()
    }

    /// Lowers the window to what the broker takes; nothing may be in flight yet.
    mutating func limit(to maximum: Int) {
        guard maximum < free else { return }
        for i in 0..<maximum { freeIDs[i] = UInt16(maximum - i) }
        free = maximum
    }

    @inline(__always)
    mutating func take(at time: UInt64) -> UInt16 {
        free -= 1
        let id = freeIDs[free]
        states[Int(id) - 1] = State.sent
        times[Int(id) - 1] = time
        return id
    }

    /// PUBACK, or PUBREC with an error: the identifier is free again. Returns when it was taken, nil when it was not
    /// in flight.
    @inline(__always)
    mutating func finish(_ id: Int) -> UInt64? { release(id, from: State.sent) }

    /// PUBREC: the message is the broker's, the identifier stays taken until PUBCOMP.
    @inline(__always)
    mutating func received(_ id: Int) -> Bool {
        guard id >= 1 && id <= window && states[id - 1] == State.sent else { return false }
        states[id - 1] = State.released
        return true
    }

    @inline(__always)
    mutating func complete(_ id: Int) -> UInt64? { release(id, from: State.released) }

    @inline(__always)
    private mutating func release(_ id: Int, from state: UInt8) -> UInt64? {
        guard id >= 1 && id <= window && states[id - 1] == state else { return nil }
        states[id - 1] = State.free
        freeIDs[free] = UInt16(truncatingIfNeeded: id)
        free += 1
        return times[id - 1]
    }
}

struct Publisher {
    let index: Int
    let template: PublishTemplate
    let limit: UInt64
    var inflight: Inflight?
    /// Fewer than this many messages are not worth a write, unless they are the last.
    var batch: Int
    /// Sequence of the next message, so also how many were written.
    var next: UInt64 = 0
    /// Messages that the rate has made due and that are not written yet, and when the first of them was due.
    var owed: UInt64 = 0
    var oldestDue: UInt64 = 0
    /// The broker (socket or window) kept due messages waiting: their time starts when they were due.
    var heldBack = false
}

struct Client {
    enum State { case idle, connecting, shaking, upgrading, awaitingConnack, awaitingSuback, ready, closing, closed }

    var fd: Int32 = -1
    let index: Int
    /// Goes up with each new socket, so that an event for the old one is known as such.
    var generation: UInt32 = 0
    var state = State.idle
    /// Stands in the list of clients with something to send.
    var isDirty = false
    /// The socket took no more; EPOLLOUT will come.
    var isBlocked = false
    var output = PendingBytes()
    /// Over WebSocket or TLS: frames or records that the socket has not taken; `output` is what comes behind them.
    var wire = PendingBytes()
    /// Over TLS: OpenSSL's side of the connection.
    var tls: OpaquePointer?
    var frames = FrameReader()
    /// The beginning of a packet whose end has not arrived.
    var partial = PendingBytes()
    var startedAt: UInt64 = 0
    var lastSend: UInt64 = 0
    var publisher: UnsafeMutablePointer<Publisher>?
    var receiver: ReceiverRule?
    var streams: UnsafeMutablePointer<SequenceTracker>?
    var firstStream = 0
    var streamCount = 0
    var churnLeft: UInt64 = 0

    init(index: Int) { self.index = index }
}
