// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Net
import Reactor
import Synchronization
public import TLS

/// Why an HTTP listener could not be opened, in one sentence.
public struct HTTPListenerError: Error, CustomStringConvertible {
    public var description: String
}

/// One HTTP listener: its socket, the connections that came in by it, and their limits.
public final class Door: @unchecked Sendable {
    public let options: HTTPListenerOptions
    unowned let server: HTTPServer
    let access: AccessList

    private struct State {
        var listening: (any Channel)?
        /// The last one that `stop` has taken away.
        var closing: (any Channel)?
        var current = 0
        var shutdowns: [String: Int] = [:]
        /// Times accepting was paused.
        var pauses = 0
        /// The certificates that the next connection gets.
        var tls: TLSContext?
    }

    private let state = Mutex(State())
    /// The connections, by their channel. These four are the server's loop's.
    private var keepers: [ObjectIdentifier: Keeper] = [:]
    /// Those that Hummingbird has not taken over yet.
    private var arriving: [ObjectIdentifier: DoorChannel.Value] = [:]
    private var lastNumber: UInt64 = 0
    private var rate: AcceptRate?
    private lazy var room = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    init(_ options: HTTPListenerOptions, of server: HTTPServer) {
        self.options = options
        self.server = server
        access = AccessList(rules: options.access)
        rate = options.maxConnectionRate > 0 ? AcceptRate(perSecond: options.maxConnectionRate) : nil
    }

    deinit { if isSecure { room.deallocate() } }

    public var isOpen: Bool { state.withLock { $0.listening != nil } }

    /// Connections, why those that ended did, and how often accepting was paused.
    public var counts: (current: Int, shutdowns: [String: Int], pauses: Int) {
        state.withLock { ($0.current, $0.shutdowns, $0.pauses) }
    }

    public var isSecure: Bool { options.tls != nil }

    /// When the first of its certificates ends, seconds since 1970.
    public var certificateEnd: Int64? { state.withLock { $0.tls?.notAfter } }

    /// [main] Reads the certificates; those who are connected keep theirs. On a throw nothing changes.
    public func reloadCertificates() throws(TLSError) {
        guard let tls = options.tls else { return }
        let context = try TLSContext(tls, scope: options.fullName)
        state.withLock { $0.tls = context }
    }

    var now: UInt64 { cr_clock_ms() }

    // MARK: - Opening and closing

    /// [main] Binds and listens; waits until that is done or has failed.
    public func open() throws(HTTPListenerError) {
        guard !isOpen else { return }
        do throws(TLSError) {
            try reloadCertificates()
        } catch {
            throw HTTPListenerError(description: "Listener \(options.fullName) on \(options.address): \(error)")
        }
        let begun = Begin()
        let configuration = ServerConfiguration(
            address: .hostname(options.host, port: Int(options.port)), backlog: options.backlog,
            reuseAddress: options.reuseAddress)
        let hummingbird = Server(
            childChannelSetup: DoorChannel(door: self), configuration: configuration,
            onServerRunning: { channel in
                // One at a time: after any of them accepting may have to pause.
                channel.setOption(.maxMessagesPerRead, value: 1).whenComplete { _ in begun.end(.success(channel)) }
            }, eventLoopGroup: server.group,
            logger: Logger(label: options.fullName) { _ in SwiftLogNoOpLogHandler() })
        Task.detached(executorPreference: server.executor) {
            do { try await hummingbird.run() } catch { begun.end(.failure(error)) }
        }
        switch begun.wait() {
        case .success(let channel): state.withLock { $0.listening = channel }
        case .failure(let error): throw HTTPListenerError(description: sentence(error))
        }
    }

    private func sentence(_ error: any Error) -> String {
        var reason = "\(error)"
        if let error = error as? IOError {
            reason =
                error.errnoCode == EADDRINUSE
                ? "another program uses this address" : String(cString: strerror(error.errnoCode))
        }
        return "Listener \(options.fullName) on \(options.address): it could not be bound: \(reason)."
    }

    /// [main] Takes no more clients; those that are in stay.
    public func stop() {
        let channel = state.withLock { state in
            state.closing = state.listening
            state.listening = nil
            return state.closing
        }
        guard let channel else { return }
        // Who is let in takes two turns of NIO's loop to reach Hummingbird, and would be lost on the way.
        let loop = channel.eventLoop
        let isQuiet = channel.setOption(.autoRead, value: false).flatMap { loop.submit {} }.flatMap { loop.submit {} }
        try? isQuiet.flatMap { channel.close() }.wait()
    }

    /// [server's loop]
    func closeAll() {
        for keeper in keepers.values { keeper.close("shutdown") }
    }

    /// The result of a start, from the server's loop to whoever waits.
    private final class Begin: Sendable {
        private let result = Mutex<Result<any Channel, any Error>?>(nil)
        private let semaphore = Semaphore()

