// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Config
import Glibc

/// The keys a plugin declared and the values in force.
final class PluginConfig {
    let schema: Schema
    /// As the file and the environment were read last.
    private(set) var values: ConfigFile
    /// As they were at the load: what is in force of the keys that cannot change while the plugin runs.
    let loaded: ConfigFile
    let path: String
    private let apply: martlet_cfg_apply?
    private let user: UnsafeMutableRawPointer?
    /// Texts handed out by get_string, which live until their key has another value in force.
    private var handedOut: [String: UnsafeMutableRawBufferPointer] = [:]

    init(
        _ schema: Schema, _ values: ConfigFile, path: String, apply: martlet_cfg_apply?, user: UnsafeMutableRawPointer?
    ) {
        self.schema = schema
        self.values = values
        loaded = values
        self.path = path
        self.apply = apply
        self.user = user
    }

    deinit { forgetTexts() }

    func text(_ key: String) -> martlet_bytes? {
        if let known = handedOut[key] { return bytes(known) }
        guard let text = current(key) else { return nil }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, text.utf8.count), alignment: 1)
        copy.copyBytes(from: text.utf8)
        let exact = UnsafeMutableRawBufferPointer(start: copy.baseAddress, count: text.utf8.count)
        handedOut[key] = exact
        return bytes(exact)
    }

    func integer(_ key: String) -> Int64?? {
        guard let declared = schema.match(key), let value = inForce(declared).value(key) else { return nil }
        return .some(value.integer.map { Int64($0) })
    }

    /// Every key that is set and begins with `prefix`: first those that are what they were at the load.
    func each(prefix: String) -> [(key: String, value: ConfigValue)] {
        guard apply != nil else { return loaded.each(prefix: prefix) }
        let isLive = { (key: String) in self.schema.match(key).map { self.isLive($0) } ?? false }
        return loaded.each(prefix: prefix).filter { !isLive($0.key) }
            + values.each(prefix: prefix).filter { isLive($0.key) }
    }

    /// Where the value in force of a key stands: one that cannot change is what it was at the load.
    func inForce(_ key: ConfigKey) -> ConfigFile { isLive(key) ? values : loaded }

    private func current(_ key: String) -> String? {
        guard let declared = schema.match(key), let value = inForce(declared).value(key) else { return nil }
        if case .path = declared.type { return inForce(declared).path(key) }
        return value.text
    }

    /// Whether a change of the key can take effect while the plugin runs.
    func isLive(_ key: ConfigKey) -> Bool { apply != nil && !key.flags.contains(.immutable) }

    /// nil, or the key whose new value the plugin refuses; then those it took before are put back.
    func offer(_ offers: [Offer]) -> String? {
        guard let apply else { return nil }
        for (index, offer) in offers.enumerated() where call(apply, offer.key, offer.new) != statusOK {
            for earlier in offers[..<index] { _ = call(apply, earlier.key, earlier.old) }
            return offer.key
        }
        return nil
    }

    func putInForce(_ newer: ConfigFile) {
        values = newer
        for (key, text) in handedOut where current(key).map({ !$0.utf8.elementsEqual(text) }) ?? true {
            text.baseAddress?.deallocate()
            handedOut[key] = nil
        }
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
