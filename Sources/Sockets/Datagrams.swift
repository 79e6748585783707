// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
public import Reactor
import Synchronization
public import TLS

/// Whoever works with datagrams. Called on a loop; one peer always on the same one.
public protocol DatagramHandler: AnyObject, Sendable {
    func received(_ peer: SocketAddress, _ bytes: UnsafeRawBufferPointer)
    /// No call may be made: another handler is about to take over.
    var isHeld: Bool { get }
}

public struct DatagramTerms: Sendable {
    /// Bytes that may wait to be sent on each loop.
    public var highWater = 524_288
    public var admits: @Sendable (SocketAddress) -> Bool = { _ in true }
    /// DTLS instead of plain datagrams: what associations begin with now; of a server, for datagrams. On a loop.
    public var dtls: (@Sendable () -> TLSContext)?
    /// Of DTLS: associations at a time.
    public var maxAssociations = 10_000
    /// Of DTLS, ms: for a handshake, and without a datagram that could be read (0: no limit).
    public var handshakeTimeout: UInt64 = 10_000
    public var idleTimeout: UInt64 = 0
    public init() {}
}

/// One UDP address, one socket a loop. [main] but for `send` and `counts`.
public final class DatagramListener: @unchecked Sendable {
    public let address: SocketAddress
    public private(set) var isOpen = false
    private let sockets: [DatagramSocket]
    private let associations = AssociationBook()

    /// Binds on every loop; nothing is received before `start`.
    public init(
        _ wanted: SocketAddress, loops: [EventLoop], terms: DatagramTerms, handler: any DatagramHandler
    ) throws(SocketError) {
        let (fds, address) = try BoundSockets.open(wanted, .udp, count: loops.count)
        self.address = address
        let book = associations
        sockets = zip(loops, fds).enumerated().map {
            DatagramSocket(fd: $1.1, on: $1.0, $0, book, terms, handler)
        }
    }

    public func start() {
        guard !isOpen else { return }
        isOpen = true
        for socket in sockets { socket.start() }
    }

    /// When it returns, nothing is called any more. What waits to be sent is tried once.
    public func stop() {
        for socket in sockets { socket.stop() }
        isOpen = false
    }

    /// [loop] From now on, on this loop, what comes is `handler`'s.
    public func change(to handler: any DatagramHandler, _ terms: DatagramTerms, on loop: EventLoop) {
        sockets.first { $0.loop === loop }?.change(to: handler, terms)
    }

    public enum Sent {
        case taken, busy, tooLarge, wrongFamily
        /// There is no association with this peer.
        case unknownPeer
    }

    /// [any] Copies a datagram and sends it soon; from a loop, with that loop's socket.
    public func send(_ bytes: UnsafeRawBufferPointer, to peer: SocketAddress) -> Sent {
        guard bytes.count <= DatagramSocket.largest else { return .tooLarge }
        guard peer.isIPv6 == address.isIPv6 else { return .wrongFamily }
        if associations.isInUse {
            guard bytes.count <= DTLSSession.largest else { return .tooLarge }
            guard let place = associations.place(of: peer) else { return .unknownPeer }
            return sockets[place].send(bytes, to: peer) ? .taken : .busy
        }
        let here = Int(cr_current_loop())
        return sockets[here >= 0 && here < sockets.count ? here : 0].send(bytes, to: peer) ? .taken : .busy
    }

    /// [loop] Of the peer's datagrams: what it has proven by DTLS; nil: no such thing.
    public func proof(_ what: PeerProof, of peer: SocketAddress) -> [UInt8]? {
        let here = Int(cr_current_loop())
        guard sockets.indices.contains(here) else { return nil }
        return sockets[here].associations?.proof(what, of: peer)
    }

    /// [any]
    public var associationCounts: AssociationCounts { associations.counts }

    /// [any]
    public var counts: DatagramCounts { sockets.reduce(into: DatagramCounts()) { $0.add($1.counts) } }
}

public struct DatagramCounts: Sendable, Equatable {
    public var datagramsIn = 0
    public var datagramsOut = 0
    public var bytesIn = 0
    public var bytesOut = 0
    /// The kernel's queue was full.
    public var overflows = 0
    /// The access rules refuse the sender.
    public var refused = 0
    /// Our queue was full, or the kernel did not take it.
    public var dropped = 0

    mutating func add(_ other: DatagramCounts) {
        datagramsIn += other.datagramsIn
        datagramsOut += other.datagramsOut
        bytesIn += other.bytesIn
        bytesOut += other.bytesOut
        overflows += other.overflows
        refused += other.refused
        dropped += other.dropped
    }
}

