// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Glibc
import Reactor
import Sockets
import Synchronization
import TLS
import WebSocket

/// Options of one listener, as the configuration names them.
public struct ListenerOptions: Sendable {
    /// "tcp:external": type and name.
    public var name: String
    public var host: String
    public var port: UInt16
    public var backlog: Int32 = 1024
    public var noDelay = true
    public var reuseAddress = true
    /// Bytes; 0: the system's.
    public var receiveBuffer: Int32 = 0
    public var sendBuffer: Int32 = 0
    public var maxConnections = 1_024_000
    /// Connections accepted in a second, by all loops together; 0: no limit.
    public var maxConnectionRate = 0
    /// Bytes a client may send.
    public var rateLimit = RateLimit.none
    public var access: [AccessRule] = []
    public var proxyProtocol = false
    /// Milliseconds in which the proxy's header must be complete.
    public var proxyTimeout: UInt64 = 3000
    /// Milliseconds after which a client that takes nothing is closed; 0: never.
    public var sendTimeout: UInt64 = 15_000
    public var zone = 0
    public var mountpoint = ""
    /// Nil: the clients' bytes are not encrypted.
    public var tls: TLSOptions?
    /// Milliseconds in which handshakes must be over.
    public var handshakeTimeout: UInt64 = 15_000
    /// TLS handshakes under way at once; beyond it the oldest ends.
    public var maxHandshakes = 4096
    public var certificateName = CertificateName.unused
    /// What a client that speaks WebSocket must ask for; nil: MQTT without it.
    public var webSocket: UpgradeTerms?

    public init(name: String, host: String, port: UInt16) {
        self.name = name
        self.host = host
        self.port = port
    }

