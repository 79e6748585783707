// SPDX-License-Identifier: Apache-2.0

/// One key whose value in force differs between two loads of the same schema.
public struct ConfigChange: Sendable, Equatable {
    /// Canonical name.
    public let key: String
    /// nil: the key had no value before, or has none now.
    public let old: ConfigValue?
    public let new: ConfigValue?
    /// The declaration says that it takes effect only at the next start or load.
    public let isImmutable: Bool
}

extension ConfigFile {
    /// The keys whose value in force changed since `older`: a different spelling of the same value is no change, nor is
    /// moving a value to another line.
    public func changes(since older: ConfigFile) -> [ConfigChange] {
        var names = order
        names += older.order.filter { set[$0] == nil }
        return names.compactMap { name in
            let (old, new) = (older.value(name), value(name))
            guard old?.scalar != new?.scalar else { return nil }
            let isImmutable = schema.match(name)?.flags.contains(.immutable) ?? false
            return ConfigChange(key: name, old: old, new: new, isImmutable: isImmutable)
        }
    }
}
