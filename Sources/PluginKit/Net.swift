// SPDX-License-Identifier: Apache-2.0
/// martlet.net/1: listeners, connections and datagrams. The host owns the sockets; a plugin gets bytes.
public struct Net {
    let tables: Tables

    /// Makes the plugin's object for a connection that is up. [loop]
    public typealias Opened = (_ connection: Connection, _ peer: Address) -> Peer
    /// The same for a connection of the image that this one replaces; `state` is what its `leave` wrote. [loop]
    public typealias Rebound = (_ connection: Connection, _ peer: Address, _ state: Bytes) -> Peer
    /// A datagram. [loop], one peer always on the same one.
    public typealias Datagram = (_ peer: Address, _ bytes: Bytes) -> Void

    /// [main] Accepts TCP connections on "host:port". With `rebound` they live through `plugins reload`.
    @discardableResult public func listenTCP(
        _ name: String, on address: String, _ options: NetOptions = NetOptions(), rebound: Rebound? = nil,
        _ opened: @escaping Opened
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.net, "martlet.net/1")
        return try Registration.make(PeerMaker(tables, opened, rebound)) { user, token in
            options.withRaw { options in
                withText(name, address) { name, address in
                    var calls = PeerMaker.calls(canRebind: rebound != nil)
                    return table.pointee.listen_tcp(tables.host, name, address.raw, options, &calls, user, token)
                }
            }
        }
    }

    /// [main] Receives datagrams on "host:port". The registration is what they are sent from.
    @discardableResult public func listenUDP(
        _ name: String, on address: String, _ options: NetOptions = NetOptions(), _ body: @escaping Datagram
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.net, "martlet.net/1")
        return try Registration.make(DatagramBox(tables, body)) { user, token in
            options.withRaw { options in
                withText(name, address) { name, address in
                    table.pointee.listen_udp(tables.host, name, address.raw, options, DatagramBox.call, user, token)
                }
            }
        }
    }

    /// [main] Ends a listener and its connections: `closed` has come for each when this returns.
    public func unlisten(_ registration: Registration) {
        guard let table = tables.pointee.net else { return }
        if table.pointee.unlisten(tables.host, registration.token) == 0 { registration.end(tables) }
    }

    /// [main] Where it listens; nil after `unlisten`.
    public func address(of registration: Registration) -> Address? {
        var raw = martlet_addr()
        guard let table = tables.pointee.net,
            table.pointee.listening_on(tables.host, registration.token, &raw) == 0
        else { return nil }
        return Address(raw, tables)
    }

    /// [main] Counters of a listener.
    public func stats(of registration: Registration) -> martlet_listener_stats {
        var stats = martlet_listener_stats()
        stats.size = UInt32(MemoryLayout<martlet_listener_stats>.size)
        _ = tables.pointee.net?.pointee.listener_stats(tables.host, registration.token, &stats)
        return stats
    }

    /// [any] Connects to "host:port". `peer` hears `opened`, or `closed` alone when it fails. With a name the connection
    /// lives through `plugins reload`: the new image gets it by connecting under the same name.
    @discardableResult public func connect(
        to address: String, name: String = "", _ options: NetOptions = NetOptions(), _ peer: Peer
    ) throws(PluginError) -> Connection {
        let table = try tables.need(tables.pointee.net, "martlet.net/1")
        // One reference for the host, given back with the last call.
        let user = Unmanaged.passRetained(Dial(tables, peer)).toOpaque()
        var connection: martlet_conn = 0
        let status = options.withRaw { options in
            withText(name, address) { name, address in
                var calls = Dial.calls
                return table.pointee.connect(tables.host, name, address.raw, options, &calls, user, &connection)
            }
        }
        guard status == 0 else {
            Unmanaged<Dial>.fromOpaque(user).release()
            throw PluginError(Status(status), sentence: nil)
        }
        return Connection(id: connection, tables: tables)
    }

    /// [any] The same with the default options.
    @discardableResult public func connect(
        to address: String, name: String = "", _ peer: Peer
    ) throws(PluginError) -> Connection {
        try connect(to: address, name: name, NetOptions(), peer)
    }

    /// [any] Sends one datagram from a UDP listener. `.busy`: its queue is full and the datagram is lost.
    @discardableResult public func send(_ bytes: Bytes, to peer: Address, from listener: Registration) -> Status {
        guard let table = tables.pointee.net else { return .unsupported }
        var address = peer.raw
        return Status(table.pointee.sendto(tables.host, listener.token, &address, bytes.raw))
    }

    /// [loop] What a peer of a UDP listener with DTLS has proven, inside the call with its datagram; empty: no such thing.
    public func proof(_ what: PeerProof, of peer: Address, from listener: Registration) -> [UInt8] {
        guard let table = tables.pointee.net else { return [] }
        var address = peer.raw
        return copied { table.pointee.dgram_proof(tables.host, listener.token, &address, what.rawValue, $0, $1) }
    }

    /// [any] "192.0.2.7:1883", "[2001:db8::7]:1883"; nil: it is none.
    public func address(_ text: String) -> Address? {
        var raw = martlet_addr()
        guard let table = tables.pointee.net, text.withBytes({ table.pointee.parse_addr($0.raw, &raw) }) == 0
        else { return nil }
        return Address(raw, tables)
    }

    /// Address and port of a peer.
    public struct Address {
        public let raw: martlet_addr
        let tables: Tables
        init(_ raw: martlet_addr, _ tables: Tables) {
            self.raw = raw
            self.tables = tables
        }
        public var port: UInt16 { raw.port }
        public var isIPv6: Bool { raw.version == 6 }
        /// "192.0.2.7:1883"
        public var text: String {
            guard let table = tables.pointee.net else { return "" }
            var raw = raw
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = table.pointee.format_addr(&raw, &bytes, bytes.count)
            return String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }
}

