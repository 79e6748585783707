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

    public func reloadCertificates(_ name: String?) -> [(name: String, complaint: String?)] {
        all.filter { $0.options.tls != nil && (name == nil || $0.options.name == name) }.map { listener in
            do {
                try listener.reloadCertificates()
                return (listener.options.name, nil)
            } catch {
                return (listener.options.name, "Listener \(listener.options.name) keeps its certificates: \(error)")
            }
        }
    }
}

extension Listener {
    fileprivate var info: ListenerInfo {
        let counts = self.counts
        var info = ListenerInfo(
            name: options.name, address: options.address, isOpen: isOpen, acceptors: acceptors,
            maxClients: options.maxConnections, currentClients: counts.current, pauses: pauseCount,
            shutdowns: counts.shutdowns, certificateEnd: certificateEnd)
        info.unansweredPings = unansweredPings
        return info
    }
}
