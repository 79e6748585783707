// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    /// What an EMQ user's file may contain although Martlet has no use for it.
    static let withoutEffect: [ConfigKey] =
        erlang + registry + sharedTables + listenerTuning + single + elsewhere + logFiles + notInThisVersion

    private static let erlang =
        without(
            effect: "it steers the Erlang virtual machine, and Martlet is a native program",
            "node.cookie", "node.smp", "node.heartbeat", "node.kernel_poll", "node.async_threads", "node.process_limit",
            "node.max_ports", "node.dist_buffer_size", "node.max_ets_tables", "node.fullsweep_after", "node.crash_dump",
            "node.proto_dist", "node.ssl_dist_optfile", "node.dist_net_ticktime", "node.dist_listen_min",
            "node.dist_listen_max", "mqtt.conn.force_gc_count", "zone.*.force_gc_policy", "sysmon.long_gc",
            "sysmon.large_heap", "sysmon.busy_port", "sysmon.busy_dist_port", "log.crash", "log.crash.file")
        + without(
            effect: "every event loop has its own table, there is no pool to size",
            "mqtt.pubsub.pool_size", "mqtt.pubsub.async")

    private static let registry =
        without(
            effect: "a client id lives once in the broker, always",
            "broker.enable_session_registry", "broker.session_locking_strategy")
        + without(
            effect: "an event loop cleans its routes as it goes",
            "broker.route_batch_clean")
        + without(
            effect: "statistics of clients and sessions are always counted",
            "mqtt.client.enable_stats", "mqtt.session.enable_stats", "zone.*.enable_stats")

    private static let sharedTables =
        without(
            effect: "all clients of an event loop share one table of ACL answers, mqtt.acl_cache_size is its size",
            "acl_cache_max_size", "mqtt.acl_cache_max_size")

    private static let listenerTuning =
        listenerFamilies.flatMap { family in
            without(effect: "every event loop accepts connections by itself", "listener.\(family.name).*.acceptors")
                + without(
                    effect: "all connections of an event loop share one receive buffer",
                    "listener.\(family.name).*.active_n", "listener.\(family.name).*.buffer",
                    "listener.\(family.name).*.tune_buffer")
        }
        + listenerFamilies.filter { $0.parts.contains(.tls) }.flatMap { family in
            without(
                effect: "a client can never renegotiate: TLS 1.3 has no renegotiation, and in TLS 1.2 it is off",
                "listener.\(family.name).*.secure_renegotiate")
        }

    private static let single = without(
        effect: "this version is a single node",
        "cluster.*", "cluster.*.*", "rpc.*", "broker.shared_dispatch_ack_enabled")

    private static let elsewhere =
        without(
            effect: "the acl_file plugin reads the rules, set its file in etc/plugins/acl_file.conf",
            "acl_file", "mqtt.acl_file")

    private static let logFiles = without(
        effect: "one log file takes the lines of every level",
        "log.info.file", "log.info.size", "log.info.count", "log.error.file", "log.error.size", "log.error.count",
        "log.syslog", "log.syslog.level")

    private static let notInThisVersion =
        without(
            effect: "this version has no modules plugin",
            "module.*", "module.*.*", "module.*.*.*", "module.*.*.*.*")
        + without(
            effect: "this version has no bridges",
            "bridge.*.*", "bridge.*.*.*", "bridge.*.*.*.*", "mqtt.bridge.max_queue_len",
            "mqtt.bridge.ping_down_interval")
}
