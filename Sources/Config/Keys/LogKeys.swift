// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    private static let section = "Log"

    static let log: [ConfigKey] = [
        core(
            section, "log.to", .enumeration(["console", "file", "both", "off"]), default: "console",
            aliases: ["log.console"], sample: shown,
            "Where log lines go; under bin/martlet start there is no console and the file takes its place."),
        core(
            section, "log.level", .enumeration(["debug", "info", "notice", "warning", "error", "critical"]),
            default: "info", aliases: ["log.console.level"], words: ["alert": "critical", "emergency": "critical"],
            sample: shown, "Lines below this level are not written."),
        core(section, "log.dir", .path, default: "log", "Folder of the log files."),
        core(
            section, "log.file", .string, default: "martlet.log", aliases: ["log.console.file"],
            "Name of the log file in log.dir."),
        core(
            section, "log.rotation.size", .bytes(1 << 16...1 << 40), default: "10MB", aliases: ["log.console.size"],
            "A log file that has grown to this size is put aside and a new one begun."),
        core(
            section, "log.rotation.count", .int(1...1000), default: "5", aliases: ["log.console.count"],
            "Log files kept, the one being written included."),
    ]
}
