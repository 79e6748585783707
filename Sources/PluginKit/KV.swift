// SPDX-License-Identifier: Apache-2.0
/// martlet.kv/1: small durable tables, one namespace per plugin. On the control thread and the blocking pool only:
/// the disk may block. Limits: table 64 bytes, key 1 KiB, value 1 MiB.
public struct KV {
    let tables: Tables

    /// Durable when it returns.
    public func put(_ table: StaticString, _ key: Bytes, _ value: Bytes) throws(PluginError) {
        let kv = try tables.need(tables.pointee.kv, "martlet.kv/1")
        try Status(kv.pointee.put(tables.host, Bytes(table).raw, key.raw, value.raw)).check()
    }
    /// Lends the value to `body`; false when there is none.
    @discardableResult public func get(_ table: StaticString, _ key: Bytes, _ body: (Bytes) -> Void)
        throws(PluginError) -> Bool
    {
        let kv = try tables.need(tables.pointee.kv, "martlet.kv/1")
        let status = Status(
            withBytesBody(body) { kv.pointee.get(tables.host, Bytes(table).raw, key.raw, callBytesBody, $0) })
        if status == .notFound { return false }
        try status.check()
        return true
    }
    /// A copy of the value, nil when there is none.
    public func get(_ table: StaticString, _ key: Bytes) throws(PluginError) -> [UInt8]? {
        var copy: [UInt8]?
        try get(table, key) { copy = [UInt8]($0) }
        return copy
    }
    /// Durable when it returns; false when there was none.
    @discardableResult public func delete(_ table: StaticString, _ key: Bytes) throws(PluginError) -> Bool {
        let kv = try tables.need(tables.pointee.kv, "martlet.kv/1")
        let status = Status(kv.pointee.del(tables.host, Bytes(table).raw, key.raw))
        if status == .notFound { return false }
        try status.check()
        return true
    }
    /// Keys that begin with `prefix`, in byte order; return false to stop.
    public func scan(
        _ table: StaticString, prefix: Bytes = .empty, _ body: (_ key: Bytes, _ value: Bytes) -> Bool
    ) throws(PluginError) {
        let kv = try tables.need(tables.pointee.kv, "martlet.kv/1")
        let status = withPairBody(body) {
            kv.pointee.scan(tables.host, Bytes(table).raw, prefix.raw, callPairBody, $0)
        }
        try Status(status).check()
    }
    /// Many changes in their order, all of them or none, durable together when it returns: a hundred thousand, which is
    /// the limit, wait for the disk as often as one `put`.
    public func change(_ table: StaticString, _ changes: [KVChange]) throws(PluginError) {
        let kv = try tables.need(tables.pointee.kv, "martlet.kv/1")
        var bytes: [UInt8] = []
        for change in changes {
            bytes += change.key
            bytes += change.value ?? []
        }
        let status = bytes.withBytes { all in
            var at = 0
            let raw = changes.map { change in
                let key = all.slice(at, at + change.key.count)
                let value = all.slice(at + change.key.count, at + change.key.count + (change.value?.count ?? 0))
                at += key.count + value.count
                return martlet_kv_change(key: key.raw, value: value.raw, removes: change.value == nil)
            }
            return kv.pointee.change(tables.host, Bytes(table).raw, raw, raw.count)
        }
        try Status(status).check()
    }
}

/// One change of a table: a value for a key, or none, which takes the key out.
public struct KVChange {
    public var key: [UInt8]
    public var value: [UInt8]?
    public init(_ key: [UInt8], _ value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}
