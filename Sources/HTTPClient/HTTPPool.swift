// SPDX-License-Identifier: Apache-2.0
import CHTTPClient
import CReactor
import Synchronization

/// Limits of a pool, and what its connections are made with.
public struct HTTPPoolOptions: Sendable {
    public var hostConnections: UInt32 = 16
    /// Requests on their way, waiting ones included.
    public var maxOpen = 1024
    /// Bytes of their bodies.
    public var maxOpenBytes = 64 << 20
    /// How long a name's address is believed, and a connection to it used: 1 to 60.
    public var dnsTTL: UInt32 = 60
    /// A connection that was idle for longer is not used again.
    public var idleSeconds: UInt32 = 30
    /// nil: the system's certificate authorities.
    public var caFile: String?
    public var certificateFile: String?
    public var keyFile: String?
    public var keyPassword: String?
    /// "http://proxy.example:3128"; nil: none, whatever the environment says.
    public var proxy: String?
    public var acceptsAnyCertificate = false
    public var userAgent = "Martlet"

    public init() {}
}

/// Connections to some servers, kept alive, and the requests that use or wait for them.
///
/// Everything in this file may be called on any thread; the rest of the class belongs to the client's thread.
public final class HTTPPool: @unchecked Sendable {
    public let options: HTTPPoolOptions
    let thread: HTTPThread
    let stats = Mutex(HTTPStats())
    private let openBytes = Atomic<Int>(0)

    // The client's thread's.
    var handle: OpaquePointer?
    var isClosed = false
    var isDue = false
    var timer: UInt64?
    var watches: [Int32: UInt64] = [:]
    var origins: [String: Origin] = [:]
    var live: [ObjectIdentifier: Exchange] = [:]

    init(_ options: HTTPPoolOptions, on thread: HTTPThread) {
        self.options = options
        self.thread = thread
    }

    /// nil when the pool is full: nothing was sent, nothing will be called.
    public func submit(_ request: HTTPRequest, _ completion: @escaping Exchange.Completion) -> Exchange? {
        let bytes = request.body.count
        let isTaken = stats.withLock { stats in
            guard stats.open < options.maxOpen, openBytes.load(ordering: .relaxed) + bytes <= options.maxOpenBytes
            else {
                stats.busy += 1
                return false
            }
            stats.open += 1
            stats.requests += 1
            openBytes.add(bytes, ordering: .relaxed)
            return true
        }
        guard isTaken else { return nil }
        let exchange = Exchange(request, self, completion)
        thread.post { self.admit(exchange) }
        return exchange
    }

    /// Ends all connections. Requests still open must have been cancelled.
    public func close() {
        thread.post { self.shut() }
    }

    public func snapshot() -> HTTPStats { stats.withLock { $0 } }

    /// A place in the queue is free again.
    func giveBack(_ bytes: Int) {
        openBytes.subtract(bytes, ordering: .relaxed)
        stats.withLock { $0.open -= 1 }
    }
}
