// SPDX-License-Identifier: Apache-2.0
import Broker
import TLS

/// All listeners of a broker, by name. [main]
public final class ListenerSet {
    public let all: [Listener]

    /// - Parameter keys: finds the shared keys of TLS clients that come with one.
    public init(_ options: [ListenerOptions], broker: Broker, keys: TLSContext.KeyLookup? = nil) {
        all = options.map { Listener($0, broker: broker, keys: keys) }
    }

    /// - Parameter name: "tcp:external"
    public func listener(_ name: String) -> Listener? { all.first { $0.options.name == name } }

    /// An address belongs to one listener; a port may be shared by a listener on every interface and others on one.
    public func open(_ listener: Listener) throws(ListenerError) {
        let port = listener.options.port
        let beside = all.filter { $0 !== listener && $0.isOpen && $0.options.port == port }
        if let other = beside.first(where: { $0.options.host == listener.options.host }) {
            throw ListenerError(
                description: "Listener \(listener.options.name) on \(listener.options.address): "
                    + "the listener \(other.options.name) has this address already.")
        }
        try listener.open(beside: !beside.isEmpty)
    }

    public func stop() {
        for listener in all { listener.stop() }
    }
}
