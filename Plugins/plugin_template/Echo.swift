// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Sends back what comes in over TCP and UDP, where the configuration names an address.
struct Echo {
    static var keys: [ConfigKey] {
        [
            .string(
                "template.tcp_echo", .immutable, example: "127.0.0.1:7007",
                help: "Accept TCP connections here and send back what they send."),
            .string(
                "template.udp_echo", .immutable, example: "127.0.0.1:7007",
                help: "Receive datagrams here and send them back."),
        ]
    }

    static func start(_ host: Host) throws(PluginError) {
        if let address = try host.config.optionalString("template.tcp_echo") {
            // With `rebound` its clients stay connected through `plugins reload`.
            try host.net.listenTCP("tcp_echo", on: address, rebound: { _, _, _ in EchoPeer() }) { _, _ in EchoPeer() }
        }
        if let address = try host.config.optionalString("template.udp_echo") {
            let listener = EchoListener()
            listener.registration = try host.net.listenUDP("udp_echo", on: address) { peer, bytes in
                if let from = listener.registration { host.net.send(bytes, to: peer, from: from) }
            }
        }
    }
}

/// What datagrams are sent from; known once the listener is there.
private final class EchoListener {
    var registration: Registration?
}

private final class EchoPeer: Peer {
    override func data(_ connection: Connection, _ bytes: Bytes) -> Int {
        guard connection.send(bytes) == .busy else { return bytes.count }
        // It does not read: nothing more is taken from it until there is room again.
        connection.pause()
        return 0
    }
    override func writable(_ connection: Connection) { connection.resume() }
}
