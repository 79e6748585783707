// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet

/// One change on its way to the disc.
struct PendingWrite {
    var item: ItemRef
    /// With one reference; nil: the record goes away.
    var message: OpaquePointer?
    var deadline: Int64
    /// The record is on disc, in this state or an older one.
    var isStored: Bool
    /// What memory no longer needs when this is written; with one reference.
    var surplus: OpaquePointer?
    /// The item can go now.
    var isDead = false

    /// Not so what came and went before the writer had seen it.
    var changesDisc: Bool { message != nil || isStored }
}

extension Disc {
    /// Writes all of it or nothing; cheapest in the order of keys. `syncs`: on stable storage when this returns. Blocks.
    func write(
        _ changes: UnsafeBufferPointer<PendingWrite>, _ messages: MessageCalls, syncs: Bool = true
    ) throws(DiscFailure) {
        guard changes.contains(where: { $0.changesDisc }) else { return }
        while true {
            do throws(DiscFailure) {
                return try writeOnce(changes, messages, syncs)
            } catch {
                guard error.isMapFull else { throw error }
                try grow()
            }
        }
    }

    private func writeOnce(
        _ changes: UnsafeBufferPointer<PendingWrite>, _ messages: MessageCalls, _ syncs: Bool
    ) throws(DiscFailure) {
        pthread_rwlock_rdlock(&state.pointee.gate)
        defer { pthread_rwlock_unlock(&state.pointee.gate) }
        var transaction: OpaquePointer?
        var cursor: OpaquePointer?
        try Disc.check(mdb_env_set_flags(state.pointee.env, UInt32(MDB_NOSYNC), syncs ? 0 : 1))
        try Disc.check(mdb_txn_begin(state.pointee.env, nil, 0, &transaction))
        // A cursor knows its page: the next key in order is mostly on it. It must be closed before its transaction ends.
        var code = mdb_cursor_open(transaction, state.pointee.database, &cursor)
        for change in changes where code == 0 && change.changesDisc {
            code = DiscKey.with(change.item.key, self) { put(cursor, &$0, change, messages) }
        }
        if let cursor { mdb_cursor_close(cursor) }
        guard code == 0 else {
            mdb_txn_abort(transaction)
            return try Disc.check(code)
        }
        try Disc.check(mdb_txn_commit(transaction))
    }

    private func put(
        _ cursor: OpaquePointer?, _ key: inout MDB_val, _ change: PendingWrite, _ messages: MessageCalls
    ) -> Int32 {
        guard let message = change.message else {
            var value = MDB_val()
            let code = mdb_cursor_get(cursor, &key, &value, MDB_SET)
            return code == 0 ? mdb_cursor_del(cursor, 0) : code == MDB_NOTFOUND ? 0 : code
        }
        let record = Record(messages.read(message), deadline: change.deadline)
        let withTopic = change.item.key.count > DiscKey.longest
        let size = record.size(withTopic: withTopic)
        var value = MDB_val(mv_size: size, mv_data: nil)
        let code = mdb_cursor_put(cursor, &key, &value, UInt32(MDB_RESERVE))
        if code == 0 {
            record.encode(
                to: UnsafeMutableRawBufferPointer(start: value.mv_data, count: size), withTopic: withTopic)
        }
        return code
    }

    /// Everything committed is on stable storage when this returns.
    func sync() throws(DiscFailure) { try Disc.check(mdb_env_sync(state.pointee.env, 1)) }

    private func grow() throws(DiscFailure) {
        pthread_rwlock_wrlock(&state.pointee.gate)
        defer { pthread_rwlock_unlock(&state.pointee.gate) }
        try Disc.check(mdb_env_set_mapsize(state.pointee.env, state.pointee.mapSize * 2))
        state.pointee.mapSize *= 2
    }

    /// Takes pages of the file out of our resident memory; they stay in the system's cache. [any that may block]
    func forgetPages() {
        guard let map = mapAddress() else { return }
        pthread_rwlock_wrlock(&state.pointee.gate)
        defer { pthread_rwlock_unlock(&state.pointee.gate) }
        madvise(map, state.pointee.mapSize, MADV_DONTNEED)
    }

