// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Message queue"

    static let mqueue: [ConfigKey] = [
        core(
            section, "mqtt.mqueue.type", .enumeration(["simple", "priority"]), default: "simple",
            "One queue for each session, or one for each priority of mqtt.mqueue.priority."),
        core(
            section, "mqtt.mqueue.priority", .list, default: "", words: ["none": ""], range: "TOPIC=0..255, ...",
            sample: .init(value: "topic/1=10,topic/2=8"),
            "Topics and their priorities, the higher ones first; used with type priority."),
        core(
            section, "mqtt.mqueue.default_priority", .enumeration(["lowest", "highest"]), default: "lowest",
            "Where topics without a priority stand."),
        core(
            section, "mqtt.mqueue.max_length", .count, default: "100000",
            "Messages that wait for a client that is away or busy; 0 sets no limit but mqtt.mqueue.max_bytes."),
        core(
            section, "mqtt.mqueue.max_bytes", .bytes(1024...1 << 40), default: "64MB",
            "Bytes of the messages that wait for one client."),
        core(
            section, "mqtt.mqueue.drop", .enumeration(["oldest", "newest", "qos0_first"]), default: "oldest",
            "What a full queue gives up: its oldest message, the new one, or its oldest of QoS 0 if there is one."),
        core(
            section, "mqtt.mqueue.store_qos0", .bool, default: "on",
            "Whether QoS 0 messages wait too; off drops them when they cannot be sent at once."),
        core(
            section, "mqtt.mqueue.low_watermark", .percent, default: "20%",
            "The alarm of a filled queue ends below this part of mqtt.mqueue.max_length."),
        core(
            section, "mqtt.mqueue.high_watermark", .percent, default: "60%",
            "A queue filled beyond this part of mqtt.mqueue.max_length raises an alarm."),
    ]
}