/// What a listener or a connection may use; zero and empty mean the defaults of martlet/net.h.
public struct NetOptions {
    public var maxConnections: UInt32 = 0
    public var backlog: UInt32 = 0
    /// Bytes `data` may leave lying.
    public var maxInput: UInt32 = 0
    /// Bytes waiting above which `send` answers `.busy`.
    public var highWater: UInt32 = 0
    public var lowWater: UInt32 = 0
    /// Milliseconds.
    public var idleTimeout: UInt32 = 0
    public var sendTimeout: UInt32 = 0
    public var connectTimeout: UInt32 = 0
    /// Rules, one a line: "allow 10.0.0.0/8\ndeny all".
    public var access = ""
    public var tlsProfile = ""
    public init() {}

    func withRaw(_ body: (UnsafePointer<martlet_net_options>) -> martlet_status) -> martlet_status {
        access.withBytes { access in
            tlsProfile.withBytes { profile in
                var raw = martlet_net_options(
                    size: UInt32(MemoryLayout<martlet_net_options>.size), max_connections: maxConnections,
                    backlog: backlog, max_input: maxInput, high_water: highWater, low_water: lowWater,
                    idle_timeout_ms: idleTimeout, send_timeout_ms: sendTimeout, connect_timeout_ms: connectTimeout,
                    reserved: 0, access: access.raw, tls_profile: profile.raw)
                return body(&raw)
            }
        }
    }
}

/// One connection: a small value, free to copy and to keep. After its end every call answers `.stale`.
public struct Connection: Equatable {
    public let id: martlet_conn
    let tables: Tables

