// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import NIOCore
import NIOPosix
public import PluginHost
public import Reactor
import Synchronization

/// The HTTP side of the broker: its listeners, the routes of all plugins, and the requests that are open. It has one
/// thread of its own; plugins are called on the control thread and answer from any.
public final class HTTPServer: HTTPPort, @unchecked Sendable {
    public private(set) var doors: [Door] = []
    let control: Reactor.EventLoop
    let requests = RequestTable()
    let failures = FailureTable()
    let counts = HTTPCounts()
    /// What GET /status answers.
    let statusText: String
    let group: MultiThreadedEventLoopGroup
    let executor: LoopExecutor
    /// Milliseconds of silence after which an event stream gets a comment.
    let heartbeat: Int
    private let current = Mutex(Router())

    /// [main] Starts its thread; opens nothing yet.
    public init(
        _ options: [HTTPListenerOptions], control: Reactor.EventLoop, statusText: String, heartbeat: Int = 15_000
    ) {
        self.heartbeat = heartbeat
        self.control = control
        self.statusText = statusText
        group = Self.withoutSignals { MultiThreadedEventLoopGroup(numberOfThreads: 1) }
        executor = LoopExecutor(group.next())
        doors = options.map { Door($0, of: self) }
    }

    /// A thread begins with the signal mask of the one that makes it: signals are the control thread's to hear.
    private static func withoutSignals<T>(_ body: () -> T) -> T {
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        return body()
    }

    /// [main] Nobody is answered any more; returns when the thread has ended.
    public func shutdown() {
        for door in doors { door.stop() }
        let doors = doors
        try? group.next().submit { for door in doors { door.closeAll() } }.wait()
        try? group.syncShutdownGracefully()
    }

    var router: Router { current.withLock { $0 } }

    var loop: any NIOCore.EventLoop { executor.loop }

    /// Runs `body` on the control thread and waits for it without holding this one.
    func onControl<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            control.post { continuation.resume(returning: body()) }
        }
    }

    func makeExchange(_ method: String) -> Exchange {
        let exchange = Exchange(id: requests.nextID(), method: method) { [control] task in control.post(task) }
        requests.add(exchange)
        return exchange
    }

    // MARK: - HTTPPort

    public var listenerNames: [String] { doors.map(\.options.routesName) }

    public func install(_ registry: HTTPRegistry) {
        let router = Router(registry)
        current.withLock { $0 = router }
    }

    public func endRequests(of owner: UInt32, again: Bool) {
        for exchange in requests.all where exchange.isOwned(by: owner) {
            exchange.revokeAuth(of: owner)
            if exchange.isOwned(by: owner) { exchange.revoke(again: again) }
        }
    }

    public func endRequests(route token: martlet_token) {
        for exchange in requests.all where exchange.isOf(route: token) { exchange.revoke(again: false) }
    }

    public func openRequests(of owner: UInt32) -> Int { requests.all.count { $0.isOwned(by: owner) } }

    public func respond(
        _ id: martlet_http_req, _ owner: UInt32, _ head: HTTPHead, body: [UInt8]
    ) -> martlet_status {
        find(id) { $0.respond(owner, head, body) }
    }

    public func begin(_ id: martlet_http_req, _ owner: UInt32, _ head: HTTPHead) -> martlet_status {
        find(id) { $0.begin(owner, head) }
    }

    public func write(_ id: martlet_http_req, _ owner: UInt32, _ bytes: [UInt8]) -> martlet_status {
        find(id) { $0.write(owner, bytes) }
    }

    public func event(_ id: martlet_http_req, _ owner: UInt32, _ event: HTTPEvent) -> martlet_status {
        find(id) { $0.event(owner, event) }
    }

    public func end(_ id: martlet_http_req, _ owner: UInt32) -> martlet_status { find(id) { $0.end(owner) } }

    public func resume(_ id: martlet_http_req, _ owner: UInt32) -> martlet_status { find(id) { $0.resume(owner) } }

    public func answerAuth(_ id: martlet_http_req, _ owner: UInt32, _ verdict: HTTPVerdict) -> martlet_status {
        find(id) { $0.answerAuth(owner, verdict) }
    }

    private func find(_ id: martlet_http_req, _ body: (Exchange) -> martlet_status) -> martlet_status {
        requests.find(id).map(body) ?? martlet_status(MARTLET_E_STALE)
    }
}
