// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// The keys of etc/plugins/retainer.conf. The limits are read by every loop and changed by the control thread.
final class Settings {
    private let maxMessages = Atomic<Int>(0)
    private let maxPayload = Atomic<Int>(0)
    private let expiry = Atomic<Int>(0)
    private(set) var storage = StorageType.disc
    private(set) var directory = ""

    /// Retained messages; 0: no limit.
    var messageLimit: Int { maxMessages.load(ordering: .relaxed) }
    /// Bytes; 0: no limit.
    var payloadLimit: Int { maxPayload.load(ordering: .relaxed) }
    /// For messages without an expiry of their own, in milliseconds; 0: they stay.
    var defaultExpiry: Int64 { Int64(expiry.load(ordering: .relaxed)) }

    static var keys: [ConfigKey] {
        [
            .choice(
                "retainer.storage_type", "ram|disc|disc_only", default: "disc", .immutable,
                help: "Where retained messages live: in memory, in memory and on disc, or bodies on disc only."),
            .path(
                "retainer.dir", default: "data/retainer", .immutable,
                help: "The directory of the database for disc and disc_only. Never on a network file system."),
            .int(
                "retainer.max_message_num", default: "1000000", range: "0..",
                help: "The most retained messages. 0: no limit."),
            .int(
                "retainer.max_retained_messages", range: "0..", example: "1000000",
                help: "Another name of retainer.max_message_num, which it overrides when it is set."),
            .bytes(
                "retainer.max_payload_size", default: "1MB",
                help: "A message with a larger payload is delivered but not retained. 0: no limit."),
            .duration(
                "retainer.expiry_interval", default: "0",
                help: "How long a message stays that has no message expiry of its own. 0: for ever. $SYS stays."),
        ]
    }

    /// [main] `declare` has succeeded.
    func read(_ config: Config) throws(PluginError) {
        storage = StorageType(rawValue: UInt8(clamping: try config.int("retainer.storage_type"))) ?? .disc
        directory = try config.string("retainer.dir")
        try readLimits(config)
    }

    /// [main] What may change while the plugin runs.
    func readLimits(_ config: Config) throws(PluginError) {
        let messages = try config.int("retainer.max_message_num")
        maxMessages.store(try config.optionalInt("retainer.max_retained_messages") ?? messages, ordering: .relaxed)
        maxPayload.store(try config.int("retainer.max_payload_size"), ordering: .relaxed)
        expiry.store(try config.int("retainer.expiry_interval"), ordering: .relaxed)
    }
}
