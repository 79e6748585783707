// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import Reactor
import TLS

/// The TLS of one client of a listener.
final class ListenerTLS: TLSLayer, @unchecked Sendable {
    private unowned let listener: Listener
    private let peer: PeerAddress
    /// While the handshake is under way.
    fileprivate(set) var handshakes: Handshakes?
    /// Neighbours in `handshakes`.
    fileprivate unowned(unsafe) var older: ListenerTLS?
    fileprivate unowned(unsafe) var newer: ListenerTLS?

    init(_ listener: Listener, _ peer: PeerAddress) {
        self.listener = listener
        self.peer = peer
        super.init(nil)
    }

    deinit { leave() }

    override func currentContext() -> TLSContext? { listener.door?.context }

    override func handshakeBegan() {
        listener.door?.ownHandshakes.add(self)
    }

    override func handshakeEnded() { leave() }

    override func failed(_ failure: TLSFailure) {
        leave()
        guard let untold = listener.door?.mayComplain() else { return }
        let more = untold > 0 ? " \(untold) more failures were not logged." : ""
        listener.broker.events.log(
            Int32(MARTLET_LOG_NOTICE),
            "TLS with \(peer.text) on \(listener.options.name) ended (\(failure.reason)): \(failure.text).\(more)")
    }

    private func leave() {
        handshakes?.remove(self)
    }
}

/// TLS handshakes under way on one loop, oldest first. A handshake costs memory as soon as it has begun, and a peer may
/// leave it at that: beyond the limit the oldest ends. One that makes progress is over long before its turn comes.
final class Handshakes: @unchecked Sendable {
    private let limit: Int
    private(set) var count = 0
    private unowned(unsafe) var oldest: ListenerTLS?
    private unowned(unsafe) var newest: ListenerTLS?

    init(limit: Int) { self.limit = limit }

    func add(_ layer: ListenerTLS) {
        if count == limit, let oldest {
            oldest.abandon(TLSFailure(.crowded, "other handshakes needed its place"))
        }
        layer.older = newest
        if let newest { newest.newer = layer } else { oldest = layer }
        newest = layer
        layer.handshakes = self
        count += 1
    }

    func remove(_ layer: ListenerTLS) {
        if let older = layer.older { older.newer = layer.newer } else { oldest = layer.newer }
        if let newer = layer.newer { newer.older = layer.older } else { newest = layer.older }
        layer.older = nil
        layer.newer = nil
        count -= 1
        layer.handshakes = nil
    }
}
