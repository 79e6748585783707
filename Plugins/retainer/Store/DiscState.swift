// SPDX-License-Identifier: Apache-2.0
import CLMDB
import CMartlet

/// The LMDB environment behind storage disc and disc_only, in malloc memory like `StoreState`.
///
/// Keys are one tag byte and the topic's key; a topic too long for LMDB's 511 bytes is found under a keyed 128-bit
/// hash and carries its topic in the record. Values are `Record`s.
struct DiscState {
    var env: OpaquePointer
    var database: MDB_dbi
    var mapSize: Int
    /// As `open` got it.
    var directory = ByteBuffer()
    /// Four words of SipHash key, random per database, itself stored in it.
    var hashKey: (UInt64, UInt64, UInt64, UInt64)
    /// Shared by transactions; taken alone to grow the map, which LMDB allows only while no transaction is open.
    var gate: pthread_rwlock_t
}

/// Why the disc failed, as one sentence.
struct DiscFailure: Error {
    let text: String
    var isMapFull = false
}

/// A key as LMDB gets it.
enum DiscKey {
    static let topicTag = UInt8(ascii: "T")
    static let hashTag = UInt8(ascii: "H")
    static let metaTag = UInt8(ascii: "M")
    /// The longest key that is stored as it is.
    static let longest = 510

    /// Lends the LMDB key of a topic's key.
    static func with<R>(_ key: UnsafeRawBufferPointer, _ disc: Disc, _ body: (inout MDB_val) -> R) -> R {
        withUnsafeTemporaryAllocation(byteCount: longest + 1, alignment: 8) { buffer in
            var value = MDB_val(mv_size: 0, mv_data: buffer.baseAddress)
            if key.count <= longest {
                buffer[0] = topicTag
                if let from = key.baseAddress, let to = buffer.baseAddress { memcpy(to + 1, from, key.count) }
                value.mv_size = key.count + 1
            } else {
                let secret = disc.state.pointee.hashKey
                buffer[0] = hashTag
                let high = SipHash.hash(key, key: secret.0, secret.1).littleEndian
                let low = SipHash.hash(key, key: secret.2, secret.3).littleEndian
                buffer.storeBytes(of: high, toByteOffset: 1, as: UInt64.self)
                buffer.storeBytes(of: low, toByteOffset: 9, as: UInt64.self)
                value.mv_size = 17
            }
            return body(&value)
        }
    }
}

/// Opening, reading and writing. A handle: copies mean the same database.
struct Disc {
    let state: UnsafeMutablePointer<DiscState>

    /// Opens the database in `directory`, or makes it. [main]
    static func open(_ directory: String) throws(DiscFailure) -> Disc {
        try makeDirectories(directory)
        var env: OpaquePointer?
        guard mdb_env_create(&env) == 0, let env else { throw DiscFailure(text: "LMDB has no memory left.") }
        do throws(DiscFailure) {
            let size = try openEnvironment(env, directory)
            let state = UnsafeMutablePointer<DiscState>.allocate(capacity: 1)
            state.initialize(
                to: DiscState(env: env, database: 0, mapSize: size, hashKey: (0, 0, 0, 0), gate: pthread_rwlock_t()))
            clmdb_rwlock_init(&state.pointee.gate)
            var path = directory
            path.withUTF8 { state.pointee.directory.append(UnsafeRawBufferPointer($0)) }
            let disc = Disc(state: state)
            do throws(DiscFailure) {
                try disc.openDatabase()
            } catch {
                disc.free()
                throw error
            }
            return disc
        } catch {
            mdb_env_close(env)
            throw DiscFailure(text: "The retained messages in \(directory) cannot be opened: \(error.text)")
        }
    }

    /// No transaction may be open. Everything committed is on disc, apart from what `syncs: false` left.
    func close() {
        mdb_env_close(state.pointee.env)
        free()
    }

    private func free() {
        pthread_rwlock_destroy(&state.pointee.gate)
        state.pointee.directory.free()
        state.deallocate()
    }

    // MARK: - Opening

