// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Synchronization

/// What the broker has to know of a listener: options that matter after accept.
public struct ListenerTerms: Sendable {
    /// "tcp:external"
    public var name: String
    /// Index into the settings' zones.
    public var zone = 0
    /// `%c` and `%u` stand for client id and user name; empty: the zone's.
    public var mountpoint = ""
    public var maxConnections = 1_024_000
    /// Bytes a client may send.
    public var rateLimit = RateLimit.none
    /// Milliseconds a client may take nothing while data waits for it; 0: as long as it likes.
    public var sendTimeout: UInt64 = 0
    /// Milliseconds in which the handshakes of a connection's layers must be over; CONNECT has its own time after that.
    public var handshakeTimeout: UInt64 = 15_000
    /// What takes the place of the user name. `listener.*.peer_cert_as_username`
    public var certificateName = CertificateName.unused

    public init(name: String) { self.name = name }
}

/// Which name out of a client's certificate is its user name.
public enum CertificateName: Sendable { case unused, common, distinguished, subject }

/// One listener as the broker sees it. Lives as long as the broker.
final class ListenerState: Sendable {
    let terms: ListenerTerms
    let mountpoint: [UInt8]
    /// Connections that have a place; an atomic cell in a cache line of its own.
    private nonisolated(unsafe) let current: UnsafeMutablePointer<Int64>
    private let shutdowns = ShutdownCounts()

    init(_ terms: ListenerTerms) {
        self.terms = terms
        mountpoint = Array(terms.mountpoint.utf8)
        current = .allocate(capacity: 16)
        current.initialize(repeating: 0, count: 16)
    }

    deinit { current.deallocate() }

    /// All loops accept at once: a place is taken only where one is free at that very moment, so there are never more
    /// connections than places, and nobody is turned away for another who was turned away.
    func takePlace() -> Bool {
        var now = cr_load_i64(current)
        repeat {
            if now >= Int64(terms.maxConnections) { return false }
        } while !cr_cas_i64(current, &now, now + 1)
        return true
    }

    func leavePlace() { _ = cr_add_i64(current, -1) }

    func count(_ reason: StaticString) { shutdowns.add(reason) }

    var counts: (current: Int, shutdowns: [String: Int]) { (Int(cr_load_i64(current)), shutdowns.all) }
}

/// How often connections ended for which reason. Counted in eight parts, so that loops hardly ever wait for each other.
private final class ShutdownCounts: Sendable {
    private struct Part: ~Copyable, Sendable {
        /// By where the reason's text lies, which is in the program.
        let counts = Mutex<[UInt: (reason: StaticString, count: Int)]>([:])
    }

    private nonisolated(unsafe) let parts: UnsafeMutablePointer<Part>
    private static let count = 8

    init() {
        parts = .allocate(capacity: Self.count)
        for i in 0..<Self.count { (parts + i).initialize(to: Part()) }
    }

    deinit {
        parts.deinitialize(count: Self.count)
        parts.deallocate()
    }

    func add(_ reason: StaticString) {
        let part = parts + Int(UInt32(bitPattern: cr_current_loop())) % Self.count
        let key = UInt(bitPattern: reason.utf8Start)
        part.pointee.counts.withLock { $0[key, default: (reason, 0)].count += 1 }
    }

    var all: [String: Int] {
        var sums: [String: Int] = [:]
        for i in 0..<Self.count {
            for (reason, count) in parts[i].counts.withLock({ $0 }).values { sums["\(reason)", default: 0] += count }
        }
        return sums
    }
}

/// All listeners there ever were, by number. Every connection asks for its own several times on its way in and out, on
/// all loops at once: looking one up takes no lock.
final class ListenerTable: Sendable {
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let all = Mutex<[ListenerState]>([])

    init() {
        // 65,536 numbers; a page is there from its first listener on.
        cells = calloc(1 << 16, MemoryLayout<UnsafeMutableRawPointer?>.stride)
            .bindMemory(to: UnsafeMutableRawPointer?.self, capacity: 1 << 16)
    }

    deinit { free(cells) }

    /// Not retained: it stays as long as the table, and its count would go from core to core with each connection.
    func with<Result>(_ number: UInt16, _ body: (ListenerState) -> Result) -> Result {
        Unmanaged<ListenerState>.fromOpaque(cr_load_ptr(cells + Int(number))!)._withUnsafeGuaranteedRef(body)
    }

