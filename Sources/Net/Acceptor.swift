// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import CReactor
import Glibc
import Reactor

/// A listener's socket on one loop: accepts, looks who it is, and hands over. All but `start` and `stop` on that loop.
final class Acceptor: @unchecked Sendable {
    private let fd: Int32
    private let loop: EventLoop
    /// Not counted, for all loops would count in one place, with each connection: it stops its acceptors before it goes.
    private let owner: Unmanaged<Listener>
    private var watch: UInt64?
    private var pause: UInt64?
    private var turn = AcceptTurn(most: Acceptor.batch)
    /// Accepted in one turn at most, so that a storm of connections does not starve those that are in.
    private static let batch = 64
    /// Milliseconds without accepting when the system has no descriptor left: waiting clients stay in the backlog, and
    /// a level-triggered watch would spin on them.
    private static let rest: UInt64 = 100

    init(fd: Int32, on loop: EventLoop, of listener: Listener) {
        self.fd = fd
        self.loop = loop
        owner = .passUnretained(listener)
    }

    /// [main]
    func start() {
        loop.sync { [self] in
            watch = loop.watch(fd: fd, events: UInt32(CR_IN)) { [unowned self] _ in
                turn.isOver(tookAll: accept(turn.size(tick: loop.ticks)))
            }
        }
    }

    /// [main] Who is in the backlog already was told that it is connected and has said something: it still gets in. Closed
    /// right behind the last look, because whoever comes in between is reset.
    func stop() {
        loop.sync { [self] in
            for _ in 0..<1024 { guard pause == nil, accept(Self.batch) else { break } }
            if let pause { loop.cancel(timer: pause) }
            if let watch { loop.unwatch(watch) }
            watch = nil
            close(fd)
        }
    }

    /// True when all these were there: there may be more to accept.
    private func accept(_ most: Int) -> Bool {
        owner._withUnsafeGuaranteedRef { accept(most, for: $0) }
    }

    private func accept(_ most: Int, for listener: Listener) -> Bool {
        for _ in 0..<most {
            let wait = listener.mayAccept()
            if wait > 0 {
                pause(for: wait, listener)
                return false
            }
            var address = sockaddr_storage()
            var length = UInt32(MemoryLayout<sockaddr_storage>.size)
            let client = cr_accept(fd, &address, &length)
            if client >= 0 {
                welcome(client, &address, listener)
                continue
            }
            let code = cr_errno()
            listener.acceptedNone()
            if code == EAGAIN { return false }
            if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) {
                exhausted(code, listener)
                return false
            }
            // Anything else is about one connection that is gone again.
        }
        return true
    }

    private func welcome(_ client: Int32, _ address: UnsafePointer<sockaddr_storage>, _ listener: Listener) {
        let peer = PeerAddress(address)
        let broker = listener.broker
        guard listener.access.allows(peer) else {
            broker.countShutdown(listener.number, "access_denied")
            close(client)
            return
        }
        guard broker.takePlace(listener.number) else {
            close(client)
            return
        }
        if listener.options.proxyProtocol {
            ProxyWait(fd: client, proxy: peer, on: loop, of: listener).begin()
        } else {
            broker.accept(fd: client, peer: peer, listener: listener.number, layers: listener.makeLayers(peer))
        }
    }

    // MARK: - Pauses

    private func exhausted(_ code: Int32, _ listener: Listener) {
        pause(for: Self.rest, listener)
        guard listener.mayTell() else { return }
        let reason = String(cString: strerror(code))
        let advice = code == EMFILE ? " Raise the broker's limit of open files (ulimit -n, LimitNOFILE)." : ""
        listener.broker.events.log(
            Int32(MARTLET_LOG_ERROR),
            "Listener \(listener.options.name) on \(listener.options.address) cannot accept connections: \(reason); "
                + "clients wait until some are free.\(advice)")
    }

    private func pause(for ms: UInt64, _ listener: Listener) {
        guard let watch, pause == nil else { return }
        listener.countPause()
        loop.rewatch(watch, events: 0)
        pause = loop.after(ms) { [weak self] in
            guard let self else { return }
            pause = nil
            if let watch = self.watch { loop.rewatch(watch, events: UInt32(CR_IN)) }
        }
    }
}

/// How many connections to accept in a turn. To learn that there is no further one costs the kernel nearly what one
/// costs that is there, and the watch is level-triggered: a turn takes one, and more only where turns that follow
/// each other found all they looked for.
struct AcceptTurn {
    private let most: Int
    private var current = 1
    private var full = 0
    private var lastTick: UInt64 = 0
    /// Full turns in a row before the next is twice as large.
    private static let patience = 4

    init(most: Int) { self.most = most }

    mutating func size(tick: UInt64) -> Int {
        if tick != lastTick &+ 1 { isOver(tookAll: false) }
        lastTick = tick
        return current
    }

    /// - Parameter tookAll: the turn found as many as it looked for.
    mutating func isOver(tookAll: Bool) {
        guard tookAll else {
            (current, full) = (1, 0)
            return
        }
        full += 1
        if full == Self.patience { (current, full) = (min(current * 2, most), 0) }
    }
}