/// A UDP socket on one loop: receives in batches, sends in batches from a bounded queue.
final class DatagramSocket: @unchecked Sendable {
    static let largest = 65507
    private static let room = 65536
    /// What a waiting datagram counts beyond its bytes, so that empty ones are bounded too.
    private static let overhead = 64
    let loop: EventLoop
    private var fd: Int32
    private var handler: any DatagramHandler
    private var terms: DatagramTerms
    private let book: AssociationBook
    private let number: Int
    /// Nil: plain datagrams.
    private(set) var associations: Associations?
    private let limit: Atomic<Int>
    private var watch: UInt64?
    private var isBlocked = false
    private let inbound: UnsafeMutablePointer<cr_datagram>
    private let buffers: UnsafeMutableRawPointer
    private let outbound: UnsafeMutablePointer<cr_datagram>
    private let queue = Mutex<Queue>(Queue())
    /// What the kernel did not take yet, in front of the queue.
    private var rest = Queue()
    private var restAt = 0
    private let waiting = Atomic<Int>(0)
    private let tally = Mutex<DatagramCounts>(DatagramCounts())

    private struct Queue {
        var bytes: [UInt8] = []
        var items: [(end: Int, peer: SocketAddress)] = []
        var isPosted = false
    }

    /// - Parameter number: of this socket among the listener's.
    init(
        fd: Int32, on loop: EventLoop, _ number: Int, _ book: AssociationBook, _ terms: DatagramTerms,
        _ handler: any DatagramHandler
    ) {
        self.number = number
        self.book = book
        self.fd = fd
        self.loop = loop
        self.terms = terms
        self.handler = handler
        limit = Atomic(terms.highWater)
        let count = Int(CR_DATAGRAMS)
        inbound = .allocate(capacity: count)
        inbound.initialize(repeating: cr_datagram(), count: count)
        outbound = .allocate(capacity: count)
        outbound.initialize(repeating: cr_datagram(), count: count)
        // So large that it is mapped, not filled: pages that no datagram reaches cost nothing.
        buffers = .allocate(byteCount: count * Self.room, alignment: 4096)
        for i in 0..<count { inbound[i].data = buffers + i * Self.room }
        takeTerms(terms)
    }

    deinit {
        if fd >= 0 { close(fd) }
        inbound.deallocate()
        outbound.deallocate()
        buffers.deallocate()
    }

    // MARK: - [main]

    func start() {
        loop.sync { [self] in
            watch = loop.watch(fd: fd, events: UInt32(CR_IN)) { [unowned self] events in
                if events & UInt32(CR_OUT) != 0 { isBlocked = false }
                receive()
            }
            flush()
        }
    }

    func stop() {
        loop.sync { [self] in
            flush()
            if let associations {
                associations.end()
                flush()
            }
            associations = nil
            if let watch { loop.unwatch(watch) }
            watch = nil
            close(fd)
            fd = -1
        }
    }

    // MARK: - [loop]

    func change(to handler: any DatagramHandler, _ terms: DatagramTerms) {
        self.handler = handler
        takeTerms(terms)
        flush()
    }

    /// Associations stay, whatever certificate they began with, unless it is plain datagrams from now on.
    private func takeTerms(_ terms: DatagramTerms) {
        self.terms = terms
        limit.store(terms.highWater, ordering: .relaxed)
        guard terms.dtls != nil else {
            associations?.end()
            associations = nil
            book.isInUse = false
            return
        }
        book.isInUse = true
        if associations == nil {
            associations = Associations(on: loop, number, book)
            associations?.up = { [unowned self] in handler.received($0, $1) }
            associations?.down = { [unowned self] in write($1, to: $0) }
            associations?.flush = { [unowned self] in flush() }
        }
        associations?.change(to: terms)
    }

    private func receive() {
        // What comes now waits for the next handler, a task of this very tick.
        guard !handler.isHeld else { return }
        var overflows: UInt32 = 0
        let got = cr_receive_many(fd, inbound, Int32(CR_DATAGRAMS), UInt32(Self.room), &overflows)
        // Answers of the whole batch leave together at its end.
        queue.withLock { $0.isPosted = true }
        var seen = DatagramCounts()
        for i in 0..<max(0, Int(got)) {
            let datagram = inbound + i
            let peer = withUnsafePointer(to: &datagram.pointee.address) {
                $0.withMemoryRebound(to: sockaddr_storage.self, capacity: 1) { SocketAddress($0) }
            }
            guard terms.admits(peer) else {
                seen.refused += 1
                continue
            }
            seen.datagramsIn += 1
            seen.bytesIn += Int(datagram.pointee.length)
            let bytes = UnsafeRawBufferPointer(start: datagram.pointee.data, count: Int(datagram.pointee.length))
            if let associations {
                associations.receive(peer, bytes)
            } else {
                handler.received(peer, bytes)
            }
        }
        let received = seen
        tally.withLock { counts in
            counts.add(received)
            if overflows > 0 { counts.overflows = Int(overflows) }
        }
        flush()
    }

