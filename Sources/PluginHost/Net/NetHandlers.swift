// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Glibc
import Sockets

/// The callbacks of one listen_tcp or connect, as the sockets call them.
final class ConnectionHandler: StreamHandler, @unchecked Sendable {
    let instance: PluginInstance
    /// Of the listener or the outgoing connection.
    let name: String
    let maxConnections: Int
    private let calls: martlet_conn_cb
    private let user: UnsafeMutableRawPointer?

    init(
        _ instance: PluginInstance, _ name: String, _ terms: StreamTerms, _ calls: martlet_conn_cb,
        _ user: UnsafeMutableRawPointer?
    ) {
        self.instance = instance
        self.name = name
        maxConnections = terms.maxConnections
        self.calls = calls
        self.user = user
    }

    var isHeld: Bool { instance.net.isHeld.load(ordering: .acquiring) }
    var owner: UInt32 { instance.owner }

    func opened(_ stream: Stream) {
        var peer = martlet_addr(stream.peer)
        instance.watched("net opened callback") { stream.attachment = calls.opened(user, stream.handle, &peer) }
    }

    func received(_ stream: Stream, _ bytes: UnsafeRawBufferPointer) -> Int {
        var consumed = 0
        instance.watched("net data callback") {
            consumed = calls.data(user, stream.handle, stream.attachment, martlet_bytes(bytes))
        }
        guard consumed < 0 || consumed > bytes.count else { return consumed }
        instance.complain(
            "its net data callback consumed \(UInt(bitPattern: consumed)) of \(bytes.count) bytes; the connection is closed"
        )
        return -1
    }

    func writable(_ stream: Stream) {
        guard let writable = calls.writable else { return }
        instance.watched("net writable callback") { writable(user, stream.handle, stream.attachment) }
    }

    func closed(_ stream: Stream, _ end: StreamEnd) {
        if stream.listener == nil { instance.net.forget(stream) }
        instance.watched("net closed callback") { calls.closed(user, stream.handle, stream.attachment, end.status) }
        stream.attachment = nil
    }

    /// [loop] A connection that it was promised and never got.
    func lost(_ connection: martlet_conn) {
        instance.watched("net closed callback") { calls.closed(user, connection, nil, statusIO) }
    }

    // MARK: - Upgrade

    var canRebind: Bool { calls.rebound != nil }

    /// Largest state of one connection.
    private static let maxState = 1 << 20

    /// The old image's last call about a connection: what it wrote for the new one.
    func leave(_ stream: Stream) -> [UInt8] {
        guard let leaving = calls.leaving else { return [] }
        var state: [UInt8] = []
        instance.watched("net leaving callback") {
            withUnsafeMutablePointer(to: &state) { sink in
                leaving(
                    user, stream.handle, stream.attachment,
                    { to, bytes in
                        guard let to, let bytes = bytes.buffer else { return }
                        let sink = to.assumingMemoryBound(to: [UInt8].self)
                        if sink.pointee.count + bytes.count <= ConnectionHandler.maxState { sink.pointee += bytes }
                    }, UnsafeMutableRawPointer(sink))
            }
        }
        return state
    }

    func rebind(_ stream: Stream, _ state: [UInt8]) {
        guard let rebound = calls.rebound else { return }
        var peer = martlet_addr(stream.peer)
        stream.attachment = nil
        instance.watched("net rebound callback") {
            state.withUnsafeBytes {
                stream.attachment = rebound(user, stream.handle, &peer, martlet_bytes($0))
            }
        }
    }
}

/// The callback of one listen_udp.
final class DatagramFunction: DatagramHandler, @unchecked Sendable {
    private let instance: PluginInstance
    private let function: martlet_dgram_fn
    private let user: UnsafeMutableRawPointer?

    init(_ instance: PluginInstance, _ function: martlet_dgram_fn, _ user: UnsafeMutableRawPointer?) {
        self.instance = instance
        self.function = function
        self.user = user
    }

    var isHeld: Bool { instance.net.isHeld.load(ordering: .acquiring) }

    func received(_ peer: SocketAddress, _ bytes: UnsafeRawBufferPointer) {
        var peer = martlet_addr(peer)
        instance.watched("net datagram callback") { function(user, &peer, martlet_bytes(bytes)) }
    }
}

extension StreamEnd {
    var status: martlet_status {
        switch self {
        case .peerClosed, .closed, .handedOver: statusOK
        case .stopped: statusState
        case .failed(errno: EAGAIN): statusBusy
        case .failed, .misread: statusIO
        case .idle, .stuck, .connectTimeout: statusTimeout
        case .overflow: statusNoMemory
        case .layer: statusDenied
        case .nameNotFound: statusNotFound
        }
    }
}

extension martlet_addr {
    init(_ address: SocketAddress?) {
        self.init()
        guard let address else { return }
        scope = address.scope
        port = address.port
        version = address.isIPv6 ? 6 : 4
        withUnsafeMutableBytes(of: &ip) { to in for i in 0..<16 { to[i] = address.bytes[i] } }
    }

    /// Nil: neither IPv4 nor IPv6.
    var socketAddress: SocketAddress? {
        guard version == 4 || version == 6 else { return nil }
        var bytes = InlineArray<16, UInt8>(repeating: 0)
        withUnsafeBytes(of: ip) { from in for i in 0..<(version == 6 ? 16 : 4) { bytes[i] = from[i] } }
        return SocketAddress(bytes: bytes, port: port, isIPv6: version == 6, scope: scope)
    }
}
