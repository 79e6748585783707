// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Loading etc/martlet.conf.
public enum CoreConfig {
    /// Reads and checks the broker's own file. Every `MARTLET__` variable must name one of its keys, unless a conf file
    /// in the plugins' folder tells that it is a plugin's.
    public static func load(path: String, environment: [String: String], root: String) -> ConfigLoad {
        let schema = CoreKeys.schema
        let own = ConfigFile.load(path: path, schema: schema, environment: environment, root: root)
        let folder = (own.values ?? .defaults(schema, root: root)).path("plugins.etc_dir")
        let load = ConfigFile.load(
            path: path, schema: schema, environment: environment, scope: .all(except: pluginPrefixes(in: folder)),
            root: root)
        guard let values = load.values else { return load }
        let found = contradictions(values)
        let failed = found.contains { $0.severity == .error }
        return ConfigLoad(values: failed ? nil : values, diagnostics: load.diagnostics + found)
    }

    /// The beginnings of the keys that belong to plugins: what the file names say (`auth_mysql.conf` → `auth_mysql`,
    /// `auth.mysql`) and every key a file mentions, commented out or not.
    static func pluginPrefixes(in folder: String) -> [String] {
        var prefixes: [String] = []
        for file in confFiles(in: folder) {
            let name = String(file.dropLast(".conf".utf8.count))
            prefixes += [name, name.split(separator: "_").joined(separator: ".")]
            guard let bytes = try? readFile(folder + "/" + file).get() else { continue }
            prefixes += ConfigText(uncommented(bytes), file: file).entries.map(\.key)
        }
        return prefixes
    }

    /// What no single key can know.
    static func contradictions(_ values: ConfigFile) -> [Diagnostic] {
        orphans(values) + watermarks(values) + priorities(values) + topicParts(values) + tlsListeners(values)
            + webSocketListeners(values)
    }

    /// Options of a listener that has no address.
    private static func orphans(_ values: ConfigFile) -> [Diagnostic] {
        var reported: Set<String> = []
        return values.each(prefix: "listener.").compactMap { key, value in
            let levels = levelsOf(key)
            let listener = levels.prefix(3).joined(separator: ".")
            guard levels.count > 3, !values.isSet(listener), reported.insert(listener).inserted else { return nil }
            let near = nearest(to: levels[2], in: values.names(matching: "listener.\(levels[1]).*"))
            let hint = near.map { "; did you mean listener.\(levels[1]).\($0)?" } ?? ""
            return Diagnostic(
                .error, at: value.source, key: key,
                message: "there is no listener \(levels[2]), expected \(listener) = ADDRESS:PORT beside it\(hint)")
        }
    }

    private static func watermarks(_ values: ConfigFile) -> [Diagnostic] {
        let pairs = [
            ("mqtt.mqueue.low_watermark", "mqtt.mqueue.high_watermark"),
            ("mqtt.output_high_water", "mqtt.max_output_buffer"),
        ]
        return pairs.compactMap { low, high in
            guard let lower = values.value(low), let upper = values.value(high),
                let small = lower.integer, let large = upper.integer, small >= large
            else { return nil }
            let blamed = values.isSet(low) ? (low, lower.source) : (high, upper.source)
            return Diagnostic(
                .error, at: blamed.1, key: blamed.0,
                message: "\(low) is \(lower.text) and \(high) is \(upper.text), expected \(low) to be the smaller one")
        }
    }

    /// What becomes part of topics: `$SYS/brokers/NODE/…`, and what a mountpoint is put before.
    private static func topicParts(_ values: ConfigFile) -> [Diagnostic] {
        let mountpoints = values.each(prefix: "").map(\.key).filter { $0.hasSuffix(".mountpoint") }
        return (["node.name"] + mountpoints).compactMap { key in
            guard let value = values.value(key), !isTopicPart(value.text) || key == "node.name" && value.text.isEmpty
            else { return nil }
            return Diagnostic(
                .error, at: value.source, key: key,
                message: "the value is not valid, expected at most 1024 bytes of a topic, without + and # and control "
                    + "characters")
        }
    }

    private static func isTopicPart(_ text: String) -> Bool {
        text.utf8.count <= 1024
            && text.utf8.allSatisfy {
                $0 >= 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "#")
            }
    }

    private static func priorities(_ values: ConfigFile) -> [Diagnostic] {
        let keys = values.names(matching: "zone.*.mqueue_priorities").map { "zone.\($0).mqueue_priorities" }
        return (["mqtt.mqueue.priority"] + keys).compactMap { key in
            guard let value = values.value(key), case .list(let items) = value.scalar,
                let wrong = items.first(where: { priority($0) == nil })
            else { return nil }
            return Diagnostic(
                .error, at: value.source, key: key,
                message: "\"\(wrong)\" is not valid, expected TOPIC=PRIORITY with a priority from 0 to 255")
        }
    }

    /// `topic/1=10` → (`topic/1`, 10).
    public static func priority(_ item: String) -> (topic: String, priority: Int)? {
        guard let equals = item.lastIndex(of: "="), equals != item.startIndex else { return nil }
        guard let number = UInt8(trimmed(item[item.index(after: equals)...])) else { return nil }
        return (trimmed(item[..<equals]), Int(number))
    }
}

private func confFiles(in folder: String) -> [String] {
    guard let handle = opendir(folder) else { return [] }
    defer { closedir(handle) }
    var names: [String] = []
    while let entry = readdir(handle) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name.hasSuffix(".conf") { names.append(name) }
    }
    return names.sorted()
}

/// Every line without its leading `#`, so that keys which a shipped file only mentions are seen.
private func uncommented(_ bytes: [UInt8]) -> [UInt8] {
    let lines = bytes.split(separator: UInt8(ascii: "\n")).map { line in
        trimmed(line).drop { $0 == UInt8(ascii: "#") }
    }
    return Array(lines.joined(separator: [UInt8(ascii: "\n")]))
}
