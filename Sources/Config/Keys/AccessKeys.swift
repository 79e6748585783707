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
            section, "mqtt.acl_cache_size", .int(1...1 << 24), default: "4096",
            "Answers each event loop remembers of all its clients, rounded up to a power of two and 40 bytes each; a "
                + "new answer takes the place of an older one."),
        core(
            section, "mqtt.acl_cache_ttl", .duration(1000...Int.max), default: "1m", aliases: ["acl_cache_ttl"],
            "How long an answer is remembered."),
        core(
            section, "auth.defer_timeout", .duration(10...600_000), default: "5s",
            "A client whose auth or ACL answer takes longer is refused."),
        core(
            section, "hook.defer_timeout", .duration(10...600_000), default: "5s",
            "A publish or subscribe that a plugin holds back longer goes on without its answer."),
    ]

    static let allowAnonymous = ConfigType.enumeration(["loopback", "true", "false"])
    static let anonymousWords = ["on": "true", "yes": "true", "off": "false", "no": "false"]
}