    private func flush() {
        let more = queue.withLock { queue in
            defer { queue = Queue() }
            return queue
        }
        if let associations {
            encrypt(more, associations)
        } else if rest.items.isEmpty {
            rest = more
            restAt = 0
        } else {
            let base = rest.bytes.count
            rest.bytes += more.bytes
            rest.items += more.items.map { ($0.end + base, $0.peer) }
        }
        guard !isBlocked, fd >= 0 else { return }
        var done = DatagramCounts()
        while restAt < rest.items.count, sendBatch(&done) {}
        let sent = done
        tally.withLock { $0.add(sent) }
        if restAt == rest.items.count {
            rest = Queue()
            restAt = 0
        }
        if let watch { loop.rewatch(watch, events: UInt32(isBlocked ? CR_IN | CR_OUT : CR_IN)) }
    }

    private func encrypt(_ plain: Queue, _ associations: Associations) {
        var start = 0
        plain.bytes.withUnsafeBytes { bytes in
            for item in plain.items {
                waiting.subtract(item.end - start + Self.overhead, ordering: .relaxed)
                if !associations.send(UnsafeRawBufferPointer(rebasing: bytes[start..<item.end]), to: item.peer) {
                    tally.withLock { $0.dropped += 1 }
                }
                start = item.end
            }
        }
    }

    /// What the associations have for a peer, sent with the next flush.
    private func write(_ bytes: UnsafeRawBufferPointer, to peer: SocketAddress) {
        // Twice: what the plugin was promised to send has had its place already.
        guard waiting.load(ordering: .relaxed) < 2 * limit.load(ordering: .relaxed) else {
            tally.withLock { $0.dropped += 1 }
            return
        }
        waiting.add(bytes.count + Self.overhead, ordering: .relaxed)
        rest.bytes.append(contentsOf: bytes)
        rest.items.append((rest.bytes.count, peer))
    }

    /// False when the kernel takes no more for now.
    private func sendBatch(_ done: inout DatagramCounts) -> Bool {
        let count = min(Int(CR_DATAGRAMS), rest.items.count - restAt)
        let first = restAt == 0 ? 0 : rest.items[restAt - 1].end
        let sent = rest.bytes.withUnsafeBytes { bytes in
            var start = first
            for i in 0..<count {
                let item = rest.items[restAt + i]
                outbound[i].data = UnsafeMutableRawPointer(
                    mutating: (bytes.baseAddress ?? UnsafeRawPointer(outbound)) + start)
                outbound[i].length = UInt32(item.end - start)
                outbound[i].address_length = item.peer.length
                var storage = item.peer.storage
                withUnsafeMutableBytes(of: &outbound[i].address) { to in
                    withUnsafeBytes(of: &storage) { to.copyMemory(from: $0) }
                }
                start = item.end
            }
            return Int(cr_send_many(fd, outbound, Int32(count)))
        }
        guard sent > 0 else {
            let code = cr_errno()
            if code == EINTR { return true }
            if code == EAGAIN {
                isBlocked = true
                return false
            }
            // About this one datagram (its peer refused an earlier one, it is too large): the next may pass.
            done.dropped += 1
            advance(1)
            return true
        }
        done.datagramsOut += sent
        done.bytesOut += rest.items[restAt + sent - 1].end - first
        advance(sent)
        return true
    }

    private func advance(_ count: Int) {
        let first = restAt == 0 ? 0 : rest.items[restAt - 1].end
        restAt += count
        waiting.subtract(rest.items[restAt - 1].end - first + count * Self.overhead, ordering: .relaxed)
    }

    // MARK: - [any]

    func send(_ bytes: UnsafeRawBufferPointer, to peer: SocketAddress) -> Bool {
        guard waiting.load(ordering: .relaxed) < limit.load(ordering: .relaxed) else {
            tally.withLock { $0.dropped += 1 }
            return false
        }
        waiting.add(bytes.count + Self.overhead, ordering: .relaxed)
        let isFirst = queue.withLock { queue in
            queue.bytes.append(contentsOf: bytes)
            queue.items.append((queue.bytes.count, peer))
            defer { queue.isPosted = true }
            return !queue.isPosted
        }
        if isFirst { loop.post { self.flush() } }
        return true
    }

    var counts: DatagramCounts { tally.withLock { $0 } }
}
