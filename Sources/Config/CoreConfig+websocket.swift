// SPDX-License-Identifier: Apache-2.0

extension CoreConfig {
    /// A path that no client could ask for, origins no browser would send.
    static func webSocketListeners(_ values: ConfigFile) -> [Diagnostic] {
        let families = CoreKeys.listenerFamilies.filter { $0.parts.contains(.webSocket) }
        return families.flatMap { values.each(prefix: "listener.\($0.name).") }.compactMap { key, value in
            switch levelsOf(key).dropFirst(3).first {
            case "mqtt_path":
                let path = values.string(key)
                guard !path.hasPrefix("/") || path.contains(where: { "?# ".contains($0) }) else { return nil }
                return wrong(value, key, "\"\(path)\" is no path, expected one like /mqtt, without a query")
            case "allowed_origins":
                guard let odd = values.list(key).first(where: { !isOrigin($0) }) else { return nil }
                return wrong(
                    value, key, "\"\(odd)\" is no origin, expected one like https://example.com, without a path")
            default: return nil
            }
        }
    }

    private static func wrong(_ value: ConfigValue, _ key: String, _ message: String) -> Diagnostic {
        Diagnostic(.error, at: value.source, key: key, message: message)
    }

    /// `null` is what pages without an origin send. RFC 6454 §6.1
    private static func isOrigin(_ text: String) -> Bool {
        guard text != "null" else { return true }
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 && !parts[0].isEmpty && !parts[1].isEmpty && !parts[1].contains("/")
    }
}
