// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "MQTT"

    static let mqtt: [ConfigKey] = packetKeys + capabilityKeys + connectionKeys

    private static let packetKeys: [ConfigKey] = [
        core(
            section, "mqtt.max_packet_size", .bytes(64...1 << 28), default: "2MB", sample: shown,
            "A larger packet from a client ends its connection; MQTT 5 clients are told the limit. It counts the whole "
                + "packet: with 2MB a payload of 1 MB fits."),
        core(
            section, "mqtt.max_clientid_len", .int(1...65_535), default: "65535",
            "A longer client id is refused, in bytes."),
        core(
            section, "mqtt.long_clientids", .bool, default: "on",
            "Whether MQTT 3.1 clients may have client ids longer than the 23 bytes of their specification."),
        core(
            section, "mqtt.max_topic_levels", .int(0...65_535), default: "256",
            "Levels a topic or filter may have; 0 sets no limit."),
        core(
            section, "mqtt.max_topic_alias", .int(0...65_535), default: "10",
            "Topic aliases an MQTT 5 client may use towards the broker."),
        core(
            section, "mqtt.response_topic_prefix", .string, sample: .init(value: "response/"),
            "Given as response information to an MQTT 5 client that asks for it; nothing is given when not set."),
    ]

    private static let capabilityKeys: [ConfigKey] = [
        core(section, "mqtt.max_qos_allowed", .int(0...2), default: "2", "The highest QoS a client may publish with."),
        core(section, "mqtt.retain_available", .bool, default: "on", "Whether clients may publish retained messages."),
        core(
            section, "mqtt.wildcard_subscription", .bool, default: "on", "Whether filters may contain + and #."),
        core(
            section, "mqtt.shared_subscription", .bool, default: "on",
            "Whether clients may subscribe to $share/GROUP/FILTER."),
        core(
            section, "mqtt.subscription_ids", .bool, default: "on",
            "Whether MQTT 5 clients may give their subscriptions identifiers."),
        core(
            section, "mqtt.ignore_loop_deliver", .bool, default: "off", aliases: ["mqtt.session.ignore_loop_deliver"],
            "Whether a client is spared the messages it published itself."),
        core(
            section, "mqtt.payload_format_check", .bool, default: "on",
            "Whether a message whose payload format indicator says UTF-8 must be UTF-8: one that is not ends the "
                + "publisher's connection with 0x99."),
        core(
            section, "mqtt.reason_strings", .bool, default: "off",
            "Whether MQTT 5 clients are told in words, too, why something was refused or their connection ended; one "
                + "that asks for no problem information is not, and no packet grows beyond what the client takes."),
        core(
            section, "mqtt.use_username_as_clientid", .bool, default: "off",
            "Whether the user name takes the place of the client id."),
    ]

    private static let connectionKeys: [ConfigKey] = [
        core(
            section, "mqtt.idle_timeout", .duration(100...Int.max), default: "15s",
            aliases: ["mqtt.client.idle_timeout"],
            "A connection that has not sent its CONNECT by then is closed."),
        core(
            section, "mqtt.server_keepalive", .int(0...65_535), default: "0", range: "0..65535 seconds",
            "Longest keep alive in seconds that an MQTT 5 client may have: one that asks for more, or for none, is told "
                + "this one. 0 leaves it to the clients."),
        core(
            section, "mqtt.redirect", .enumeration(["off", "use_another_server", "server_moved"]), default: "off",
            "Refuses every new client with this code and tells it mqtt.server_reference: for a server that is being "
                + "emptied for the time (use_another_server, 0x9C) or for good (server_moved, 0x9D). 3.x clients get "
                + "return code 3. Those that are in stay until clients redirect sends them away."),
        core(
            section, "mqtt.server_reference", .string, sample: .init(name: "", value: "broker2.example.com:1883"),
            "Where clients are sent, as MQTT 5 has it: host:port, or several with spaces between."),
        core(
            section, "mqtt.keepalive_backoff", .decimal(0.75...10), default: "0.75",
            "A client is gone when nothing came for its keep alive times twice this: 0.75 gives the 1.5 of the "
                + "specification."
        ),
        core(
            section, "mqtt.publish_limit", .countRate, default: "0", aliases: ["mqtt.client.max_publish_rate"],
            "Messages a client may publish in a time (10,1m) or in a second (10); beyond it the broker reads more "
                + "slowly. 0 sets no limit."),
        core(
            section, "mqtt.output_high_water", .bytes(1 << 12...1 << 30), default: "512KB",
            "With this much unsent to a client its QoS 1 and 2 messages wait in its queue, and those who publish to it "
                + "are read more slowly for a moment; if it takes nothing, its QoS 0 messages are dropped."),
        core(
            section, "mqtt.max_output_buffer", .bytes(1 << 12...1 << 32), default: "4MB",
            "With this much unsent to a client its QoS 0 messages are dropped in any case, and nothing more is read "
                + "from it; the drops are counted as messages/dropped/slow."),
    ]
}
