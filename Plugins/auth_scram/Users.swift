// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Every user in RAM: those of the conf file, and over them those of the store, which win. Changed on the control
/// thread only, read by the loops. Names are prepared.
final class Users {
    private var stored: [[UInt8]: Credential] = [:]
    private var configured: [[UInt8]: Credential] = [:]
    private let lock = RWLock()

    static let table: StaticString = "users"
    /// The store's limit for a key.
    static var longestName: Int { 1024 }

    /// [any]
    func find(_ name: [UInt8]) -> Credential? { lock.read { stored[name] ?? configured[name] } }

    enum Source { case nowhere, conf, store }
    /// [main]
    func source(_ name: [UInt8]) -> Source {
        if stored[name] != nil { return .store }
        return configured[name] != nil ? .conf : .nowhere
    }
    /// [main] In byte order.
    func names() -> [[UInt8]] {
        var all = Array(stored.keys)
        all.append(contentsOf: configured.keys.filter { stored[$0] == nil })
        return all.sorted { $0.lexicographicallyPrecedes($1) }
    }
    /// [main]
    func configure(_ name: [UInt8], _ credential: Credential) { lock.write { configured[name] = credential } }

    /// [main] Reads the store; what it cannot read it names in the log and leaves out.
    func load(_ host: Host) throws(PluginError) {
        try host.kv.scan(Self.table) { name, value in
            if let credential = Credential(text: value) {
                lock.write { stored[[UInt8](name)] = credential }
            } else {
                host.log.error("The stored keys of user \(String(name)) are damaged: use scram_users passwd.")
            }
            return true
        }
    }
    /// [main] The disk first: what cannot be kept does not count.
    func store(_ name: [UInt8], _ credential: Credential, _ host: Host) throws(PluginError) {
        let text = credential.text
        try name.withBytes { (key) throws(PluginError) in
            try text.withBytes { (value) throws(PluginError) in try host.kv.put(Self.table, key, value) }
        }
        lock.write { stored[name] = credential }
    }
    /// [main]
    func remove(_ name: [UInt8], _ host: Host) throws(PluginError) {
        try name.withBytes { (key) throws(PluginError) in _ = try host.kv.delete(Self.table, key) }
        lock.write { _ = stored.removeValue(forKey: name) }
    }
}