    /// Where the file is mapped. LMDB does not tell, but every page begins with its own number, and the first one has
    /// LMDB's magic word behind its header of 16 bytes.
    private func mapAddress() -> UnsafeMutableRawPointer? {
        var transaction: OpaquePointer?
        var statistics = MDB_stat()
        guard mdb_env_stat(state.pointee.env, &statistics) == 0,
            mdb_txn_begin(state.pointee.env, nil, UInt32(MDB_RDONLY), &transaction) == 0
        else { return nil }
        defer { mdb_txn_abort(transaction) }
        var tag = DiscKey.metaTag
        let found = withUnsafeMutablePointer(to: &tag) { tag -> UnsafeMutableRawPointer? in
            var key = MDB_val(mv_size: 1, mv_data: tag)
            var value = MDB_val()
            return mdb_get(transaction, state.pointee.database, &key, &value) == 0 ? value.mv_data : nil
        }
        guard let found else { return nil }
        let size = UInt(statistics.ms_psize)
        let page = found - Int(UInt(bitPattern: found) % size)
        let number = page.load(as: UInt.self)
        guard number <= UInt(state.pointee.mapSize) / size else { return nil }
        let map = page - Int(number * size)
        return map.load(fromByteOffset: 16, as: UInt32.self) == 0xBEEF_C0DE ? map : nil
    }

    // MARK: - Reading

    /// Calls `body` inside one read transaction, with a function that fetches the message of a key, or nil when there
    /// is none. Blocks on page faults.
    func read(_ messages: MessageCalls, _ body: ((UnsafeRawBufferPointer) -> OpaquePointer?) -> Void)
        throws(DiscFailure)
    {
        pthread_rwlock_rdlock(&state.pointee.gate)
        defer { pthread_rwlock_unlock(&state.pointee.gate) }
        var transaction: OpaquePointer?
        try Disc.check(mdb_txn_begin(state.pointee.env, nil, UInt32(MDB_RDONLY), &transaction))
        defer { mdb_txn_abort(transaction) }
        body { key in
            DiscKey.with(key, self) { tagged in
                var value = MDB_val()
                guard mdb_get(transaction, state.pointee.database, &tagged, &value) == 0,
                    var record = Record(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
                else { return nil }
                return Disc.withTopic(of: key, &record) { messages.make($0.fields) }
            }
        }
    }

    /// Calls `body` with every record and its topic's key, in key order but for long topics. Throws what `body` throws,
    /// and at the first record that is not intact.
    func loadAll(_ body: (UnsafeRawBufferPointer, Record) throws(DiscFailure) -> Void) throws(DiscFailure) {
        var transaction: OpaquePointer?
        var cursor: OpaquePointer?
        try Disc.check(mdb_txn_begin(state.pointee.env, nil, UInt32(MDB_RDONLY), &transaction))
        defer { mdb_txn_abort(transaction) }
        try Disc.check(mdb_cursor_open(transaction, state.pointee.database, &cursor))
        defer { mdb_cursor_close(cursor) }
        var key = MDB_val()
        var value = MDB_val()
        while true {
            let code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            if code == MDB_NOTFOUND { return }
            try Disc.check(code)
            try Disc.load(
                UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size),
                UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size), body)
        }
    }

    private static func load(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer,
        _ body: (UnsafeRawBufferPointer, Record) throws(DiscFailure) -> Void
    ) throws(DiscFailure) {
        if key.count == 1, key[0] == DiscKey.metaTag { return }
        guard key.count > 1, var record = Record(value) else { throw DiscFailure(text: "A record is damaged.") }
        var failure: DiscFailure?
        func attempt(_ topicKey: UnsafeRawBufferPointer, _ record: Record) {
            do throws(DiscFailure) { try body(topicKey, record) } catch { failure = error }
        }
        if key[0] == DiscKey.topicTag, record.fields.topic.len == 0 {
            // The checksum is that of the value. A topic that became another one cannot be told, one that no client
            // may be sent can.
            let bare = UnsafeRawBufferPointer(rebasing: key[1...])
            guard String(validating: bare, as: UTF8.self) != nil else {
                throw DiscFailure(text: "A record is damaged.")
            }
            withTopic(of: bare, &record) { attempt(bare, $0) }
        } else if key[0] == DiscKey.hashTag, record.fields.topic.len > DiscKey.longest {
            guard TopicKey.with(record.fields.topic, { attempt($0, record) }) != nil else {
                throw DiscFailure(text: "A record is damaged.")
            }
        } else {
            throw DiscFailure(text: "A record is damaged.")
        }
        if let failure { throw failure }
    }

    /// Lends the record with its topic, made from the key where the record has none.
    @discardableResult
    private static func withTopic<R>(
        of key: UnsafeRawBufferPointer, _ record: inout Record, _ body: (Record) -> R
    ) -> R {
        if record.fields.topic.len > 0 { return body(record) }
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: max(1, key.count)) { topic in
            guard let base = topic.baseAddress else { return body(record) }
            TopicKey.writeTopic(key, to: base)
            record.fields.topic = martlet_bytes(ptr: base, len: key.count)
            defer { record.fields.topic = martlet_bytes() }
            return body(record)
        }
    }
}
