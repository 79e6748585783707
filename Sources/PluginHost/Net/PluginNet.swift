// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import CReactor
import Glibc
import Reactor
import Sockets
import Synchronization

/// What one plugin instance has of the network.
final class PluginNet: @unchecked Sendable {
    /// Callbacks wait: another image is about to take over.
    let isHeld = Atomic<Bool>(false)
    /// [main]
    var listeners: [martlet_token: NetListener] = [:]
    /// UDP listeners once more, for `sendto` from any thread.
    let datagrams = Mutex<[martlet_token: DatagramListener]>([:])
    private let dials = Mutex<Dials>(Dials())

    static let listenerLimit = 256
    static let dialLimit = 10_000

    private struct Dials {
        /// Outgoing connections that are not over.
        var count = 0
        var named: [String: martlet_conn] = [:]
        /// Made while the plugin starts: dialed once it runs.
        var waiting: [@Sendable () -> Void] = []
        /// Connections of the predecessor that this instance asked for, with what they will call then.
        var claims: [String: (handler: ConnectionHandler, connection: martlet_conn)] = [:]
        var isClosed = false
    }

    // MARK: - Outgoing connections, any thread

    enum Entry { case entered, nameTaken, full, ended }

    /// Enters a new outgoing connection and dials, or keeps `dial` for later.
    func enter(_ stream: Stream, now: Bool, _ dial: @escaping @Sendable () -> Void) -> Entry {
        let entry = dials.withLock { dials -> Entry in
            if dials.isClosed { return .ended }
            if dials.count >= Self.dialLimit { return .full }
            if !stream.name.isEmpty {
                if dials.named[stream.name] != nil || dials.claims[stream.name] != nil { return .nameTaken }
                dials.named[stream.name] = stream.handle
            }
            dials.count += 1
            if !now { dials.waiting.append(dial) }
            return .entered
        }
        if entry == .entered && now { dial() }
        return entry
    }

    func forget(_ stream: Stream) {
        dials.withLock { dials in
            dials.count -= 1
            if dials.named[stream.name] == stream.handle { dials.named[stream.name] = nil }
        }
    }

    func dialed(_ name: String) -> martlet_conn? { dials.withLock { $0.named[name] } }

    /// False: it was claimed before.
    func claim(_ name: String, _ handler: ConnectionHandler, _ connection: martlet_conn) -> Bool {
        dials.withLock { dials in
            guard dials.claims[name] == nil, dials.named[name] == nil else { return false }
            dials.claims[name] = (handler, connection)
            return true
        }
    }

    /// [loop] What a connection of the predecessor calls from now on; it is this instance's now.
    func inherit(_ stream: Stream, from old: PluginNet) -> ConnectionHandler? {
        let handler = dials.withLock { dials -> ConnectionHandler? in
            guard let (handler, _) = dials.claims.removeValue(forKey: stream.name) else { return nil }
            dials.named[stream.name] = stream.handle
            dials.count += 1
            return handler
        }
        if handler != nil { old.forget(stream) }
        return handler
    }

    /// [main] The plugin runs: dials what it asked for while it started.
    func dialWaiting() {
        let waiting = dials.withLock { dials in
            defer { dials.waiting = [] }
            return dials.waiting
        }
        for dial in waiting { dial() }
    }

    /// [main] No more connections; claims that nobody met are void.
    func close() {
        dials.withLock { dials in
            dials.isClosed = true
            dials.waiting = []
            dials.claims = [:]
        }
    }

    /// [main] Connections that were claimed and ended before they could be had.
    func lost() -> [(handler: ConnectionHandler, connection: martlet_conn)] {
        dials.withLock { dials in
            defer { dials.claims = [:] }
            return Array(dials.claims.values)
        }
    }

    var dialCount: Int { dials.withLock { $0.count } }
}

/// One registration of listen_tcp or listen_udp. [main]
final class NetListener: @unchecked Sendable {
    enum Socket {
        case tcp(StreamListener, ConnectionHandler, StreamTerms)
        case udp(DatagramListener, DatagramFunction, DatagramTerms)
    }

    let token: martlet_token
    let name: String
    /// As the plugin asked for it; port 0 is not resolved here.
    let wanted: SocketAddress
    let socket: Socket
    /// Nil: its bytes are plain.
    let tls: ListenerProfile?
    let maxConnections: Int
    /// The socket is the predecessor's until the new image runs, and was given away once it does.
    var isSocketOurs: Bool

    init(
        _ token: martlet_token, _ name: String, _ wanted: SocketAddress, _ socket: Socket, _ tls: ListenerProfile?,
        maxConnections: Int, isOurs: Bool
    ) {
        self.token = token
        self.name = name
        self.wanted = wanted
        self.socket = socket
        self.tls = tls
        self.maxConnections = maxConnections
        isSocketOurs = isOurs
    }

