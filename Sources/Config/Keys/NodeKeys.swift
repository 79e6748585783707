// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Node"

    static let node: [ConfigKey] = [
        core(
            section, "node.name", .string, default: "martlet@127.0.0.1", sample: shown, "What this broker calls itself."
        ),
        core(
            section, "node.loops", .int(0...63), default: "auto", words: ["auto": "0"], range: "auto | 1..63",
            "Event loops, each a thread with its own connections and sessions; auto takes one for each processor "
                + "core that this process may use, of a machine or a container."),
        core(
            section, "node.blocking_threads", .int(1...64), default: "4",
            "Threads for plugin work that may wait, such as a database call."),
        core(
            section, "node.max_inbox", .bytes(1 << 16...1 << 32), default: "4MB",
            "Messages that may wait in memory on their way to one event loop; beyond it their publishers are read "
                + "more slowly."),
        core(
            section, "node.huge_pages", .bool, default: "on",
            "Whether memory that is in use nearly everywhere is moved into huge pages, which makes messages among many "
                + "thousands of connections cheaper. Needs Linux 6.1."),
        core(section, "node.data_dir", .path, default: "data", "Where the broker keeps what must survive a restart."),
        core(
            section, "ctl.socket", .path, default: "data/martlet.sock",
            "The socket of martlet_ctl; only the broker's user may open it."),
    ]
}
