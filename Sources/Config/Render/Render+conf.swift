// SPDX-License-Identifier: Apache-2.0

/// The commented conf file of a set of declarations. A key that users are not expected to set stands as a comment with
/// its default, so that the file and the program cannot disagree.
///
/// `notes` are paragraphs under a section's heading, by section.
public func renderConf(_ keys: [ConfigKey], title: String, notes: [String: String] = [:]) -> String {
    confHeader(title) + body(keys, notes: notes) { _ in "" }
}

/// The commented conf file of a plugin. `canChange`: keys that are not immutable take effect while it runs.
public func renderPluginConf(_ keys: [ConfigKey], name: String, description: String, canChange: Bool) -> String {
    let isMixed = canChange && keys.contains { $0.flags.contains(.immutable) }
    return pluginHeader(keys, name: name, description: description, canChange: canChange)
        + body(keys, notes: [:]) { isMixed && $0.flags.contains(.immutable) ? ". Waits for the next load." : "" }
}

private func body(_ keys: [ConfigKey], notes: [String: String], remark: (ConfigKey) -> String) -> String {
    let schema = Schema(keys)
    var text = ""
    var section = ""
    var previous: ConfigKey?
    for key in keys where key.noEffect == nil {
        if key.section != section {
            section = key.section
            text += "\n" + rule + "## \(section)\n" + rule
            text += notes[section].map { "\n" + comment($0) } ?? ""
        }
        text += described(key, isFirst: isDescribed(previous), remark(key))
        text += line(key, schema)
        previous = key
    }
    return text
}

/// The key as the generated file shows it, its stars filled in.
func sampleName(_ key: ConfigKey) -> String {
    var isFirst = true
    return levelsOf(key.name).map { level in
        guard level == "*" else { return level }
        defer { isFirst = false }
        return isFirst ? key.sample.name : "1"
    }.joined(separator: ".")
}

/// The default in force when nothing is set, an inherited one included.
func effectiveDefault(_ key: ConfigKey, _ schema: Schema) -> String? {
    key.defaultText ?? key.inherits.flatMap { schema.match($0) }.flatMap { effectiveDefault($0, schema) }
}

/// A key with a description of its own, or none.
private func isDescribed(_ key: ConfigKey?) -> Bool { key.map { $0.inherits == nil && $0.describedBy == nil } ?? true }

/// An inheriting key is described where it inherits from, one of several alike at the first; a run of them stands
/// together.
private func described(_ key: ConfigKey, isFirst: Bool, _ remark: String) -> String {
    if !isDescribed(key) { return isFirst ? "\n" : "" }
    return "\n" + comment(key.help) + "## Value: \(key.range)\(remark)\n"
}

private let rule = "##" + String(repeating: "-", count: 70) + "\n"

private func line(_ key: ConfigKey, _ schema: Schema) -> String {
    let value = key.sample.value ?? effectiveDefault(key, schema) ?? ""
    let text = value.isEmpty ? "\(sampleName(key)) =" : "\(sampleName(key)) = \(quotedIfNeeded(value))"
    return (key.sample.isActive ? "" : "## ") + text + "\n"
}

private func quotedIfNeeded(_ value: String) -> String {
    let needsQuotes = value != trimmed(value) || value.hasPrefix("\"")
    guard needsQuotes else { return value }
    let escaped = value.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined()
    return "\"\(escaped)\""
}

private func confHeader(_ title: String) -> String {
    comment(title) + "##\n"
        + comment(
            "One key = value a line. A comment has a line of its own, because # is a topic wildcard. A value may "
                + "stand in "
                + "double quotes. Keys in comments show their defaults, or an example where there is none. An "
                + "unknown key, a wrong value or a key set twice "
                + "stops the start with its line.") + "##\n"
        + comment(
            "Environment variables win over this file: MARTLET__MQTT__MAX_PACKET_SIZE sets mqtt.max_packet_size, two "
                + "underscores for a dot.") + "##\n"
        + comment(
            "Units: 100ms 20s 5m 2h 1d 2w, a bare number counts seconds; 64KB 1MB 2GB, a bare number counts bytes.")
}

private func pluginHeader(_ keys: [ConfigKey], name: String, description: String, canChange: Bool) -> String {
    var text = comment("\(name): \(description).") + "##\n"
    var syntax =
        "One key = value a line, comments on lines of their own. Keys in comments show their defaults, or an "
        + "example where there is none. An unknown key, a wrong value or a key set twice refuses the load with its "
        + "line."
    if let key = keys.first(where: { !$0.name.contains("*") }) {
        let variable = "MARTLET__" + levelsOf(key.name).joined(separator: "__").uppercased()
        syntax += " Environment variables win over this file: \(variable) sets \(key.name)."
    }
    text += comment(syntax) + "##\n"
    let live = keys.contains { !$0.flags.contains(.immutable) } && canChange
    let isMixed = live && keys.contains { $0.flags.contains(.immutable) }
    text += comment(
        !live
            ? "Changes take effect at the next load of the plugin: martlet_ctl plugins reload \(name)."
            : "Changes take effect with martlet_ctl plugins reconfigure \(name), or when the broker gets SIGHUP"
                + (isMixed ? "; where it says so, at the next load of the plugin." : "."))
    return text
}

/// The text as `## ` lines of at most 100 characters.
private func comment(_ text: String) -> String {
    var lines: [String] = []
    var line = "##"
    for word in text.split(separator: " ") {
        if line.count + 1 + word.count > 100 {
            lines.append(line)
            line = "##"
        }
        line += " " + word
    }
    return (lines + [line]).joined(separator: "\n") + "\n"
}
