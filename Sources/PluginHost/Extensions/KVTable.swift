// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.kv/1
nonisolated(unsafe) let kvTable = permanent(
    martlet_kv_v1(
        size: size(of: martlet_kv_v1.self),
        put: { host, table, key, value in
            storing(host, "kv.put", table, key) { store, name, table, key throws(KVStore.Failure) in
                guard let value = value.buffer, value.count <= maxValueBytes else { return statusInvalid }
                try store.put(name, table, key, value)
                return statusOK
            }
        },
        get: { host, table, key, function, user in
            storing(host, "kv.get", table, key) { store, name, table, key throws(KVStore.Failure) in
                guard isPresent(function) else { return statusInvalid }
                guard var value = try store.get(name, table, key) else { return statusNotFound }
                lend(&value) { function(user, $0) }
                return statusOK
            }
        },
        del: { host, table, key in
            storing(host, "kv.del", table, key) { store, name, table, key throws(KVStore.Failure) in
                try store.delete(name, table, key) ? statusOK : statusNotFound
            }
        },
        scan: { host, table, prefix, function, user in
            storing(host, "kv.scan", table, prefix, mayBeEmpty: true) {
                store, name, table, prefix throws(KVStore.Failure) in
                guard isPresent(function) else { return statusInvalid }
                var start = prefix
                while true {
                    let page = try store.page(name, table, prefix: prefix, from: start)
                    for (key, value) in page {
                        var (key, value) = (key, value)
                        start = key + [0]
                        var goesOn = true
                        lend(&key) { key in lend(&value) { goesOn = function(user, key, $0) } }
                        if !goesOn { return statusOK }
                    }
                    if page.count < 64 { return statusOK }
                }
            }
        },
        change: { host, table, changes, count in
            storing(host, "kv.change", table, martlet_bytes(), mayBeEmpty: true) {
                store, name, table, _ throws(KVStore.Failure) in
                guard let list = changeList(changes, count) else { return statusInvalid }
                try store.change(name, table, list)
                return statusOK
            }
        }))

private let maxTableBytes = 64
private let maxKeyBytes = 1024
private let maxValueBytes = 1 << 20

private let maxChanges = 100_000
private let maxChangeBytes = 64 << 20

/// Copies of what is to be changed; nil when one of them could not be changed alone, or they are too many.
private func changeList(_ changes: UnsafePointer<martlet_kv_change>?, _ count: Int) -> [KVStore.Change]? {
    guard (0...maxChanges).contains(count), count == 0 || changes != nil else { return nil }
    var bytes = 0
    var list: [KVStore.Change] = []
    for change in UnsafeBufferPointer(start: changes, count: count) {
        guard let key = change.key.buffer, (1...maxKeyBytes).contains(key.count) else { return nil }
        var value: [UInt8]?
        if !change.removes {
            guard let buffer = change.value.buffer, buffer.count <= maxValueBytes else { return nil }
            value = Array(buffer)
        }
        bytes += key.count + (value?.count ?? 0)
        guard bytes <= maxChangeBytes else { return nil }
        list.append((Array(key), value))
    }
    return list
}

/// Checks thread, phase and names; a failure of the store leaves its sentence with the instance.
private func storing(
    _ host: HostPointer, _ function: StaticString, _ table: martlet_bytes, _ key: martlet_bytes,
    mayBeEmpty: Bool = false,
    _ body: (KVStore, String, [UInt8], [UInt8]) throws(KVStore.Failure) -> martlet_status
) -> martlet_status {
    let instance = instance(host)
    guard instance.phase != .gone else { return statusStale }
    guard !isLoopThread else {
        return instance.wrongThread(
            function, wanted: "the control thread and the blocking pool, because the disk may block")
    }
    guard let table = table.buffer, let key = key.buffer, (1...maxTableBytes).contains(table.count),
        key.count <= maxKeyBytes, mayBeEmpty || !key.isEmpty
    else {
        instance.setError(statusInvalid, "\(function): a table has 1 to 64 bytes, a key 1 to 1024")
        return statusInvalid
    }
    do throws(KVStore.Failure) {
        return try body(instance.host.store, instance.name, Array(table), Array(key))
    } catch {
        instance.setError(error.status, error.text)
        return error.status
    }
}

/// Lends bytes for one call. A debug build overwrites them afterwards, so that a plugin that keeps them shows.
func lend(_ bytes: inout [UInt8], _ body: (martlet_bytes) -> Void) {
    bytes.withUnsafeMutableBytes { raw in
        body(martlet_bytes(UnsafeRawBufferPointer(raw)))
        #if DEBUG
            for i in raw.indices { raw[i] = poison }
        #endif
    }
}

#if DEBUG
    let poison: UInt8 = 0xDB
#endif