    /// "0.0.0.0:1883", "[::1]:1883"
    public var address: String { host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Why a listener could not be opened, in one sentence.
public struct ListenerError: Error, CustomStringConvertible {
    public var description: String
}

/// One address, one accepting socket a loop: the kernel deals connections out (SO_REUSEPORT), and a connection stays
/// on the loop that accepted it.
public final class Listener: @unchecked Sendable {
    public let options: ListenerOptions
    public let number: UInt16
    public private(set) var isOpen = false
    let broker: Broker
    let access: AccessList
    let door: TLSDoor?
    private let unanswered = UnansweredPings()
    private var sockets: [Acceptor] = []
    private let rate: Mutex<AcceptRate>
    /// Times an accepting socket was paused, and when the log was last told of a failure (ms).
    private let pauses = Mutex<(count: Int, toldAt: UInt64)>((0, 0))

    /// - Parameter keys: finds the shared keys of clients that come with one.
    public init(_ options: ListenerOptions, broker: Broker, keys: TLSContext.KeyLookup? = nil) {
        self.options = options
        door = options.tls.map { TLSDoor($0, options, loops: broker.loopCount, keys: keys) }
        self.broker = broker
        access = AccessList(rules: options.access)
        rate = Mutex(AcceptRate(perSecond: options.maxConnectionRate))
        var terms = ListenerTerms(name: options.name)
        terms.zone = options.zone
        terms.mountpoint = options.mountpoint
        terms.maxConnections = options.maxConnections
        terms.rateLimit = options.rateLimit
        terms.sendTimeout = options.sendTimeout
        terms.handshakeTimeout = options.handshakeTimeout
        terms.certificateName = options.certificateName
        number = broker.addListener(terms)
    }

    /// [main] Binds and listens on every loop. Either all sockets are open afterwards or none.
    /// - Parameter beside: another listener of this broker has the port, perhaps on every interface.
    public func open(beside: Bool = false) throws(ListenerError) {
        guard let address = SocketAddress(host: options.host, port: options.port) else {
            throw ListenerError(
                description: "\(options.address) is not an address to listen on: give an IPv4 or IPv6 address and a "
                    + "port.")
        }
        do { try door?.load() } catch { throw ListenerError(description: "Listener \(options.name): \(error)") }
        if !beside { try probe(address) }
        var fds: [Int32] = []
        for _ in 0..<broker.loopCount {
            do {
                fds.append(try bind(address))
            } catch {
                for fd in fds { close(fd) }
                throw error
            }
        }
        sockets = fds.enumerated().map { Acceptor(fd: $1, on: broker.loop($0), of: self) }
        for socket in sockets { socket.start() }
        isOpen = true
    }

    /// Accepting sockets, one a loop.
    public var acceptors: Int { sockets.count }

    public var counts: (current: Int, shutdowns: [String: Int]) { broker.listenerCounts(number) }

    /// Pings of WebSocket clients that got no pong, for the client does not read; nil: MQTT alone is spoken.
    public var unansweredPings: Int? {
        options.webSocket == nil ? nil : unanswered.count.load(ordering: .relaxed)
    }

    /// Times accepting was paused: over `max_conn_rate`, or because the system had no descriptor left.
    public var pauseCount: Int { pauses.withLock { $0.count } }

    /// [main] Takes no more clients; those that are in stay.
    public func stop() {
        for socket in sockets { socket.stop() }
        sockets = []
        isOpen = false
    }

    /// [main] Reads certificates and keys again: new handshakes use them, connections stay. What cannot be used is
    /// refused, and the old ones stay in force.
    public func reloadCertificates() throws(TLSError) { try door?.load() }

    /// When the first of its certificates ends, seconds since 1970; nil without one.
    public var certificateEnd: Int64? { door?.context?.notAfter }

    // MARK: - For the accepting sockets, on any loop

    /// 0: a connection may be accepted now, otherwise milliseconds until there may be one. All loops share the rate.
    func mayAccept() -> UInt64 { hasRate ? rate.withLock { $0.take(now: cr_clock_ms()) } : 0 }

    /// What stands between a client's socket and MQTT; nil: nothing. On the loop that accepted it.
    /// - Parameter proxied: the common name in the certificate that a proxy in front has verified.
    func makeLayers(_ peer: PeerAddress, proxied: String? = nil) -> LayerStack? {
        var layers: [StreamLayer] = []
        if door != nil {
            layers.append(ListenerTLS(self, peer))
        } else if let proxied, options.certificateName != .unused {
            layers.append(ProxiedCertificate(proxied))
        }
        if let terms = options.webSocket { layers.append(WebSocketLayer(terms, access: access, unanswered)) }
        return layers.isEmpty ? nil : LayerStack(layers)
    }

    func acceptedNone() { if hasRate { rate.withLock { $0.giveBack() } } }

    private var hasRate: Bool { options.maxConnectionRate > 0 }

    func countPause() { pauses.withLock { $0.count += 1 } }

    /// True once a minute.
    func mayTell() -> Bool {
        pauses.withLock { state in
            let now = cr_clock_ms()
            guard state.toldAt == 0 || now >= state.toldAt + 60_000 else { return false }
            state.toldAt = now
            return true
        }
    }

    // MARK: - Sockets

    /// SO_REUSEPORT would let a second broker of the same user share the address, and the kernel would deal clients
    /// out to both. A socket without it is refused as soon as anybody listens there.
    private func probe(_ address: SocketAddress) throws(ListenerError) {
        let fd = socket(address.family, Self.streamSocket, 0)
        guard fd >= 0 else { throw failure("no socket could be made", errno) }
        defer { close(fd) }
        if options.reuseAddress { set(fd, SOL_SOCKET, SO_REUSEADDR, 1) }
        guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0 else {
            let error = errno
            if error == EADDRINUSE, options.reuseAddress, !PortUse.isListenedOn(options.port) { return }
            throw failure("it could not be bound", error)
        }
    }

    private func bind(_ address: SocketAddress) throws(ListenerError) -> Int32 {
        let fd = socket(address.family, Self.streamSocket | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard fd >= 0 else { throw failure("no socket could be made", errno) }
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1)
        if options.reuseAddress { set(fd, SOL_SOCKET, SO_REUSEADDR, 1) }
        // Inherited by what is accepted: no call per connection.
        if options.noDelay { set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        if options.receiveBuffer > 0 { set(fd, SOL_SOCKET, SO_RCVBUF, options.receiveBuffer) }
        if options.sendBuffer > 0 { set(fd, SOL_SOCKET, SO_SNDBUF, options.sendBuffer) }
        guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0, listen(fd, options.backlog) == 0 else {
            let error = failure("it could not be bound", errno)
            close(fd)
            throw error
        }
        return fd
    }

    /// Ordered, lossless and a stream of bytes. [MQTT-4.2-1]
    private static let streamSocket = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

    private func set(_ fd: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(fd, level, option, &value, 4)
    }

    private func failure(_ what: String, _ error: Int32) -> ListenerError {
        var reason = String(cString: strerror(error))
        if error == EADDRINUSE {
            reason = PortUse.reason(options.port, shared: options.reuseAddress)
        }
        return ListenerError(description: "Listener \(options.name) on \(options.address): \(what): \(reason).")
    }
}