    /// - Parameter sharing: whether one of the same name will do.
    func add(_ terms: ListenerTerms, sharing: Bool = false) -> UInt16 {
        all.withLock { all in
            if sharing, let there = all.firstIndex(where: { $0.terms.name == terms.name }) { return UInt16(there) }
            precondition(all.count < 1 << 16, "more than 65,536 listeners")
            let state = ListenerState(terms)
            all.append(state)
            cr_store_ptr(cells + all.count - 1, Unmanaged.passUnretained(state).toOpaque())
            return UInt16(all.count - 1)
        }
    }

    func find(_ name: String) -> ListenerState? { all.withLock { $0.first { $0.terms.name == name } } }
}

/// How a listener hands clients to the broker. The sockets themselves belong to `Net`.
extension Broker {
    /// Announces a listener; the number goes with every connection it accepts.
    public func addListener(_ terms: ListenerTerms) -> UInt16 { listeners.add(terms) }

    /// [loop] A connected socket, accepted on this loop. Closed at once when the listener is full.
    public func accept(fd: Int32, address: UnsafePointer<sockaddr_storage>, listener: UInt16) {
        guard takePlace(listener) else {
            close(fd)
            return
        }
        accept(fd: fd, peer: PeerAddress(address), listener: listener)
    }

    /// [any] A place among the listener's connections, to be used with `accept(fd:peer:listener:)` or given back with
    /// `leavePlace`. False, and counted, when there is none.
    public func takePlace(_ listener: UInt16) -> Bool {
        listeners.with(listener) { state in
            if state.takePlace() { return true }
            state.count("maxlimit")
            return false
        }
    }

    /// [any] The connection ended before the broker had it.
    public func leavePlace(_ listener: UInt16) { listeners.with(listener) { $0.leavePlace() } }

    /// [loop] A connected socket whose place is taken.
    /// - Parameter layers: what stands between the socket's bytes and MQTT; nil for plain TCP.
    public func accept(fd: Int32, peer: PeerAddress, listener: UInt16, layers: LayerStack? = nil) {
        let zone = listeners.with(listener) { $0.terms.zone }
        Shard.current.accept(
            fd: fd, peer: peer, listener: listener, zone: UnsafePointer(zones + zone), layers: layers)
    }

    /// [any] Why a connection ended, for `listeners`.
    public func countShutdown(_ listener: UInt16, _ reason: StaticString) {
        listeners.with(listener) { $0.count(reason) }
    }

    func listenerName(_ listener: UInt16) -> String { listeners.with(listener) { $0.terms.name } }

    /// Counts for `listeners`.
    public func listenerCounts(_ listener: UInt16) -> (current: Int, shutdowns: [String: Int]) {
        listeners.with(listener) { $0.counts }
    }
}

extension PeerAddress {
    /// Of a socket address as the kernel gives it. [any]
    public init(_ storage: UnsafePointer<sockaddr_storage>) {
        let raw = UnsafeRawPointer(storage)
        if Int32(storage.pointee.ss_family) == AF_INET6 {
            let port = raw.assumingMemoryBound(to: sockaddr_in6.self).pointee.sin6_port
            // sin6_addr: 16 bytes at offset 8.
            self.init(UnsafeRawBufferPointer(start: raw + 8, count: 16), port: UInt16(bigEndian: port))
        } else {
            let port = raw.assumingMemoryBound(to: sockaddr_in.self).pointee.sin_port
            self.init(UnsafeRawBufferPointer(start: raw + 4, count: 4), port: UInt16(bigEndian: port))
        }
    }

    /// "192.0.2.7", "2001:db8::7"; nil when it is no address.
    public init?(_ text: String, port: UInt16) {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = inet_pton(AF_INET, text, &bytes) == 1 ? 4 : inet_pton(AF_INET6, text, &bytes) == 1 ? 16 : 0
        guard count > 0 else { return nil }
        self = bytes[..<count].withUnsafeBytes { PeerAddress($0, port: port) }
    }

    /// 4 or 16 bytes in network order. ::ffff:a.b.c.d of a dual-stack listener is shown and matched as IPv4.
    public init(_ bytes: UnsafeRawBufferPointer, port: UInt16) {
        let isMapped =
            bytes.count == 16 && (0..<10).allSatisfy { bytes[$0] == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        isIPv6 = bytes.count == 16 && !isMapped
        address = InlineArray(repeating: 0)
        self.port = port
        for i in 0..<(isIPv6 ? 16 : 4) { address[i] = bytes[isMapped ? 12 + i : i] }
    }
}
