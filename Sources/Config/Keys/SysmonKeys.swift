// SPDX-License-Identifier: Apache-2.0

extension CoreKeys {
    static let sysmon: [ConfigKey] = [
        core(
            "System monitor", "sysmon.long_schedule", .milliseconds(0...600_000), default: "10ms",
            pending: "this version reports calls of more than 10 ms",
            "A plugin's call on an event loop that takes longer is logged with the plugin's name; 0 logs none.")
    ]
}
