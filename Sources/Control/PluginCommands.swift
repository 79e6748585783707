// SPDX-License-Identifier: Apache-2.0
import PluginHost

extension Control {
    func registerPlugins() {
        let usage = [
            CommandUsage("plugins list", "Show loaded plugins"),
            CommandUsage("plugins show <Plugin>", "Show a plugin, what it registered and what it costs"),
            CommandUsage("plugins load <Plugin>", "Load plugin"),
            CommandUsage("plugins unload <Plugin>", "Unload plugin"),
            CommandUsage("plugins reload <Plugin>", "Replace a loaded plugin by its file on disk"),
            CommandUsage("plugins reconfigure <Plugin>", "Have a loaded plugin read its conf file again"),
        ]
        register("plugins", usage) { [unowned self] call throws(CommandFailure) in
            let words = call.words
            switch (words.first, words.count) {
            case ("list", 1): for plugin in host.list() { call.print(plugin.line + "\n") }
            case ("show", 2): try show(words[1], call)
            case ("load", 2): try load(words[1], call)
            case ("unload", 2): try unload(words[1], call)
            case ("reload", 2): try reload(words[1], call)
            case ("reconfigure", 2):
                try told("reconfigure") { () throws(PluginError) in
                    call.print("Plugin \(try host.reconfigure(words[1]).line).\n")
                }
            default: throw .usage
            }
        }
    }

    private func show(_ name: String, _ call: CommandCall) throws(CommandFailure) {
        try told("show") { () throws(PluginError) in
            for (key, value) in try host.show(name) { call.print("\(padded(key, 20)): \(value)\n") }
        }
    }

    private func load(_ name: String, _ call: CommandCall) throws(CommandFailure) {
        try told("load") { () throws(PluginError) in
            let report = try host.load(name)
            call.print("Start apps: [\(report.name)]\nPlugin \(report.name) loaded successfully.\n")
            for note in report.notes { call.print(note + "\n") }
        }
    }

    private func unload(_ name: String, _ call: CommandCall) throws(CommandFailure) {
        try told("unload") { () throws(PluginError) in
            let report = try host.unload(name)
            call.print("Plugin \(report.name) unloaded successfully.\n")
            if let resident = report.resident { call.print("\(report.name): \(resident).\n") }
            for note in report.notes { call.print(note + "\n") }
        }
    }

    private func reload(_ name: String, _ call: CommandCall) throws(CommandFailure) {
        try told("reload") { () throws(PluginError) in
            let report = try host.reload(name)
            call.print("Plugin \(report.name) reloaded successfully.\n")
            for note in report.notes { call.print(note + "\n") }
        }
    }

    private func told(_ verb: String, _ body: () throws(PluginError) -> Void) throws(CommandFailure) {
        do throws(PluginError) {
            try body()
        } catch {
            throw .sentence("\(verb) plugin error: \(error.sentence)")
        }
    }

    func registerHooks() {
        register("hooks", [CommandUsage("hooks", "List every hook, auth and acl chain in calling order")]) {
            [unowned self] call throws(CommandFailure) in
            guard call.words.isEmpty else { throw .usage }
            for line in host.chainLines() {
                call.print(
                    "Hook(\(line.chain), plugin=\(line.plugin), priority=\(line.priority), filter=\(line.filter), "
                        + (line.retainOnly ? "only=retain, " : "")
                        + "calls=\(line.cost.calls), errors=\(line.cost.errors), p50=\(line.cost.percentileNS(0.5))ns, "
                        + "p99=\(line.cost.percentileNS(0.99))ns)\n")
            }
        }
        register("alarms", [CommandUsage("alarms list", "List active alarms")]) {
            [unowned self] call throws(CommandFailure) in
            guard call.words == ["list"] else { throw .usage }
            for alarm in host.alarms.list() {
                call.print(
                    "Alarm(\(alarm.id), severity=\(alarm.severity), title=\(alarm.title), summary=\(alarm.summary), "
                        + "plugin=\(alarm.plugin), raised_at=\(alarm.raisedAt / 1000))\n")
            }
        }
    }
}
