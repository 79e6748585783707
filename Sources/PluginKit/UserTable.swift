// SPDX-License-Identifier: Apache-2.0
/// What a user proves itself by, in a form that may be stored.
public protocol StoredSecret {
    /// nil when the text is none of its own making.
    init?(text: Bytes)
    var text: [UInt8] { get }
}

/// Every user of an authentication plugin in RAM: those of the conf file, and over them those of the store (table
/// `users`), which win. Changed on the control thread only, read by the loops.
public final class UserTable<Secret: StoredSecret> {
    private var stored: [[UInt8]: Secret] = [:]
    private var configured: [[UInt8]: Secret] = [:]
    private let lock = RWLock()
    private let remedy: StaticString
    private var table: StaticString { "users" }

    /// - Parameter remedy: the command that sets a password, named where a stored one is damaged.
    public init(remedy: StaticString) { self.remedy = remedy }

    /// The store's limit for a key, in bytes.
    public static var longestName: Int { 1024 }

    /// [any]
    public func find(_ name: [UInt8]) -> Secret? { lock.read { stored[name] ?? configured[name] } }

    public enum Source { case nowhere, conf, store }
    /// [main]
    public func source(_ name: [UInt8]) -> Source {
        if stored[name] != nil { return .store }
        return configured[name] != nil ? .conf : .nowhere
    }
    /// [main] In byte order.
    public func names() -> [[UInt8]] {
        var all = Array(stored.keys)
        all.append(contentsOf: configured.keys.filter { stored[$0] == nil })
        return all.sorted { $0.lexicographicallyPrecedes($1) }
    }
    /// [main]
    public func configure(_ name: [UInt8], _ secret: Secret) { lock.write { configured[name] = secret } }

    /// [main] Reads the store; what it cannot read it names in the log and leaves out.
    public func load(_ host: Host) throws(PluginError) {
        try host.kv.scan(table) { name, value in
            if let secret = Secret(text: value) {
                lock.write { stored[[UInt8](name)] = secret }
            } else {
                host.log.error("What is stored of user \(String(name)) is damaged: use \(String(Bytes(remedy))).")
            }
            return true
        }
    }
    /// [main] The disk first: what cannot be kept does not count.
    public func store(_ name: [UInt8], _ secret: Secret, _ host: Host) throws(PluginError) {
        let text = secret.text
        try name.withBytes { (key) throws(PluginError) in
            try text.withBytes { (value) throws(PluginError) in try host.kv.put(table, key, value) }
        }
        lock.write { stored[name] = secret }
    }
    /// [main]
    public func remove(_ name: [UInt8], _ host: Host) throws(PluginError) {
        try name.withBytes { (key) throws(PluginError) in _ = try host.kv.delete(table, key) }
        lock.write { _ = stored.removeValue(forKey: name) }
    }
}
