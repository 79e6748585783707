// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Sockets

/// A plugin's listener as `listeners` shows it.
public struct NetListenerInfo: Sendable {
    /// "echo:tcp"
    public var name: String
    /// "tcp" or "udp"
    public var transport: String
    public var address: String
    public var isOpen: Bool
    /// Accepting sockets, one a loop.
    public var acceptors: Int
    public var maxClients: Int
    public var currentClients: Int
    /// How connections ended; of a UDP listener, how associations did, and why datagrams were dropped.
    public var shutdowns: [String: Int]
    /// When the first certificate of its TLS profile ends, seconds since 1970.
    public var certificateEnd: Int64?
}

extension PluginHost {
    /// Listeners of all plugins, in load order.
    public func netListeners() -> [NetListenerInfo] {
        running.flatMap { instance in
            instance.net.listeners.values.sorted { $0.token < $1.token }.map { info($0, of: instance) }
        }
    }

    /// [main] Reads the files of the TLS profiles of one listener again ("echo:tcp"), or of all, and what plugins connect
    /// with. What became of each: nil, or why it keeps what it has, in one sentence.
    public func reloadNetCertificates(_ name: String?) -> [(name: String, complaint: String?)] {
        if name == nil { tlsProfiles.forget() }
        return running.flatMap { instance in
            instance.net.listeners.values.sorted { $0.token < $1.token }.compactMap { listener in
                let full = "\(instance.name):\(listener.name)"
                guard let tls = listener.tls, name == nil || name == full else { return nil }
                do throws(RegistrationError) {
                    try tls.reload()
                    return (full, nil)
                } catch {
                    return (full, "Listener \(full) keeps its certificates: \(error.text).")
                }
            }
        }
    }

    private func info(_ listener: NetListener, of instance: PluginInstance) -> NetListenerInfo {
        let name = "\(instance.name):\(listener.name)"
        var info = NetListenerInfo(
            name: name, transport: "tcp", address: listener.address.text, isOpen: false, acceptors: 0,
            maxClients: listener.maxConnections, currentClients: 0, shutdowns: [:])
        info.certificateEnd = listener.tls?.context.notAfter
        switch listener.socket {
        case .tcp(let socket, _, _):
            let counts = socket.counts
            let mqtt = broker.gatewayCounts(name)
            info.isOpen = socket.isOpen
            info.acceptors = socket.loopCount
            info.currentClients = counts.current + (mqtt?.current ?? 0)
            info.shutdowns = counts.shutdowns.merging(mqtt?.shutdowns ?? [:], uniquingKeysWith: +)
        case .udp(let socket, _, _):
            let counts = socket.counts
            info.transport = "udp"
            info.isOpen = socket.isOpen
            info.acceptors = streams.loops.count
            let associations = socket.associationCounts
            info.currentClients = associations.current
            info.shutdowns = [
                "no_association": associations.strays,
                "access_denied": counts.refused, "dropped_in": counts.overflows, "dropped_out": counts.dropped,
            ].filter { $0.value > 0 }.merging(associations.ends, uniquingKeysWith: +)
        }
        return info
    }

    /// For `plugins show`.
    func netLines(_ instance: PluginInstance) -> [String] {
        instance.net.listeners.values.sorted { $0.token < $1.token }.map { listener in
            let info = info(listener, of: instance)
            return "\(listener.name)=\(info.transport)/\(info.address)/\(info.currentClients)"
        }
    }
}

extension NetListener {
    var stats: martlet_listener_stats {
        var stats = martlet_listener_stats()
        switch socket {
        case .tcp(let listener, _, _):
            let counts = listener.counts
            stats.current = UInt32(clamping: counts.current)
            stats.accepted = UInt64(counts.accepted)
        case .udp(let listener, _, _):
            let counts = listener.counts
            let associations = listener.associationCounts
            stats.current = UInt32(clamping: associations.current)
            stats.accepted = UInt64(associations.accepted)
            stats.dgrams_in = UInt64(counts.datagramsIn)
            stats.dgrams_out = UInt64(counts.datagramsOut)
            stats.bytes_in = UInt64(counts.bytesIn)
            stats.bytes_out = UInt64(counts.bytesOut)
            stats.dropped_in = UInt64(counts.overflows + counts.refused + associations.strays)
            stats.dropped_out = UInt64(counts.dropped)
        }
        return stats
    }
}
