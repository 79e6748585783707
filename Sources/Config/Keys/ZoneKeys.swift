// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Zones"

    /// EMQ 3.0's option name and the key whose value holds where a zone does not set it.
    private static let inherited: [(option: String, from: String)] = [
        ("allow_anonymous", "mqtt.allow_anonymous"), ("acl_nomatch", "mqtt.acl_nomatch"),
        ("acl_deny_action", "mqtt.acl_deny_action"),
        ("idle_timeout", "mqtt.idle_timeout"), ("publish_limit", "mqtt.publish_limit"),
        ("max_packet_size", "mqtt.max_packet_size"), ("max_clientid_len", "mqtt.max_clientid_len"),
        ("long_clientids", "mqtt.long_clientids"),
        ("max_topic_levels", "mqtt.max_topic_levels"), ("max_qos_allowed", "mqtt.max_qos_allowed"),
        ("max_topic_alias", "mqtt.max_topic_alias"), ("retain_available", "mqtt.retain_available"),
        ("wildcard_subscription", "mqtt.wildcard_subscription"), ("shared_subscription", "mqtt.shared_subscription"),
        ("subscription_ids", "mqtt.subscription_ids"), ("ignore_loop_deliver", "mqtt.ignore_loop_deliver"),
        ("use_username_as_clientid", "mqtt.use_username_as_clientid"), ("server_keepalive", "mqtt.server_keepalive"),
        ("redirect", "mqtt.redirect"), ("server_reference", "mqtt.server_reference"),
        ("keepalive_backoff", "mqtt.keepalive_backoff"), ("max_subscriptions", "mqtt.session.max_subscriptions"),
        ("upgrade_qos", "mqtt.session.upgrade_qos"), ("max_inflight", "mqtt.session.max_inflight"),
        ("retry_interval", "mqtt.session.retry_interval"), ("max_awaiting_rel", "mqtt.session.max_awaiting_rel"),
        ("await_rel_timeout", "mqtt.session.await_rel_timeout"),
        ("session_expiry_interval", "mqtt.session.expiry_interval"), ("max_mqueue_len", "mqtt.mqueue.max_length"),
        ("max_mqueue_bytes", "mqtt.mqueue.max_bytes"), ("mqueue_drop", "mqtt.mqueue.drop"),
        ("mqueue_priorities", "mqtt.mqueue.priority"), ("mqueue_default_priority", "mqtt.mqueue.default_priority"),
        ("mqueue_store_qos0", "mqtt.mqueue.store_qos0"), ("reason_strings", "mqtt.reason_strings"),
        ("payload_format_check", "mqtt.payload_format_check"),
    ]

    static let zone: [ConfigKey] =
        own
        + inherited.map { option, from in
            let global = (access + mqtt + session + mqueue).first { $0.name == from }!
            return core(
                section, "zone.*.\(option)", global.type, words: global.words, range: global.range, inherits: from,
                pending: global.noEffect,
                sample: sample, "\(from) for the clients of this zone.")
        }

    private static let sample = ConfigKey.Sample(name: "external")

    private static let own: [ConfigKey] = [
        core(
            section, "zone.*.enable_acl", .bool, default: "on", sample: sample,
            "Whether the ACL plugins are asked about the clients of this zone."),
        core(
            section, "zone.*.enable_ban", .bool, default: "on", sample: sample,
            "Whether the list of banned clients holds for this zone."),
        core(
            section, "zone.*.mountpoint", .string, sample: .init(name: "external", value: "external/%u/"),
            "Put before every topic of the zone's clients and taken off on delivery; %c is the client id, %u the "
                + "user name. A client in whose name there is a /, + or # is refused where that would stand in it."
        ),
    ]
}
