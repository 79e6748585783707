// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    /// EMQ 2.3's one switch for all listeners.
    static let webSocket: [ConfigKey] = [
        core(
            listenerSection, "mqtt.websocket_protocol_header", .bool, default: "on",
            "Whether a client must offer a subprotocol of MQTT (Sec-WebSocket-Protocol: mqtt), on listeners that do "
                + "not say otherwise.")
    ]

    static func webSocketOptions(_ family: ListenerFamily) -> [ConfigKey] {
        [
            family.option(
                "mqtt_path", .string, default: "/mqtt", shown: family.name == "ws",
                "The path that clients ask for; any other is not found."),
            family.option(
                "verify_protocol_header", .bool, aliases: ["websocket_protocol_header"],
                inherits: "mqtt.websocket_protocol_header", "mqtt.websocket_protocol_header for this listener."),
            family.option(
                "proxy_address_header", .string, example: "X-Forwarded-For",
                "The header in which a proxy in front names the client; its first address is taken for the client's, "
                    + "and the access rules hold for it too. Set it only where nobody but the proxy can connect: "
                    + "anybody may write the header."),
            family.option(
                "proxy_port_header", .string, example: "X-Forwarded-Port", "The header with the client's port."),
            family.option(
                "allowed_origins", .list, example: "https://example.com",
                "Web pages that may connect, by their origin; all when not set. Programs that are no browser send "
                    + "none and are not asked."),
        ]
    }
}
