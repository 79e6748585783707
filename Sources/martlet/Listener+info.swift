// SPDX-License-Identifier: Apache-2.0
import Broker
import Control
import Net

extension Listener {
    /// What `listeners` shows.
    var info: ListenerInfo {
        let counts = self.counts
        return ListenerInfo(
            name: options.name, address: "\(options.host):\(options.port)", isOpen: isOpen, acceptors: acceptors,
            maxClients: options.maxConnections, currentClients: counts.current, shutdowns: counts.shutdowns)
    }
}
