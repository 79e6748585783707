// SPDX-License-Identifier: Apache-2.0

/// The checked values of one file, its environment overrides and the declared defaults.
///
/// Keys may be asked for by any declared spelling. Asking for a key that is not declared, or with another type than it
/// was declared with, is a mistake in the program and stops it.
public struct ConfigFile: Sendable {
    public let path: String
    public let schema: Schema
    /// Relative paths are resolved against this folder.
    public let root: String
    /// Set keys by canonical name, in the order of the file; keys set only by the environment follow.
    private(set) var order: [String] = []
    private(set) var set: [String: ConfigValue] = [:]

    init(path: String, schema: Schema, root: String) {
        self.path = path
        self.schema = schema
        self.root = root
    }

    /// No file at all: every key at its default.
    public static func defaults(_ schema: Schema, root: String = ".") -> ConfigFile {
        ConfigFile(path: "", schema: schema, root: root)
    }

    mutating func put(_ name: String, _ value: ConfigValue) {
        if set.updateValue(value, forKey: name) == nil { order.append(name) }
    }

    /// The value in force: set, inherited or default; nil when there is none.
    public func value(_ name: String) -> ConfigValue? {
        guard let match = schema.resolve(name) else { preconditionFailure("configuration key \(name) is not declared") }
        if let value = set[match.name] { return value }
        if let text = match.key.defaultText {
            guard let scalar = match.key.scalar(of: text) else {
                preconditionFailure("the default of configuration key \(name) does not fit its own type")
            }
            return ConfigValue(text: text, scalar: scalar, source: .declaredDefault)
        }
        return match.key.inherits.flatMap { value($0) }
    }

    /// Whether the file or the environment gives this very key a value.
    public func isSet(_ name: String) -> Bool {
        schema.canonical(name).map { set[$0] != nil } ?? false
    }

    /// Every set key that begins with `prefix`, by canonical name in the order of the file.
    public func each(prefix: String) -> [(key: String, value: ConfigValue)] {
        order.filter { $0.hasPrefix(prefix) }.map { ($0, set[$0]!) }
    }

    /// What the first star of a pattern stands for in the set keys, each once, in the order of the file:
    /// `listener.tcp.*` → `["external"]`; `zone.*.*` → every zone that has an option set.
    public func names(matching pattern: String) -> [String] {
        let levels = levelsOf(pattern)
        var found: [String] = []
        for name in order {
            if let bound = bind(levels, levelsOf(name)), let first = bound.first, !found.contains(first) {
                found.append(first)
            }
        }
        return found
    }

    /// The value as a person may see it: `******` for a secret.
    public func display(_ name: String) -> String? {
        guard let value = value(name) else { return nil }
        return schema.match(name)?.flags.contains(.secret) == true ? "******" : value.text
    }

    /// Where the value in force comes from, nil when there is none.
    public func source(_ name: String) -> ConfigSource? { value(name)?.source }
}

extension ConfigFile {
    public func bool(_ name: String) -> Bool { required(name, boolIfSet(name)) }
    /// int, bytes (bytes), duration (milliseconds), percent.
    public func int(_ name: String) -> Int { required(name, intIfSet(name)) }
    public func bytes(_ name: String) -> Int { int(name) }
    public func durationMS(_ name: String) -> Int { int(name) }
    public func percent(_ name: String) -> Int { int(name) }
    public func decimal(_ name: String) -> Double {
        required(name, value(name).flatMap { if case .decimal(let number) = $0.scalar { number } else { nil } })
    }
    /// The text of a string or the word of an enumeration.
    public func string(_ name: String) -> String { required(name, stringIfSet(name)) }
    public func list(_ name: String) -> [String] { required(name, listIfSet(name)) }
    public func address(_ name: String) -> ConfigAddress {
        required(name, value(name).flatMap { if case .address(let address) = $0.scalar { address } else { nil } })
    }
    /// An absolute path when `root` is one.
    public func path(_ name: String) -> String { absolute(required(name, stringIfSet(name))) }
    public func pathIfSet(_ name: String) -> String? { stringIfSet(name).map(absolute) }
    /// A path as it may be written in a value, resolved against `root`.
    public func absolute(_ text: String) -> String {
        if text.hasPrefix("/") { return text }
        return root.hasSuffix("/") ? root + text : root + "/" + text
    }

    public func boolIfSet(_ name: String) -> Bool? {
        value(name).flatMap { if case .bool(let flag) = $0.scalar { flag } else { nil } }
    }
    public func intIfSet(_ name: String) -> Int? {
        value(name).flatMap { if case .int(let number) = $0.scalar { number } else { nil } }
    }
    public func stringIfSet(_ name: String) -> String? {
        value(name).flatMap {
            switch $0.scalar {
            case .text(let text), .word(let text, _): text
            default: nil
            }
        }
    }
    public func listIfSet(_ name: String) -> [String]? {
        value(name).flatMap { if case .list(let items) = $0.scalar { items } else { nil } }
    }
    public func rateIfSet(_ name: String) -> ConfigRate? {
        value(name).flatMap { if case .rate(let rate) = $0.scalar { rate } else { nil } }
    }
    /// A listener's rules `access.1`, `access.2` … in the order of their numbers.
    public func accessRules(_ prefix: String) -> [ConfigAccessRule] {
        let rules = each(prefix: prefix + ".").compactMap { entry -> (Int, ConfigAccessRule)? in
            guard case .accessRule(let rule) = entry.value.scalar else { return nil }
            return (Int(levelsOf(entry.key).last ?? "") ?? Int.max, rule)
        }
        return rules.sorted { $0.0 < $1.0 }.map(\.1)
    }

    private func required<T>(_ name: String, _ value: T?) -> T {
        guard let value else { preconditionFailure("configuration key \(name) has no value of the type asked for") }
        return value
    }
}

extension ConfigKey {
    /// The typed value of a text, its extra words replaced.
    func scalar(of text: String) -> ConfigScalar? { type.parse(words[text.lowercased()] ?? text) }
}
