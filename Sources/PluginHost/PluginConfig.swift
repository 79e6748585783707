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
    /// Texts handed out by get_string, which live until the next reload.
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
        forgetTexts()
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
