// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Access control"

    static let access: [ConfigKey] = [
        core(
            section, "mqtt.allow_anonymous", allowAnonymous, default: "loopback", aliases: ["allow_anonymous"],
            words: anonymousWords, sample: shown,
            "Whether a client may connect that no auth plugin knows: from this machine only, from anywhere, or not "
                + "at all. With true, wrong passwords get in too as long as no auth plugin refuses them."),
        core(
            section, "mqtt.acl_nomatch", .enumeration(["allow", "deny"]), default: "allow", aliases: ["acl_nomatch"],
            sample: shown, "What holds for a publish or subscribe that no ACL rule decides."),
        core(
            section, "mqtt.acl_deny_action", .enumeration(["ignore", "disconnect"]), default: "ignore",
            aliases: ["acl_deny_action"],
            "What a client meets that publishes where it may not: the message is dropped and refused, or the "
                + "connection ends."
        ),
        core(
            section, "mqtt.acl_deny_suback", .enumeration(["not_authorized", "unspecified_error"]),
            default: "not_authorized",
            "What an MQTT 5 client is told of a filter the ACL denies: 0x87, or 0x80 for clients that expect it. "
                + "MQTT 3.1.1 clients get 0x80 always."),
        core(
            section, "mqtt.acl_cache", .bool, default: "on", aliases: ["enable_acl_cache", "mqtt.cache_acl"],
            "Whether the answers of the ACL plugins are remembered."),
        core(
            section, "mqtt.acl_cache_size", .int(1...1 << 24), default: "65536",
            "Answers each event loop remembers at most of all its clients, rounded up to a power of two and at least 2, 32 "
                + "bytes each. The table begins with 4096 and grows when answers push each other out."),
        core(
            section, "mqtt.acl_cache_ttl", .duration(1000...Int.max), default: "1m", aliases: ["acl_cache_ttl"],
            "How long an answer is remembered."),
        core(
            section, "auth.defer_timeout", .duration(10...600_000), default: "5s",
            "A client whose auth or ACL answer takes longer is refused."),
        core(
            section, "hook.defer_timeout", .duration(10...600_000), default: "5s",
            "A publish or subscribe that a plugin holds back longer is dropped, or refused."),
    ]

    static let flapping: [ConfigKey] = [
        core(
            section, "flapping_detect.enable", .bool, default: "off",
            "Whether a client id whose connections end too often is banned for a while. It is refused then with "
                + "0x8A and listed by martlet_ctl banned list."),
        core(
            section, "flapping_detect.max_count", .int(1...1000), default: "15",
            "Ends of its connections that a client id may have within flapping_detect.window_time."),
        core(
            section, "flapping_detect.window_time", .duration(1000...86_400_000), default: "1m",
            "The time within which they count."),
        core(
            section, "flapping_detect.ban_time", .duration(1000...31_536_000_000), default: "5m",
            "How long the client id is banned."),
    ]

    static let allowAnonymous = ConfigType.enumeration(["loopback", "true", "false"])
    static let anonymousWords = ["on": "true", "yes": "true", "off": "false", "no": "false"]
}