    /// [any] Copies the bytes. `.busy`: nothing was taken, `writable` will come.
    @discardableResult public func send(_ bytes: Bytes) -> Status {
        Status(tables.pointee.net?.pointee.send(tables.host, id, bytes.raw) ?? Status.unsupported.rawValue)
    }
    @discardableResult public func send(_ text: String) -> Status { text.withBytes { send($0) } }
    @discardableResult public func send(_ bytes: [UInt8]) -> Status { bytes.withBytes { send($0) } }
    /// [any] After what was sent before; with `now`, at once.
    @discardableResult public func close(now: Bool = false) -> Status {
        let how = Int32(now ? MARTLET_CLOSE_NOW : MARTLET_CLOSE_SENT)
        return Status(tables.pointee.net?.pointee.close(tables.host, id, how) ?? Status.unsupported.rawValue)
    }
    /// [any] No `data` until `resume`.
    @discardableResult public func pause() -> Status {
        Status(tables.pointee.net?.pointee.pause(tables.host, id) ?? Status.unsupported.rawValue)
    }
    @discardableResult public func resume() -> Status {
        Status(tables.pointee.net?.pointee.resume(tables.host, id) ?? Status.unsupported.rawValue)
    }
    /// [any]
    public var peer: Net.Address? {
        var raw = martlet_addr()
        guard let table = tables.pointee.net, table.pointee.peer(tables.host, id, &raw) == 0 else { return nil }
        return Net.Address(raw, tables)
    }
    /// [loop]
    public var local: Net.Address? {
        var raw = martlet_addr()
        guard let table = tables.pointee.net, table.pointee.local(tables.host, id, &raw) == 0 else { return nil }
        return Net.Address(raw, tables)
    }
    /// [loop]
    public var stats: martlet_conn_stats? {
        var stats = martlet_conn_stats()
        stats.size = UInt32(MemoryLayout<martlet_conn_stats>.size)
        guard let table = tables.pointee.net, table.pointee.conn_stats(tables.host, id, &stats) == 0 else { return nil }
        return stats
    }
    /// [loop] What the peer has proven by TLS; empty: no such thing. A certificate is parsed for every call.
    public func proof(_ what: PeerProof) -> [UInt8] {
        guard let table = tables.pointee.net else { return [] }
        return copied { table.pointee.conn_proof(tables.host, id, what.rawValue, $0, $1) }
    }
    /// [loop] From here on the connection is an MQTT client's, under the rules of a zone.
    @discardableResult public func adoptMQTT(zone: String = "") -> Status {
        guard let table = tables.pointee.net else { return .unsupported }
        return zone.withBytes { Status(table.pointee.adopt_mqtt(tables.host, id, $0.raw)) }
    }

    public static func == (left: Connection, right: Connection) -> Bool { left.id == right.id }
}

/// What a TLS or DTLS peer can be asked about: whom it has proven to be.
public enum PeerProof: Int32 {
    /// "device-1"; "CN=device-1,O=Acme"; "/O=Acme/CN=device-1"
    case commonName, distinguishedName, subject
    /// SHA-256 of its certificate, 64 digits in lower case.
    case fingerprint
    case der, pem
    /// The identity of its shared key, instead of a certificate.
    case sharedKey
}

/// A plugin's side of one connection: subclass it and keep the connection's state in it. Everything on the connection's
/// loop. The kit holds it until `closed` or `leave`.
open class Peer {
    public init() {}
    /// An outgoing connection is up.
    open func opened(_ connection: Connection, _ peer: Net.Address) {}
    /// Returns how many bytes were consumed; the rest comes again, with more.
    open func data(_ connection: Connection, _ bytes: Bytes) -> Int { bytes.count }
    /// After a `send` that was `.busy`.
    open func writable(_ connection: Connection) {}
    /// The last call. `.ok`: one of both sides closed it.
    open func closed(_ connection: Connection, _ why: Status) {}
    /// Upgrade, old image: the last call; what the new image's object needs.
    open func leave(_ connection: Connection, _ out: StateWriter) {}
    /// Upgrade, new image, outgoing connections: instead of `opened`.
    open func rebound(_ connection: Connection, _ peer: Net.Address, _ state: Bytes) {}
}

// MARK: - Behind the table

/// The bytes of a call that says how many there are.
private func copied(_ call: (UnsafeMutablePointer<UInt8>?, Int) -> Int) -> [UInt8] {
    // Most names fit at once.
    var bytes = [UInt8](repeating: 0, count: 256)
    var count = call(&bytes, bytes.count)
    if count > bytes.count {
        bytes = [UInt8](repeating: 0, count: count)
        count = min(count, call(&bytes, bytes.count))
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

private func withText(
    _ name: String, _ address: String, _ body: (UnsafePointer<CChar>, Bytes) -> martlet_status
) -> martlet_status {
    var terminated = name + "\0"
    return address.withBytes { address in
        terminated.withUTF8 { name in
            guard let start = name.baseAddress else { return Status.invalid.rawValue }
            return start.withMemoryRebound(to: CChar.self, capacity: name.count) { body($0, address) }
        }
    }
}
