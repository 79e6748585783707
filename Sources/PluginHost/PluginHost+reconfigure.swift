// SPDX-License-Identifier: Apache-2.0
import Config

/// What a reconfigure of one plugin has done.
public struct ReconfigureReport: Sendable, Equatable {
    public let name: String
    /// Keys whose new value is in force.
    public var changed: [String] = []
    /// Files that the plugin has read again, although their keys are what they were.
    public var reread: [String] = []
    /// Keys whose new value waits for the next load.
    public var waiting: [String] = []

    /// One line: `retainer: retainer.max_payload_size changed; retainer.dir waits for the next load`.
    public var line: String {
        var parts: [String] = []
        if !changed.isEmpty { parts.append("\(listed(changed)) changed") }
        if !reread.isEmpty { parts.append("\(listed(reread)) read again") }
        if !waiting.isEmpty {
            parts.append("\(listed(waiting)) \(waiting.count == 1 ? "waits" : "wait") for the next load")
        }
        return "\(name): " + (parts.isEmpty ? "nothing has changed" : parts.joined(separator: "; "))
    }

    private func listed(_ keys: [String]) -> String { keys.joined(separator: ", ") }
}

/// A value that is offered to a plugin's apply function, and the one that goes back if a later offer is refused.
struct Offer {
    let key: String
    let new: String
    let old: String
}

extension PluginHost {
    /// Reads a running plugin's conf file again and offers it what changed, and the files that its live keys name. On
    /// an error every old value stays in force.
    public func reconfigure(_ typed: String) throws(PluginError) -> ReconfigureReport {
        let name = canonicalPluginName(typed)
        guard let instance = instance(named: name) else { throw notRunning(name) }
        var report = ReconfigureReport(name: name)
        guard let config = instance.config else { return report }
        let newer = try read(config, of: instance)
        let changes = newer.changes(since: config.values).filter { config.isLive($0.key) }
        report.changed = changes.map(\.key)
        report.reread = config.livePaths(in: newer).filter { !report.changed.contains($0) }
        report.waiting = newer.changes(since: config.loaded).map(\.key).filter { !config.isLive($0) }
        let offers = (report.changed + report.reread).map {
            Offer(key: $0, new: newer.offered($0), old: config.values.offered($0))
        }
        // A sentence from long before must not become the reason.
        _ = instance.takeError()
        if let key = config.offer(offers) {
            let reason = instance.takeError() ?? "\(name) refuses the new value"
            let end = reason.hasSuffix(".") || reason.hasSuffix("?") ? "" : "."
            throw PluginError(.badConfig, name, "nothing was changed: \(config.path): \(key): \(reason)\(end)")
        }
        for change in changes {
            let texts = [config.values, newer].map { $0.display(change.key) ?? "not set" }
            instance.log(.notice, "\(change.key) was \(texts[0]) and is now \(texts[1])")
        }
        config.putInForce(newer)
        if report != ReconfigureReport(name: name) { log.line(.notice, "configuration of " + report.line) }
        return report
    }

    /// All running plugins, in load order; one that refuses its new values does not keep the others from theirs.
    public func reconfigureAll() {
        log.line(.notice, "reading the configuration of \(running.count) plugins again")
        for name in running.map(\.name) {
            do throws(PluginError) {
                _ = try reconfigure(name)
            } catch {
                log.line(.error, "\(name): \(error.sentence)")
            }
        }
    }

    private func read(_ config: PluginConfig, of instance: PluginInstance) throws(PluginError) -> ConfigFile {
        let load = ConfigFile.load(
            path: config.path, schema: config.schema, environment: options.environment, root: options.root,
            optional: true)
        for warning in load.warnings { instance.log(.warning, warning.description) }
        guard let values = load.values else {
            instance.log(load.errors)
            throw PluginError(.badConfig, instance.name, "nothing was changed: \(sentence(for: load.errors))")
        }
        return values
    }
}

extension PluginConfig {
    fileprivate func isLive(_ name: String) -> Bool { schema.match(name).map { isLive($0) } ?? false }

    fileprivate func livePaths(in file: ConfigFile) -> [String] {
        schema.keys.filter { $0.type == .path && isLive($0) }.flatMap { file.names(of: $0) }
            .filter { file.value($0) != nil }
    }

    /// Every key with its value in force and where that came from, for people; those with a star as often as they are
    /// set.
    func shown() -> [(key: String, value: String)] {
        schema.keys.flatMap { key in
            let inForce = inForce(key)
            let names = key.name.contains("*") ? inForce.names(of: key) : [key.name]
            return names.map { name in
                var text = inForce.shown(name)
                if values.value(name)?.scalar != inForce.value(name)?.scalar {
                    text += ", at the next load " + values.shown(name)
                }
                return (name, text)
            }
        }
    }
}

extension ConfigFile {
    /// The names under which a declaration has a value here: itself, or for one with a star those that are set.
    fileprivate func names(of key: ConfigKey) -> [String] {
        guard key.name.contains("*") else { return [key.name] }
        return each(prefix: "").map(\.key).filter { schema.match($0)?.name == key.name }
    }

    /// As get_string would give it.
    fileprivate func offered(_ name: String) -> String {
        guard let value = value(name) else { return "" }
        return schema.match(name)?.type == .path ? path(name) : value.text
    }

    fileprivate func shown(_ name: String) -> String {
        guard let text = display(name), let source = source(name) else { return "not set" }
        return "\(text) (\(source))"
    }
}
