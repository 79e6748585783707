// SPDX-License-Identifier: Apache-2.0

/// The reference page of a set of declarations.
public func renderMarkdown(
    _ keys: [ConfigKey], title: String, intro: String, notes: [String: String] = [:]
) -> String {
    let schema = Schema(keys)
    var text = "# \(title)\n\n\(intro)\n"
    var section = ""
    for key in keys where key.noEffect == nil {
        if key.section != section {
            section = key.section
            text +=
                "\n## \(section)\n\n" + (notes[section].map { $0 + "\n\n" } ?? "")
                + "| key | values | default | |\n| --- | --- | --- | --- |\n"
        }
        text += row(key, schema)
    }
    return text + withoutEffect(keys)
}

private func row(_ key: ConfigKey, _ schema: Schema) -> String {
    var notes = [key.help]
    if !key.aliases.isEmpty { notes.append("Also " + key.aliases.map { "`\($0)`" }.joined(separator: ", ") + ".") }
    let synonyms = key.words.sorted { $0.key < $1.key }.filter { !$0.value.isEmpty && !key.range.contains($0.key) }
    if !synonyms.isEmpty {
        notes.append(
            "Also understood: " + synonyms.map { "`\($0.key)` as `\($0.value)`" }.joined(separator: ", ") + ".")
    }
    if !key.flags.contains(.immutable) { notes.append("Can change while running.") }
    if key.flags.contains(.secret) { notes.append("Never shown.") }
    let cells = ["`\(key.name)`", key.range, shownDefault(key, schema), notes.joined(separator: " ")]
    return "| " + cells.map(escaped).joined(separator: " | ") + " |\n"
}

private func shownDefault(_ key: ConfigKey, _ schema: Schema) -> String {
    if let from = key.inherits { return "`\(from)`" }
    guard let text = effectiveDefault(key, schema), !text.isEmpty else { return "" }
    return "`\(text)`"
}

/// A bare `*` may start emphasis and a `|` ends a cell.
private func escaped(_ cell: String) -> String {
    cell.map { $0 == "|" ? "\\|" : String($0) }.joined()
}

private func withoutEffect(_ keys: [ConfigKey]) -> String {
    let unused = keys.filter { $0.noEffect != nil }
    guard !unused.isEmpty else { return "" }
    var reasons: [String] = []
    for key in unused where !reasons.contains(key.noEffect!) { reasons.append(key.noEffect!) }
    let rows = reasons.map { reason in
        let names = unused.filter { $0.noEffect == reason }.map { "`\($0.name)`" }
        return "| \(names.joined(separator: ", ")) | \(reason) |\n"
    }
    return
        "\n## Accepted without effect\n\nKeys of EMQ files that are accepted without effect; each one is reported with a "
        + "warning.\n\n| keys | why |\n| --- | --- |\n" + rows.joined()
}
