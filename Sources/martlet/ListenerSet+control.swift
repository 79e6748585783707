// SPDX-License-Identifier: Apache-2.0
import Broker
import Control
import Net

/// What `listeners` shows and does.
extension ListenerSet: ListenerControl {
    public var infos: [ListenerInfo] { all.map(\.info) }

    public func start(_ name: String) -> String? {
        guard let listener = listener(name) else { return "there is no listener of this name." }
        do {
            try open(listener)
            return nil
        } catch {
            return "\(error)"
        }
    }

    public func stop(_ name: String) { listener(name)?.stop() }
}

extension Listener {
    fileprivate var info: ListenerInfo {
        let counts = self.counts
        return ListenerInfo(
            name: options.name, address: options.address, isOpen: isOpen, acceptors: acceptors,
            maxClients: options.maxConnections, currentClients: counts.current, pauses: pauseCount,
            shutdowns: counts.shutdowns)
    }
}
