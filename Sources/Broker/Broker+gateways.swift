// SPDX-License-Identifier: Apache-2.0
import Reactor

/// Connections that a plugin accepted and hands over as MQTT.
extension Broker {
    /// [any] The index of a zone; an empty name is the default zone's.
    public func zone(named name: String) -> Int? {
        name.isEmpty ? 0 : settings.zones.firstIndex { $0.name == name }
    }

    /// [any] The broker's listener for what comes through a plugin's: it lives longer than the plugin, so the same name
    /// finds the same one again.
    public func gateway(_ terms: ListenerTerms) -> UInt16 { listeners.add(terms, sharing: true) }

    /// [any] Clients that came through a plugin's listener; nil when none ever did.
    public func gatewayCounts(_ name: String) -> (current: Int, shutdowns: [String: Int])? {
        listeners.find(name)?.counts
    }

    /// [loop] A transport of this loop that nobody owns: what it has received and not consumed is MQTT. Closed when the
    /// listener has no place.
    public func adopt(_ t: TransportRef, peer: PeerAddress, listener: UInt16, zone: Int) {
        let shard = Shard.current
        guard takePlace(listener) else { return shard.close(t) }
        shard.counters.count(.connectionsAccepted)
        shard.begin(t, peer: peer, listener: listener, zone: UnsafePointer(zones + zone))
    }
}
