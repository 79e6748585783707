// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Broker"

    static let broker: [ConfigKey] = [
        core(
            section, "broker.sys_interval", .anyDuration, default: "1m", aliases: ["mqtt.broker.sys_interval"],
            "How often the statistics under $SYS are published; 0 never."),
        core(
            section, "broker.sys_heartbeat", .anyDuration, default: "30s",
            "How often $SYS/.../uptime and datetime are published; 0 never."),
        core(
            section, "broker.shared_subscription_strategy",
            .enumeration(["random", "round_robin", "sticky", "hash_clientid", "hash_topic", "local"]),
            default: "round_robin", words: ["round_robbin": "round_robin", "hash": "hash_clientid"],
            "Which member of a shared subscription gets a message."),
        core(
            section, "broker.shared_redispatch", .enumeration(["standard", "all"]), default: "standard",
            "What goes to another member when one leaves. standard: what waits for it and QoS 1 it has not "
                + "acknowledged; a QoS 2 message it was sent stays with its session, as MQTT 5 demands. all: QoS 2 it was "
                + "sent and has not answered, too, which the group may then see twice."),
    ]
}