    var address: SocketAddress {
        switch socket {
        case .tcp(let listener, _, _): listener.address
        case .udp(let listener, _, _): listener.address
        }
    }

    func start() {
        switch socket {
        case .tcp(let listener, _, _): listener.start()
        case .udp(let listener, _, _): listener.start()
        }
    }

    func stop() {
        guard isSocketOurs else { return }
        isSocketOurs = false
        switch socket {
        case .tcp(let listener, _, _): listener.stop()
        case .udp(let listener, _, _): listener.stop()
        }
    }
}

extension PluginHost {
    // MARK: - Life of a plugin's sockets. [main]

    /// Its listeners take clients from now on.
    func openSockets(of instance: PluginInstance) {
        for listener in instance.net.listeners.values.sorted(by: { $0.token < $1.token }) { listener.start() }
        instance.net.dialWaiting()
        let lost = instance.net.lost()
        guard !lost.isEmpty else { return }
        streams.loops[0].sync { for (handler, connection) in lost { handler.lost(connection) } }
    }

    /// Its listeners are closed, and `closed` has been called for all its connections when this returns.
    func closeSockets(of instance: PluginInstance) {
        let net = instance.net
        net.close()
        net.isHeld.store(false, ordering: .releasing)
        for listener in net.listeners.values { listener.stop() }
        if streams.count(of: instance.owner) > 0 { streams.stop(owner: instance.owner) }
        net.datagrams.withLock { $0 = [:] }
        net.listeners = [:]
    }

    /// Between the start of the new image and the swap of the chains, perhaps with the loops held: the old image's
    /// callbacks wait, and the first thing each loop does is to give its connections to the new image.
    func handOverSockets(from old: PluginInstance, to new: PluginInstance) {
        guard !old.net.listeners.isEmpty || old.net.dialCount > 0 else { return }
        old.net.isHeld.store(true, ordering: .sequentiallyConsistent)
        let pairs = new.net.listeners.values.compactMap { listener in
            old.net.listeners.values.first { $0.matches(listener) }.map { (old: $0, new: listener) }
        }
        for pair in pairs where pair.old.hasSocket(of: pair.new) {
            pair.old.isSocketOurs = false
            pair.new.isSocketOurs = true
        }
        let handOver = HandOver(old: old, new: new, pairs: pairs)
        for loop in streams.loops { loop.post { handOver.run(on: loop) } }
    }
}

extension NetListener {
    /// The same door in another image.
    fileprivate func matches(_ other: NetListener) -> Bool {
        guard name == other.name else { return false }
        switch (socket, other.socket) {
        case (.tcp, .tcp), (.udp, .udp): return true
        default: return false
        }
    }

    /// It found the socket of this one usable.
    fileprivate func hasSocket(of other: NetListener) -> Bool {
        switch (socket, other.socket) {
        case (.tcp(let mine, _, _), .tcp(let theirs, _, _)): mine === theirs
        case (.udp(let mine, _, _), .udp(let theirs, _, _)): mine === theirs
        default: false
        }
    }
}

/// Gives listeners and connections of one image to another, loop by loop.
private final class HandOver: @unchecked Sendable {
    private let old: PluginInstance
    private let new: PluginInstance
    private let pairs: [(old: NetListener, new: NetListener)]

    init(old: PluginInstance, new: PluginInstance, pairs: [(old: NetListener, new: NetListener)]) {
        self.old = old
        self.new = new
        self.pairs = pairs
    }

    func run(on loop: EventLoop) {
        for pair in pairs {
            switch pair.new.socket {
            case .tcp(let listener, let handler, let terms): listener.change(to: handler, terms, on: loop)
            case .udp(let listener, let function, let terms): listener.change(to: function, terms, on: loop)
            }
        }
        new.host.streams.change(of: old.owner, on: loop, pick: heir) { stream, before in
            let state = (before as? ConnectionHandler)?.leave(stream) ?? []
            (stream.handler as? ConnectionHandler)?.rebind(stream, state)
        }
    }

    private func heir(of stream: Stream) -> (handler: any StreamHandler, listener: StreamListener?)? {
        guard let listener = stream.listener else {
            return new.net.inherit(stream, from: old.net).map { ($0, nil) }
        }
        for pair in pairs {
            guard case .tcp(let before, _, _) = pair.old.socket, before === listener,
                case .tcp(let after, let handler, _) = pair.new.socket, handler.canRebind
            else { continue }
            return (handler, after)
        }
        return nil
    }
}
