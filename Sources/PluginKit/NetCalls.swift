// SPDX-License-Identifier: Apache-2.0

// Behind martlet.net/1: what its callbacks find their way back to.

/// Calls `body` with the object behind `mine`, without touching its reference count.
@inline(__always)
private func withPeer<R>(_ mine: UnsafeMutableRawPointer?, _ otherwise: R, _ body: (Peer) -> R) -> R {
    guard let mine else { return otherwise }
    return Unmanaged<Peer>.fromOpaque(mine)._withUnsafeGuaranteedRef(body)
}

/// Behind listen_tcp: `mine` is a retained Peer.
final class PeerMaker: Box {
    let opened: Net.Opened
    let rebound: Net.Rebound?

    init(_ tables: Tables, _ opened: @escaping Net.Opened, _ rebound: Net.Rebound?) {
        self.opened = opened
        self.rebound = rebound
        super.init(tables)
    }

    static func calls(canRebind: Bool) -> martlet_conn_cb {
        martlet_conn_cb(
            size: UInt32(MemoryLayout<martlet_conn_cb>.size),
            opened: { user, id, peer in
                Box.use(user) { (box: PeerMaker) in
                    let peer = box.opened(
                        Connection(id: id, tables: box.tables), Net.Address(peer.pointee, box.tables))
                    return Unmanaged.passRetained(peer).toOpaque()
                }
            },
            data: { user, id, mine, bytes in
                Box.use(user) { (box: PeerMaker) in
                    withPeer(mine, bytes.len) { $0.data(Connection(id: id, tables: box.tables), Bytes(bytes)) }
                }
            },
            writable: { user, id, mine in
                Box.use(user) { (box: PeerMaker) in
                    withPeer(mine, ()) { $0.writable(Connection(id: id, tables: box.tables)) }
                }
            },
            closed: { user, id, mine, why in
                Box.use(user) { (box: PeerMaker) in
                    withPeer(mine, ()) { $0.closed(Connection(id: id, tables: box.tables), Status(why)) }
                }
                if let mine { Unmanaged<Peer>.fromOpaque(mine).release() }
            },
            leaving: { user, id, mine, write, to in
                Box.use(user) { (box: PeerMaker) in
                    withPeer(mine, ()) {
                        $0.leave(Connection(id: id, tables: box.tables), StateWriter(write: write, to: to))
                    }
                }
                if let mine { Unmanaged<Peer>.fromOpaque(mine).release() }
            },
            rebound: canRebind ? callRebound : nil)
    }

    private static var callRebound:
        @convention(c) (UnsafeMutableRawPointer?, martlet_conn, UnsafePointer<martlet_addr>, martlet_bytes) ->
            UnsafeMutableRawPointer?
    {
        { user, id, peer, state in
            Box.use(user) { (box: PeerMaker) in
                guard let rebound = box.rebound else { return nil }
                let peer = rebound(
                    Connection(id: id, tables: box.tables), Net.Address(peer.pointee, box.tables), Bytes(state))
                return Unmanaged.passRetained(peer).toOpaque()
            }
        }
    }
}

/// Behind connect: lives until its last call, which may come on any loop, so it is in no list.
final class Dial {
    let tables: Tables
    let peer: Peer

    init(_ tables: Tables, _ peer: Peer) {
        self.tables = tables
        self.peer = peer
    }

    static var calls: martlet_conn_cb {
        martlet_conn_cb(
            size: UInt32(MemoryLayout<martlet_conn_cb>.size),
            opened: { user, id, peer in
                Dial.use(user) {
                    $0.peer.opened(Connection(id: id, tables: $0.tables), Net.Address(peer.pointee, $0.tables))
                }
                return nil
            },
            data: { user, id, _, bytes in
                Dial.use(user) { $0.peer.data(Connection(id: id, tables: $0.tables), Bytes(bytes)) }
            },
            writable: { user, id, _ in
                Dial.use(user) { $0.peer.writable(Connection(id: id, tables: $0.tables)) }
            },
            closed: { user, id, _, why in
                Dial.use(user) { $0.peer.closed(Connection(id: id, tables: $0.tables), Status(why)) }
                Unmanaged<Dial>.fromOpaque(user.unsafelyUnwrapped).release()
            },
            leaving: { user, id, _, write, to in
                Dial.use(user) {
                    $0.peer.leave(Connection(id: id, tables: $0.tables), StateWriter(write: write, to: to))
                }
                Unmanaged<Dial>.fromOpaque(user.unsafelyUnwrapped).release()
            },
            rebound: { user, id, peer, state in
                Dial.use(user) {
                    $0.peer.rebound(
                        Connection(id: id, tables: $0.tables), Net.Address(peer.pointee, $0.tables), Bytes(state))
                }
                return nil
            })
    }

    @inline(__always)
    private static func use<R>(_ user: UnsafeMutableRawPointer?, _ body: (Dial) -> R) -> R {
        Unmanaged<Dial>.fromOpaque(user.unsafelyUnwrapped)._withUnsafeGuaranteedRef(body)
    }
}

final class DatagramBox: Box {
    let body: Net.Datagram
    init(_ tables: Tables, _ body: @escaping Net.Datagram) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_dgram_fn {
        { user, peer, bytes in
            Box.use(user) { (box: DatagramBox) in box.body(Net.Address(peer.pointee, box.tables), Bytes(bytes)) }
        }
    }
}
