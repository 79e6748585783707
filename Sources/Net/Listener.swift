// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Glibc
import Reactor

/// Options of one TCP listener, as the configuration names them.
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
    public var zone = 0
    public var mountpoint = ""

    public init(name: String, host: String, port: UInt16) {
        self.name = name
        self.host = host
        self.port = port
    }
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
    private let broker: Broker
    private var sockets: [(loop: Int, fd: Int32, watch: UInt64)] = []
    /// Accepted in one turn at most, so that a storm of connections does not starve those that are in.
    private static let batch = 64

    public init(_ options: ListenerOptions, broker: Broker) {
        self.options = options
        self.broker = broker
        number = broker.addListener(
            name: options.name, zone: options.zone, mountpoint: options.mountpoint,
            maxConnections: options.maxConnections)
    }

    /// Binds and listens on every loop. Either all sockets are open afterwards or none.
    public func open() throws(ListenerError) {
        let address = try SocketAddress(options.host, options.port)
        try probe(address)
        var fds: [Int32] = []
        for _ in 0..<broker.loopCount {
            do {
                fds.append(try bind(address))
            } catch {
                for fd in fds { close(fd) }
                throw error
            }
        }
        for (i, fd) in fds.enumerated() { attach(fd, to: i) }
        isOpen = true
    }

    /// Accepting sockets, one a loop.
    public var acceptors: Int { sockets.count }

    public var counts: (current: Int, shutdowns: [String: Int]) { broker.listenerCounts(number) }

    /// Takes no more clients; those that are in stay.
    public func stop() {
        for socket in sockets {
            let loop = broker.loop(socket.loop)
            loop.sync { loop.unwatch(socket.watch) }
            close(socket.fd)
        }
        sockets = []
        isOpen = false
    }

    private func attach(_ fd: Int32, to i: Int) {
        let loop = broker.loop(i)
        nonisolated(unsafe) var watch: UInt64 = 0
        loop.sync { [self] in
            watch = loop.watch(fd: fd, events: UInt32(CR_IN)) { [unowned self] _ in accept(fd) } ?? 0
        }
        sockets.append((i, fd, watch))
    }

    private func accept(_ fd: Int32) {
        for _ in 0..<Self.batch {
            var address = sockaddr_storage()
            var length = UInt32(MemoryLayout<sockaddr_storage>.size)
            let client = cr_accept(fd, &address, &length)
            guard client >= 0 else { return }
            broker.accept(fd: client, address: &address, listener: number)
        }
    }

    /// SO_REUSEPORT would let a second broker of the same user share the address, and the kernel would deal clients
    /// out to both. A socket without it is refused as soon as anybody listens there.
    private func probe(_ address: SocketAddress) throws(ListenerError) {
        let fd = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw failure("no socket could be made") }
        defer { close(fd) }
        if options.reuseAddress { set(fd, SOL_SOCKET, SO_REUSEADDR, 1) }
        guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0 else { throw failure("it could not be bound") }
    }

    private func bind(_ address: SocketAddress) throws(ListenerError) -> Int32 {
        let fd = socket(address.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard fd >= 0 else { throw failure("no socket could be made") }
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1)
        if options.reuseAddress { set(fd, SOL_SOCKET, SO_REUSEADDR, 1) }
        // Inherited by what is accepted: no call per connection.
        if options.noDelay { set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        if options.receiveBuffer > 0 { set(fd, SOL_SOCKET, SO_RCVBUF, options.receiveBuffer) }
        if options.sendBuffer > 0 { set(fd, SOL_SOCKET, SO_SNDBUF, options.sendBuffer) }
        guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0, listen(fd, options.backlog) == 0 else {
            let error = failure("it could not be bound")
            close(fd)
            throw error
        }
        return fd
    }

    private func set(_ fd: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(fd, level, option, &value, 4)
    }

    private func failure(_ what: String) -> ListenerError {
        let reason = errno == EADDRINUSE ? "another program uses this address" : String(cString: strerror(errno))
        return ListenerError(
            description: "Listener \(options.name) on \(options.host):\(options.port): \(what): \(reason).")
    }
}

/// An address to bind: numeric IPv4 or IPv6, or `*`, `localhost`.
struct SocketAddress {
    var storage = sockaddr_storage()
    var length: socklen_t
    var family: Int32

    init(_ host: String, _ port: UInt16) throws(ListenerError) {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        let name = host == "localhost" ? "127.0.0.1" : host == "*" || host.isEmpty ? "0.0.0.0" : host
        if inet_pton(AF_INET, name, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            family = AF_INET
            withUnsafeMutableBytes(of: &storage) { to in withUnsafeBytes(of: &v4) { to.copyMemory(from: $0) } }
        } else if inet_pton(AF_INET6, name, &v6.sin6_addr) == 1 {
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            family = AF_INET6
            withUnsafeMutableBytes(of: &storage) { to in withUnsafeBytes(of: &v6) { to.copyMemory(from: $0) } }
        } else {
            throw ListenerError(
                description: "\(host):\(port) is not an address to listen on: give an IPv4 or IPv6 address and a port.")
        }
    }

    func withPointer<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
