// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Config
import Glibc

/// The keys a plugin declared and the values in force.
final class PluginConfig {
    let schema: Schema
    private(set) var values: ConfigFile
    let path: String
    private let apply: martlet_cfg_apply?
    private let user: UnsafeMutableRawPointer?
    /// Texts handed out by get_string, which live until the next reload.
    private var handedOut: [String: UnsafeMutableRawBufferPointer] = [:]

    init(
        _ schema: Schema, _ values: ConfigFile, path: String, apply: martlet_cfg_apply?, user: UnsafeMutableRawPointer?
    ) {
        self.schema = schema
        self.values = values
        self.path = path
        self.apply = apply
        self.user = user
    }

    deinit { forgetTexts() }

    func text(_ key: String) -> martlet_bytes? {
        guard let declared = schema.match(key), let value = values.value(key) else { return nil }
        if let known = handedOut[key] { return bytes(known) }
        let text = if case .path = declared.type { values.path(key) } else { value.text }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, text.utf8.count), alignment: 1)
        copy.copyBytes(from: text.utf8)
        let exact = UnsafeMutableRawBufferPointer(start: copy.baseAddress, count: text.utf8.count)
        handedOut[key] = exact
        return bytes(exact)
    }

    func integer(_ key: String) -> Int64?? {
        guard schema.match(key) != nil, let value = values.value(key) else { return nil }
        return .some(value.integer.map { Int64($0) })
    }

    /// Offers changed values to the plugin; all of them or none are in force afterwards. Returns the keys that wait for
    /// the next load.
    func change(to newer: ConfigFile, refused: (String) -> PluginError) throws(PluginError) -> [String] {
        let changes = newer.changes(since: values)
        var accepted: [ConfigChange] = []
        for change in changes where !change.isImmutable {
            guard let apply else { continue }
            if call(apply, change.key, change.new?.text ?? "") == statusOK {
                accepted.append(change)
            } else {
                for earlier in accepted { _ = call(apply, earlier.key, earlier.old?.text ?? "") }
                throw refused(change.key)
            }
        }
        values = newer
        forgetTexts()
        return changes.filter { $0.isImmutable || apply == nil }.map(\.key)
    }

    private func call(_ apply: martlet_cfg_apply, _ key: String, _ value: String) -> martlet_status {
        var value = value
        return value.withUTF8 { bytes in
            key.withCString { apply(user, $0, martlet_bytes(ptr: bytes.baseAddress, len: bytes.count)) }
        }
    }

    private func forgetTexts() {
        for text in handedOut.values { text.baseAddress?.deallocate() }
        handedOut = [:]
    }

    private func bytes(_ raw: UnsafeMutableRawBufferPointer) -> martlet_bytes {
        martlet_bytes(ptr: raw.baseAddress?.assumingMemoryBound(to: UInt8.self), len: raw.count)
    }
}

/// The sentence for everything a load of a conf file found.
func sentence(for errors: [Diagnostic]) -> String {
    let first = errors.first?.description ?? "the configuration is not valid"
    let more = errors.count > 1 ? " (and \(errors.count - 1) more, see the log)" : ""
    return first + more + (more.isEmpty && first.hasSuffix("?") ? "" : ".")
}

/// A declaration in C as one of ours; nil with the reason in `wrong`.
func configKey(_ key: martlet_cfg_key, wrong: inout String) -> ConfigKey? {
    guard let name = cText(key.key, limit: 256), !name.isEmpty, let help = cText(key.help, limit: 1024) else {
        wrong = "a declared key has no name or no help"
        return nil
    }
    let range = key.range_or_enum.flatMap { cText($0, limit: 1024) }
    guard let type = configType(key.type, range) else {
        wrong = "the declaration of \(name) has a type or range that does not exist"
        return nil
    }
    let made = ConfigKey(
        name, type, default: key.dflt.flatMap { cText($0, limit: 4096) }, flags: .init(rawValue: key.flags & 3),
        help: help)
    guard made.acceptsItsDefault else {
        wrong = "the default of \(name) does not fit its own type"
        return nil
    }
    return made
}

private func configType(_ type: Int32, _ range: String?) -> ConfigType? {
    let bounds = range.map(parseRange)
    if let bounds, bounds == nil, Int(type) != MARTLET_CFG_ENUM, Int(type) != MARTLET_CFG_STRING { return nil }
    switch Int(type) {
    case MARTLET_CFG_BOOL: return .bool
    case MARTLET_CFG_INT: return .int((bounds ?? nil) ?? Int.min...Int.max)
    case MARTLET_CFG_BYTES: return .bytes((bounds ?? nil) ?? 0...Int.max)
    case MARTLET_CFG_DURATION_MS: return .duration((bounds ?? nil) ?? 0...Int.max)
    case MARTLET_CFG_STRING: return .string
    case MARTLET_CFG_ENUM:
        let words = (range ?? "").split(separator: "|").map { $0.filter { $0 != " " } }
        return words.isEmpty ? nil : .enumeration(words)
    case MARTLET_CFG_LIST: return .list
    case MARTLET_CFG_PERCENT: return .percent
    case MARTLET_CFG_PATH: return .path
    default: return nil
    }
}

/// `0..65535`, `1..`, `..10`.
private func parseRange(_ text: String) -> ClosedRange<Int>? {
    guard let dots = text.range(of: "..") else { return nil }
    let low = text[..<dots.lowerBound].isEmpty ? Int.min : Int(text[..<dots.lowerBound])
    let high = text[dots.upperBound...].isEmpty ? Int.max : Int(text[dots.upperBound...])
    guard let low, let high, low <= high else { return nil }
    return low...high
}

extension String {
    /// The first place of a text, without Foundation.
    fileprivate func range(of part: String) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(part) { return at..<index(at, offsetBy: part.count) }
            at = index(after: at)
        }
        return nil
    }
}