    private static let firstMapSize = 1 << 30

    private static func openEnvironment(_ env: OpaquePointer, _ directory: String) throws(DiscFailure) -> Int {
        var info = stat()
        let exists = stat(directory + "/data.mdb", &info) == 0
        var size = firstMapSize
        while exists, size / 2 < Int(info.st_size) { size *= 2 }
        if exists, info.st_size > 0 { try DiscCheck.run(directory + "/data.mdb") }
        try check(mdb_env_set_mapsize(env, size))
        let flags = UInt32(MDB_NOTLS | MDB_NORDAHEAD)
        try check(mdb_env_open(env, directory, flags, 0o600))
        if exists { try extend(env, directory, Int(info.st_size)) }
        return size
    }

    /// A file shorter than its pages would end the process at the first access beyond its end.
    private static func extend(_ env: OpaquePointer, _ directory: String, _ length: Int) throws(DiscFailure) {
        var info = MDB_envinfo()
        var statistics = MDB_stat()
        try check(mdb_env_info(env, &info))
        try check(mdb_env_stat(env, &statistics))
        let page = Int(statistics.ms_psize)
        let needed = (info.me_last_pgno + 1) * page
        if length >= needed { return }
        if truncate(directory + "/data.mdb", needed) != 0 { throw DiscFailure(text: errorText()) }
    }

    private static func makeDirectories(_ directory: String) throws(DiscFailure) {
        var path = ""
        for part in directory.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            path += String(decoding: part, as: UTF8.self)
            if !path.isEmpty, mkdir(path, 0o700) != 0, clmdb_errno() != EEXIST {
                throw DiscFailure(text: "The directory \(path) cannot be made: \(errorText())")
            }
            path += "/"
        }
    }

    private func openDatabase() throws(DiscFailure) {
        var transaction: OpaquePointer?
        try Disc.check(mdb_txn_begin(state.pointee.env, nil, 0, &transaction))
        do throws(DiscFailure) {
            try Disc.check(mdb_dbi_open(transaction, nil, 0, &state.pointee.database))
            try readOrMakeHashKey(transaction)
        } catch {
            mdb_txn_abort(transaction)
            throw error
        }
        try Disc.check(mdb_txn_commit(transaction))
    }

    /// Record "M": the format's version and the hash key.
    private func readOrMakeHashKey(_ transaction: OpaquePointer?) throws(DiscFailure) {
        var tag = DiscKey.metaTag
        let size = 1 + 4 * MemoryLayout<UInt64>.size
        try withUnsafeMutablePointer(to: &tag) { (tag) throws(DiscFailure) in
            var key = MDB_val(mv_size: 1, mv_data: tag)
            var value = MDB_val()
            let found = mdb_get(transaction, state.pointee.database, &key, &value)
            if found == MDB_NOTFOUND {
                var secret = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
                guard getrandom(&secret, size - 1, 0) == size - 1 else { throw DiscFailure(text: Disc.errorText()) }
                value = MDB_val(mv_size: size, mv_data: nil)
                try Disc.check(mdb_put(transaction, state.pointee.database, &key, &value, UInt32(MDB_RESERVE)))
                value.mv_data.storeBytes(of: Record.version, as: UInt8.self)
                memcpy(value.mv_data + 1, &secret, size - 1)
                state.pointee.hashKey = secret
                return
            }
            try Disc.check(found)
            guard value.mv_size == size, value.mv_data.load(as: UInt8.self) == Record.version else {
                throw DiscFailure(text: "data.mdb holds another format than version \(Record.version).")
            }
            memcpy(&state.pointee.hashKey, value.mv_data + 1, size - 1)
        }
    }

    // MARK: - Errors

    static func check(_ code: Int32) throws(DiscFailure) {
        if code == 0 { return }
        throw DiscFailure(text: "\(String(cString: mdb_strerror(code))).", isMapFull: code == MDB_MAP_FULL)
    }

    static func errorText() -> String { "\(String(cString: strerror(clmdb_errno())))." }
}
