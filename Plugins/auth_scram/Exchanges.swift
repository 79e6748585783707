// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// One exchange between the server's challenge and the client's proof.
final class Exchange {
    let client: martlet_client
    /// Milliseconds of the monotonic clock.
    let expires: Int64
    let username: [UInt8]
    let credential: Credential
    let isKnown: Bool
    /// The gs2-header the proof must repeat.
    let header: [UInt8]
    /// The client's nonce and ours.
    let nonce: [UInt8]
    /// AuthMessage of RFC 5802 §3 up to its third part, with both commas.
    let messages: [UInt8]

    init(
        client: martlet_client, expires: Int64, username: [UInt8], credential: Credential, isKnown: Bool,
        header: [UInt8], nonce: [UInt8], messages: [UInt8]
    ) {
        self.client = client
        self.expires = expires
        self.username = username
        self.credential = credential
        self.isKnown = isKnown
        self.header = header
        self.nonce = nonce
        self.messages = messages
    }
}

/// The exchanges under way on one loop. A ring of fixed size: when it is full the oldest gives way, so that clients
/// that begin and never go on cannot keep out those that finish. Used on that loop only, so nothing is locked.
final class Exchanges {
    private var ring: [Exchange?]
    private var places: [martlet_client: Int] = [:]
    private var next = 0

    init(size: Int) { ring = Array(repeating: nil, count: max(1, size)) }

    var count: Int { places.count }

    /// An exchange of the same client that was under way is over.
    func begin(_ exchange: Exchange) {
        drop(exchange.client)
        if let oldest = ring[next] { places[oldest.client] = nil }
        ring[next] = exchange
        places[exchange.client] = next
        next = (next + 1) % ring.count
    }

    /// The exchange of this client, which has its one attempt with it.
    func take(_ client: martlet_client, now: Int64) -> Exchange? {
        guard let place = places.removeValue(forKey: client) else { return nil }
        let exchange = ring[place]
        ring[place] = nil
        guard let exchange, exchange.expires > now else { return nil }
        return exchange
    }

    func drop(_ client: martlet_client) {
        guard !places.isEmpty, let place = places.removeValue(forKey: client) else { return }
        ring[place] = nil
    }

    /// Lets go of what nobody will finish. From `next` on the ring goes from the oldest to the youngest.
    func expire(now: Int64) {
        guard !places.isEmpty else { return }
        for step in 0..<ring.count {
            let place = (next + step) % ring.count
            guard let exchange = ring[place] else { continue }
            guard exchange.expires <= now else { return }
            ring[place] = nil
            places[exchange.client] = nil
        }
    }
}
