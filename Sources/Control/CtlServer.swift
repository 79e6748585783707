// SPDX-License-Identifier: Apache-2.0
import CPluginHost
import CReactor
import CtlProtocol
import Glibc
public import PluginHost
public import Reactor

/// Serves martlet_ctl on a unix socket, on the control loop. Commands run there, one after the other; clients that do
/// not read cost their buffer, never time.
public final class CtlServer {
    public struct Limits: Sendable {
        public var clients = 32
        /// Output of one command.
        public var outputBytes = 16 << 20
        /// Output of all commands that waits for slow clients.
        public var waitingBytes = 64 << 20
        /// A client that neither sends nor takes a byte for so long is closed.
        public var idleMS: UInt64 = 30_000
        public init() {}
    }

    public let path: String
    private let commands: CommandTable
    private let loop: EventLoop
    private let log: HostLog
    private let limits: Limits
    private var descriptor: Int32 = -1
    private var watch: UInt64?
    private var sweep: UInt64?
    private var clients: [ObjectIdentifier: CtlClient] = [:]
    /// Given up for a command when the broker's clients have all other descriptors, taken back after it.
    private var spare: Int32 = -1

    public init(
        path: String, commands: CommandTable, control: EventLoop, log: HostLog = .standardError,
        limits: Limits = Limits()
    ) {
        self.path = path
        self.commands = commands
        loop = control
        self.log = log
        self.limits = limits
    }

    /// [main] Begins to listen.
    public func start() throws(ControlError) {
        descriptor = try UnixSocket.listen(path)
        takeSpare()
        watch = loop.watch(fd: descriptor, events: UInt32(CR_IN)) { [unowned self] _ in accept() }
        sweep = loop.after(limits.idleMS / 4, every: max(10, limits.idleMS / 4)) { [unowned self] in closeIdle() }
    }

    /// [main] Closes the socket and all clients.
    public func stop() {
        guard descriptor >= 0 else { return }
        if let watch { loop.unwatch(watch) }
        if let sweep { loop.cancel(timer: sweep) }
        watch = nil
        sweep = nil
        close(descriptor)
        descriptor = -1
        unlink(path)
        for client in Array(clients.values) { client.close() }
        if spare >= 0 { close(spare) }
        spare = -1
    }

    private func accept() {
        guard let accepted = acceptOne() else { return }
        let client = CtlClient(accepted, on: loop) { [unowned self] arguments in
            answer(arguments)
        } ended: { [unowned self] client in
            clients[ObjectIdentifier(client)] = nil
            takeSpare()
        }
        let user = cph_peer_uid(accepted)
        let isFull = clients.count >= limits.clients
        clients[ObjectIdentifier(client)] = client
        client.begin()
        if user != 0 && user != Int64(geteuid()) {
            client.refuse("only root and the broker's own user may give commands.")
        } else if isFull {
            client.refuse("\(limits.clients) commands are under way already, try again.")
        }
    }

    private func acceptOne() -> Int32? {
        var accepted = cr_accept(descriptor, nil, nil)
        if accepted < 0, [EMFILE, ENFILE].contains(cr_errno()), spare >= 0 {
            close(spare)
            spare = -1
            accepted = cr_accept(descriptor, nil, nil)
        }
        if accepted >= 0 { return accepted }
        if [EMFILE, ENFILE].contains(cr_errno()) { pause() } else { takeSpare() }
        return nil
    }

    private func takeSpare() {
        if spare < 0, descriptor >= 0 { spare = open("/dev/null", O_RDONLY | O_CLOEXEC) }
    }

    /// Out of descriptors: the waiting client stays in the queue, and a level-triggered watch would spin on it.
    private func pause() {
        guard let watch else { return }
        loop.rewatch(watch, events: 0)
        _ = loop.after(500) { [weak self] in
            if let self, self.watch == watch { loop.rewatch(watch, events: UInt32(CR_IN)) }
        }
    }

    private func closeIdle() {
        for client in Array(clients.values) where loop.now - client.lastProgress >= limits.idleMS {
            client.close()
        }
    }

    /// Runs a command line; the answer in frames.
    private func answer(_ arguments: [[UInt8]]) -> [UInt8] {
        let room = limits.waitingBytes - clients.values.reduce(0) { $0 + $1.waitingBytes }
        guard room > 0 else {
            return CtlClient.failure("too much output waits for clients that do not read it, try again.")
        }
        return CommandRunner(commands, log).run(arguments, limit: min(limits.outputBytes, room))
    }
}
