// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Session"

    static let session: [ConfigKey] = [
        core(
            section, "mqtt.session.max_subscriptions", .count, default: "0",
            "Subscriptions a client may hold; 0 sets no limit."),
        core(
            section, "mqtt.session.upgrade_qos", .bool, default: "off",
            "Whether a message is delivered with the higher instead of the lower of its QoS and the subscription's."),
        core(
            section, "mqtt.session.max_inflight", .int(0...65_535), default: "32",
            "QoS 1 and 2 messages on their way to a client at once; 0 leaves it to the client."),
        core(
            section, "mqtt.session.retry_interval", .anyDuration, default: "20s",
            "An unacknowledged message is sent again to an MQTT 3.x client after this time; 0 waits until the client "
                + "reconnects, which is what MQTT 5 demands for its clients always."),
        core(
            section, "mqtt.session.max_awaiting_rel", .int(0...65_535), default: "100",
            "QoS 2 messages from a client that wait for its PUBREL; 0 leaves it to the client."),
        core(
            section, "mqtt.session.await_rel_timeout", .duration(1000...Int.max), default: "300s",
            "How long a QoS 2 message from a client waits for its PUBREL."),
        core(
            section, "mqtt.session.expiry_interval", .duration(0...4_294_967_295_000), default: "2h",
            words: ["infinity": "4294967295s"], range: "0.. | infinity",
            "How long the session of an MQTT 3.x client without clean session outlives its connection, and the "
                + "longest that an MQTT 5 client may ask for."),
    ]
}
