// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
public import Reactor

/// Turns names into addresses, away from the loops, and tells on any thread. An empty answer: there are none. False:
/// it is too busy to begin.
public typealias Resolver =
    @Sendable (
        _ host: String, _ port: UInt16, _ done: @escaping @Sendable ([SocketAddress]) -> Void
    ) -> Bool

/// An outgoing connection that is not up yet.
struct Dialing {
    var addresses: [SocketAddress]
    var layers: (() -> LayerStack?)?
    var fd: Int32 = -1
    var watch: UInt64?
    var lastError: Int32 = 0

    mutating func cancel(on loop: EventLoop) {
        if let watch { loop.unwatch(watch) }
        if fd >= 0 { close(fd) }
        watch = nil
        fd = -1
    }
}

extension StreamTable {
    /// [any] An outgoing connection; `dial` begins it, and until then nothing is called.
    public func outgoing(
        on loop: EventLoop, _ handler: any StreamHandler, _ limits: StreamLimits, name: String = ""
    ) -> Stream {
        let stream = Stream(on: loop, table: self, handler: handler, limits: limits, name: name)
        insert(stream)
        return stream
    }
}

extension Stream {
    /// [any] Connects to `host:port`. What goes wrong is told by `closed`.
    /// - Parameter layers: makes what stands between the socket and the handler, on the loop; nil: they cannot be had.
    public func dial(
        _ host: String, _ port: UInt16, resolver: Resolver, layers: (@Sendable () -> LayerStack?)? = nil
    ) {
        loop.post { [self] in
            guard phase == .connecting else { return }
            dialing = Dialing(addresses: [], layers: layers)
            armConnectTimer()
        }
        if let address = SocketAddress(host: host, port: port) {
            loop.post { self.found([address], host) }
            return
        }
        let loop = loop
        let begun = resolver(host, port) { addresses in loop.post { self.found(addresses, host) } }
        if !begun { loop.post { self.abort(.failed(errno: EAGAIN)) } }
    }

    private func found(_ addresses: [SocketAddress], _ host: String) {
        guard phase == .connecting, dialing != nil else { return }
        guard !addresses.isEmpty else { return abort(.nameNotFound(host)) }
        dialing?.addresses = addresses
        tryNext()
    }

    /// The addresses in their order; the last refusal is the one that is told.
    private func tryNext() {
        guard phase == .connecting, dialing != nil else { return }
        guard let address = dialing!.addresses.first else { return abort(.failed(errno: dialing!.lastError)) }
        dialing!.addresses.removeFirst()
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let fd = socket(address.family, type, 0)
        guard fd >= 0 else { return refused(errno) }
        BoundSockets.set(fd, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        dialing!.fd = fd
        learn(peer: address)
        if address.withPointer({ Glibc.connect(fd, $0, $1) }) == 0 { return connected() }
        guard errno == EINPROGRESS else { return refused(errno) }
        dialing!.watch = loop.watch(fd: fd, events: UInt32(CR_OUT)) { [unowned self] _ in settled() }
        if dialing!.watch == nil { refused(errno) }
    }

    private func settled() {
        guard let fd = dialing?.fd, fd >= 0 else { return }
        var code: Int32 = 0
        var length = socklen_t(4)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length)
        if code == 0 { connected() } else { refused(code) }
    }

    private func refused(_ code: Int32) {
        dialing?.cancel(on: loop)
        dialing?.lastError = code
        tryNext()
    }

    private func connected() {
        guard var dialing else { return }
        if let watch = dialing.watch { loop.unwatch(watch) }
        let fd = dialing.fd
        dialing.fd = -1
        dialing.watch = nil
        self.dialing = dialing
        guard let make = dialing.layers else { return attach(fd, layers: nil) }
        guard let layers = make() else {
            Glibc.close(fd)
            return abort(.layer("tls_unavailable"))
        }
        attach(fd, layers: layers)
    }
}
