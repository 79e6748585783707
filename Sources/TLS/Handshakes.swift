// SPDX-License-Identifier: Apache-2.0

/// TLS handshakes under way on one loop, oldest first. A handshake costs memory as soon as it has begun, and a peer may
/// leave it at that: beyond the limit the oldest ends. One that makes progress is over long before its turn comes.
public final class Handshakes: @unchecked Sendable {
    private let limit: Int
    public private(set) var count = 0
    private unowned(unsafe) var oldest: TLSLayer?
    private unowned(unsafe) var newest: TLSLayer?

    public init(limit: Int) { self.limit = limit }

    func add(_ layer: TLSLayer) {
        if count == limit, let oldest {
            oldest.abandon(TLSFailure(.crowded, "other handshakes needed its place"))
        }
        layer.older = newest
        if let newest { newest.newer = layer } else { oldest = layer }
        newest = layer
        layer.places = self
        count += 1
    }

    func remove(_ layer: TLSLayer) {
        if let older = layer.older { older.newer = layer.newer } else { oldest = layer.newer }
        if let newer = layer.newer { newer.older = layer.older } else { newest = layer.older }
        layer.older = nil
        layer.newer = nil
        count -= 1
        layer.places = nil
    }
}