        func end(_ result: Result<any Channel, any Error>) {
            let isFirst = self.result.withLock { held in
                defer { held = held ?? result }
                return held == nil
            }
            if isFirst { semaphore.signal() }
        }

        func wait() -> Result<any Channel, any Error> {
            semaphore.wait()
            return result.withLock { $0! }
        }
    }

    // MARK: - Connections, on the server's loop

    /// A place for an accepted socket, or its end.
    func admit(_ channel: any Channel) throws -> Keeper {
        let peer = channel.remoteAddress.flatMap(PeerAddress.init)
        // A socket that was reset while it waited to be accepted has no peer any more.
        guard let peer else { throw refused("socket_error") }
        guard access.allows(peer) else { throw refused("access_denied") }
        pace(channel.parent)
        guard keepers.count < options.maxConnections || evict() else { throw refused("maxlimit") }
        lastNumber += 1
        let keeper = Keeper(lastNumber, self, peer)
        let key = ObjectIdentifier(channel)
        keepers[key] = keeper
        state.withLock { $0.current += 1 }
        channel.closeFuture.whenComplete { _ in
            if self.keepers[key] === keeper { self.keepers[key] = nil }
            self.left(keeper.reason ?? "normal")
            self.drop(channel)
        }
        return keeper
    }

    /// A connection is on its way to Hummingbird. NIO lets it go when the listening socket is closed meanwhile, and ends
    /// the process when nobody else has it: its writer has to be finished.
    func arrived(_ value: DoorChannel.Value) { arriving[ObjectIdentifier(value.channel)] = value }

    /// Hummingbird has it, and will finish it.
    func taken(_ value: DoorChannel.Value) { arriving[ObjectIdentifier(value.channel)] = nil }

    private func drop(_ channel: any Channel) {
        guard let value = arriving.removeValue(forKey: ObjectIdentifier(channel)) else { return }
        Task(executorPreference: server.executor) { try? await value.executeThenClose { _, _ in } }
    }

    /// After the last connection that this second allows nobody is accepted until the next one: who comes waits in the
    /// kernel's backlog.
    private func pace(_ listening: (any Channel)?) {
        _ = rate?.take(now: now)
        guard let listening, let wait = rate?.wait(now: now), wait > 0 else { return }
        state.withLock { $0.pauses += 1 }
        try? listening.syncOptions?.setOption(.autoRead, value: false)
        _ = listening.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: .milliseconds(Int64(wait))) {
            guard self.state.withLock({ $0.closing !== listening }) else { return }
            try? listening.syncOptions?.setOption(.autoRead, value: true)
        }
    }

    /// Makes room by ending the connection that has waited longest for a request: one that never sends a whole header
    /// does not keep out one that does. False when all are being answered.
    private func evict() -> Bool {
        let idle = keepers.filter { $0.value.idleSince != nil }
        guard
            let oldest = idle.min(by: {
                ($0.value.idleSince!, $0.value.number) < ($1.value.idleSince!, $1.value.number)
            })
        else { return false }
        keepers[oldest.key] = nil
        oldest.value.close("evicted")
        return true
    }

    private func refused(_ reason: String) -> NotAdmitted {
        count(reason)
        return NotAdmitted()
    }

    func configure(_ channel: any Channel) throws {
        guard let options = channel.syncOptions else { return }
        try options.setOption(.tcpOption(.tcp_nodelay), value: self.options.noDelay ? 1 : 0)
        if self.options.receiveBuffer > 0 {
            try options.setOption(.socketOption(.so_rcvbuf), value: self.options.receiveBuffer)
        }
        if self.options.sendBuffer > 0 {
            try options.setOption(.socketOption(.so_sndbuf), value: self.options.sendBuffer)
        }
    }

    /// Nil where HTTP is plain.
    func makeTLS(_ keeper: Keeper) -> TLSHandler? {
        state.withLock { $0.tls }.map { TLSHandler($0, keeper, room: room) }
    }

    func keeper(of channel: any Channel) -> Keeper? { keepers[ObjectIdentifier(channel)] }

    private func left(_ reason: String) {
        state.withLock { state in
            state.current -= 1
            state.shutdowns[reason, default: 0] += 1
        }
    }

    func count(_ reason: String) { state.withLock { $0.shutdowns[reason, default: 0] += 1 } }
}

extension PeerAddress {
    init?(_ address: NIOCore.SocketAddress) {
        guard address.protocol == .inet || address.protocol == .inet6 else { return nil }
        self = address.withSockAddr { pointer, length in
            var storage = sockaddr_storage()
            withUnsafeMutableBytes(of: &storage) {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: min(length, $0.count)))
            }
            return withUnsafePointer(to: storage) { PeerAddress($0) }
        }
    }
}
