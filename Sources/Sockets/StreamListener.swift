// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
public import Reactor
import Synchronization

/// What a listener does with who comes.
public struct StreamTerms: Sendable {
    public var maxConnections = 10_000
    public var limits = StreamLimits()
    /// Who may come; asked before anything else is done.
    public var admits: @Sendable (SocketAddress) -> Bool = { _ in true }
    /// Makes what stands between a socket and the handler, on the loop; nil answer: they cannot be had, and the
    /// connection is closed. No closure: plain TCP.
    public var layers: (@Sendable () -> LayerStack?)?

    public init() {}
}

/// One address, one accepting socket a loop. [main] but for the counts.
public final class StreamListener: @unchecked Sendable {
    /// With the port that was found when 0 was asked for.
    public let address: SocketAddress
    public private(set) var isOpen = false
    let table: StreamTable
    private var acceptors: [StreamAcceptor]
    private let current = Atomic<Int>(0)
    private let acceptedCell = Atomic<Int>(0)
    private let shutdowns = Mutex<[String: Int]>([:])
    /// Told when accepting fails because the system has no descriptor left, once a minute.
    private let complain: @Sendable (String) -> Void
    private let toldAt = Atomic<UInt64>(0)

    /// Binds and listens on every loop; nobody is accepted before `start`, who comes meanwhile waits.
    public init(
        _ wanted: SocketAddress, backlog: Int32, table: StreamTable, terms: StreamTerms, handler: any StreamHandler,
        complain: @escaping @Sendable (String) -> Void
    ) throws(SocketError) {
        let (fds, address) = try BoundSockets.open(wanted, .tcp(backlog: backlog), count: table.loops.count)
        self.address = address
        self.table = table
        self.complain = complain
        acceptors = []
        for (loop, fd) in zip(table.loops, fds) {
            acceptors.append(StreamAcceptor(fd: fd, on: loop, of: self, terms, handler))
        }
    }

    deinit { for acceptor in acceptors { acceptor.abandon() } }

    public func start() {
        guard !isOpen else { return }
        isOpen = true
        for acceptor in acceptors { acceptor.start() }
    }

    /// Takes no more; those that are in stay.
    public func stop() {
        for acceptor in acceptors { acceptor.stop() }
        acceptors = []
        isOpen = false
    }

    /// [loop] From now on, on this loop, who comes is `handler`'s.
    public func change(to handler: any StreamHandler, _ terms: StreamTerms, on loop: EventLoop) {
        acceptors.first { $0.loop === loop }?.change(to: handler, terms)
    }

    /// [any]
    public var counts: (current: Int, accepted: Int, shutdowns: [String: Int]) {
        (current.load(ordering: .relaxed), acceptedCell.load(ordering: .relaxed), shutdowns.withLock { $0 })
    }
    public var loopCount: Int { acceptors.count }

    // MARK: - For acceptors and streams, on any loop

    /// Places are taken one by one, so there are never more connections than places.
    func takePlace(of limit: Int) -> Bool {
        var now = current.load(ordering: .relaxed)
        while now < limit {
            let (isDone, seen) = current.compareExchange(
                expected: now, desired: now + 1, ordering: .acquiringAndReleasing)
            if isDone {
                acceptedCell.add(1, ordering: .relaxed)
                return true
            }
            now = seen
        }
        count("maxlimit")
        return false
    }

    func leave(_ end: StreamEnd) {
        current.subtract(1, ordering: .relaxed)
        count(end.name)
    }

    func count(_ reason: String) { shutdowns.withLock { $0[reason, default: 0] += 1 } }

    /// A stream that moves here from another listener brings its place along.
    func receive(from other: StreamListener?) {
        other?.current.subtract(1, ordering: .relaxed)
        current.add(1, ordering: .relaxed)
    }

    func tell(_ code: Int32) {
        let now = cr_clock_ms()
        let last = toldAt.load(ordering: .relaxed)
        guard last == 0 || now >= last + 60_000,
            toldAt.compareExchange(expected: last, desired: now, ordering: .relaxed).exchanged
        else { return }
        complain("cannot accept connections: \(String(cString: strerror(code))); clients wait until some are free")
    }
}

/// A listener's socket on one loop. All but `start` and `stop` on that loop.
final class StreamAcceptor: @unchecked Sendable {
    let loop: EventLoop
    private var fd: Int32
    private unowned let listener: StreamListener
    private var terms: StreamTerms
    private var handler: any StreamHandler
    private var watch: UInt64?
    private var pause: UInt64?
    /// Accepted in one turn at most, so that a storm of connections does not starve those that are in.
    private static let batch = 64
    /// Milliseconds without accepting when the system has no descriptor left: waiting clients stay in the backlog, and
    /// a level-triggered watch would spin on them.
    private static let rest: UInt64 = 100

    init(
        fd: Int32, on loop: EventLoop, of listener: StreamListener, _ terms: StreamTerms, _ handler: any StreamHandler
    ) {
        self.fd = fd
        self.loop = loop
        self.listener = listener
        self.terms = terms
        self.handler = handler
    }

    /// [main]
    func start() {
        loop.sync { [self] in
            watch = loop.watch(fd: fd, events: UInt32(CR_IN)) { [unowned self] _ in accept() }
        }
    }

    /// [main]
    func stop() {
        loop.sync { [self] in
            if let pause { loop.cancel(timer: pause) }
            if let watch { loop.unwatch(watch) }
            watch = nil
            pause = nil
            abandon()
        }
    }

    /// It never started, or has stopped.
    func abandon() {
        if fd >= 0 { close(fd) }
        fd = -1
    }

    func change(to handler: any StreamHandler, _ terms: StreamTerms) {
        self.handler = handler
        self.terms = terms
    }

    private func accept() {
        for _ in 0..<Self.batch {
            // Whoever comes now waits for the next handler, a task of this very tick.
            guard !handler.isHeld else { return }
            var address = sockaddr_storage()
            var length = UInt32(MemoryLayout<sockaddr_storage>.size)
            let client = cr_accept(fd, &address, &length)
            if client >= 0 {
                welcome(client, SocketAddress(&address))
                continue
            }
            let code = cr_errno()
            if code == EAGAIN { return }
            if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) {
                rest()
                listener.tell(code)
                return
            }
            // Anything else is about one connection that is gone again.
        }
    }

    private func welcome(_ client: Int32, _ peer: SocketAddress) {
        guard terms.admits(peer) else {
            listener.count("access_denied")
            close(client)
            return
        }
        guard listener.takePlace(of: terms.maxConnections) else {
            close(client)
            return
        }
        let stream = Stream(
            on: loop, table: listener.table, handler: handler, limits: terms.limits, peer: peer, listener: listener)
        listener.table.insert(stream)
        guard let make = terms.layers else { return stream.attach(client, layers: nil) }
        guard let layers = make() else {
            close(client)
            return stream.abort(.layer("tls_unavailable"))
        }
        stream.attach(client, layers: layers)
    }

    private func rest() {
        guard let watch, pause == nil else { return }
        loop.rewatch(watch, events: 0)
        pause = loop.after(Self.rest) { [weak self] in
            guard let self else { return }
            pause = nil
            if let watch = self.watch { loop.rewatch(watch, events: UInt32(CR_IN)) }
        }
    }
}
