// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import Reactor
import TLS

/// The TLS of one client of a listener.
final class ListenerTLS: TLSLayer, @unchecked Sendable {
    private unowned let listener: Listener
    private let peer: PeerAddress

    init(_ listener: Listener, _ peer: PeerAddress) {
        self.listener = listener
        self.peer = peer
        super.init(nil)
    }

    override func currentContext() -> TLSContext? { listener.door?.context }

    override func handshakePlaces() -> Handshakes? { listener.door?.ownHandshakes }

    override func failed(_ failure: TLSFailure) {
        guard let untold = listener.door?.mayComplain() else { return }
        let more = untold > 0 ? " \(untold) more failures were not logged." : ""
        listener.broker.events.log(
            Int32(MARTLET_LOG_NOTICE),
            "TLS with \(peer.text) on \(listener.options.name) ended (\(failure.reason)): \(failure.text).\(more)")
    }
}
