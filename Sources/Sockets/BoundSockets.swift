// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Sockets of one address, one for each loop: SO_REUSEPORT lets the kernel deal clients out, and a peer stays on the
/// loop it was dealt to.
public enum BoundSockets {
    public enum Kind: Sendable { case tcp(backlog: Int32), udp }

    /// Either all sockets or none. Port 0 is resolved once and shared.
    public static func open(
        _ address: SocketAddress, _ kind: Kind, count: Int
    ) throws(SocketError) -> (fds: [Int32], address: SocketAddress) {
        if address.port != 0 { try probe(address, kind) }
        var fds: [Int32] = []
        var place = address
        for _ in 0..<count {
            do throws(SocketError) {
                fds.append(try bind(place, kind))
            } catch {
                for fd in fds { close(fd) }
                throw error
            }
            if place.port == 0, let found = SocketAddress.of(fds[0]) { place = found }
        }
        return (fds, place)
    }

    /// SO_REUSEPORT would let a second broker of the same user share the address, and the kernel would deal clients
    /// out to both. A socket without it is refused as soon as anybody listens there.
    private static func probe(_ address: SocketAddress, _ kind: Kind) throws(SocketError) {
        let fd = try make(address, kind)
        defer { close(fd) }
        if case .tcp = kind { set(fd, SOL_SOCKET, SO_REUSEADDR, 1) }
        guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0 else {
            let code = errno
            if code == EADDRINUSE, case .tcp = kind, !PortUse.isListenedOn(address.port) { return }
            throw refusal(address, kind, code)
        }
    }

    private static func bind(_ address: SocketAddress, _ kind: Kind) throws(SocketError) -> Int32 {
        let fd = try make(address, kind)
        set(fd, SOL_SOCKET, SO_REUSEPORT, 1)
        var backlog: Int32?
        switch kind {
        case .tcp(let wanted):
            set(fd, SOL_SOCKET, SO_REUSEADDR, 1)
            // Inherited by what is accepted: no call per connection.
            set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            backlog = wanted
        case .udp:
            // Asks the kernel to tell how many datagrams it dropped because nobody was quick enough.
            set(fd, SOL_SOCKET, 40 /* SO_RXQ_OVFL */, 1)
        }
        guard address.withPointer({ Glibc.bind(fd, $0, $1) }) == 0, backlog.map({ listen(fd, $0) == 0 }) ?? true else {
            let error = refusal(address, kind, errno)
            close(fd)
            throw error
        }
        return fd
    }

    private static func make(_ address: SocketAddress, _ kind: Kind) throws(SocketError) -> Int32 {
        var type = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        switch kind {
        case .tcp: type |= Int32(SOCK_STREAM.rawValue)
        case .udp: type |= Int32(SOCK_DGRAM.rawValue)
        }
        let fd = socket(address.family, type, 0)
        guard fd >= 0 else {
            throw SocketError("no socket could be made: \(String(cString: strerror(errno)))", code: errno)
        }
        return fd
    }

    static func set(_ fd: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(fd, level, option, &value, 4)
    }

    private static func refusal(_ address: SocketAddress, _ kind: Kind, _ code: Int32) -> SocketError {
        var reason = String(cString: strerror(code))
        if code == EADDRINUSE {
            reason = PortUse.anotherProgram
            if case .tcp = kind { reason = PortUse.reason(address.port) }
        }
        return SocketError("\(address.text) cannot be bound: \(reason)", code: code)
    }
}
