// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CSQLite
import Glibc
import Synchronization

/// The durable tables of all plugins in one SQLite file, one namespace per plugin. Used by the control thread and the
/// blocking pool; callbacks run outside the lock, so they may use the store themselves.
final class KVStore: @unchecked Sendable {
    struct Failure: Error {
        let status: martlet_status
        let text: String
    }

    let path: String
    /// Guards everything below; a Mutex would have to hold it all as one value.
    private let lock = Mutex(())
    private var database: OpaquePointer?
    private var statements: [Statement: OpaquePointer] = [:]

    private enum Statement: String {
        case put = "INSERT OR REPLACE INTO kv (plugin, tbl, key, value) VALUES (?1, ?2, ?3, ?4)"
        case get = "SELECT value FROM kv WHERE plugin = ?1 AND tbl = ?2 AND key = ?3"
        case del = "DELETE FROM kv WHERE plugin = ?1 AND tbl = ?2 AND key = ?3"
        /// ?3 is where the page begins, ?4 the first key beyond the prefix.
        case page =
            "SELECT key, value FROM kv WHERE plugin = ?1 AND tbl = ?2 AND key >= ?3 AND key < ?4 ORDER BY key LIMIT 64"
        case pageToEnd = "SELECT key, value FROM kv WHERE plugin = ?1 AND tbl = ?2 AND key >= ?3 ORDER BY key LIMIT 64"
    }

    /// The file is made at the first use.
    init(_ path: String) { self.path = path }

    deinit { close() }

    func close() {
        lock.withLock { _ in
            for statement in statements.values { sqlite3_finalize(statement) }
            statements = [:]
            sqlite3_close(database)
            database = nil
        }
    }

    // MARK: - Operations

    /// Durable when it returns.
    func put(_ plugin: String, _ table: [UInt8], _ key: [UInt8], _ value: UnsafeRawBufferPointer) throws(Failure) {
        try locked { () throws(Failure) in
            let statement = try self.bind(.put, plugin, table, key)
            self.bindBlob(statement, 4, value)
            try self.finish(statement)
        }
    }

    func get(_ plugin: String, _ table: [UInt8], _ key: [UInt8]) throws(Failure) -> [UInt8]? {
        try locked { () throws(Failure) in
            let statement = try self.bind(.get, plugin, table, key)
            defer { sqlite3_reset(statement) }
            return try self.step(statement) ? Self.column(statement, 0) : nil
        }
    }

    /// False when there was none. Durable when it returns.
    func delete(_ plugin: String, _ table: [UInt8], _ key: [UInt8]) throws(Failure) -> Bool {
        try locked { () throws(Failure) in
            let statement = try self.bind(.del, plugin, table, key)
            try self.finish(statement)
            return sqlite3_changes(self.database) > 0
        }
    }

    /// Puts a value, or removes a key whether or not it is there.
    typealias Change = (key: [UInt8], value: [UInt8]?)

    /// In one transaction: all or nothing, durable when it returns.
    func change(_ plugin: String, _ table: [UInt8], _ changes: some Sequence<Change>) throws(Failure) {
        try locked { () throws(Failure) in
            try self.execute("BEGIN IMMEDIATE")
            do throws(Failure) {
                for change in changes {
                    let statement = try self.bind(change.value == nil ? .del : .put, plugin, table, change.key)
                    change.value?.withUnsafeBytes { self.bindBlob(statement, 4, $0) }
                    try self.finish(statement)
                }
                try self.execute("COMMIT")
            } catch {
                try? self.execute("ROLLBACK")
                throw error
            }
        }
    }

    /// Up to 64 pairs from `start` on whose keys begin with `prefix`, in byte order.
    func page(
        _ plugin: String, _ table: [UInt8], prefix: [UInt8], from start: [UInt8]
    ) throws(Failure) -> [(key: [UInt8], value: [UInt8])] {
        try locked { () throws(Failure) in
            let end = Self.after(prefix)
            let statement = try self.bind(end == nil ? .pageToEnd : .page, plugin, table, start)
            if let end { end.withUnsafeBytes { self.bindBlob(statement, 4, $0) } }
            defer { sqlite3_reset(statement) }
            var pairs: [(key: [UInt8], value: [UInt8])] = []
            while try self.step(statement) { pairs.append((Self.column(statement, 0), Self.column(statement, 1))) }
            return pairs
        }
    }

    // MARK: - SQLite

    private func locked<R>(_ body: () throws(Failure) -> R) throws(Failure) -> R {
        let result: Result<R, Failure> = lock.withLock { _ in
            do throws(Failure) {
                try open()
                return .success(try body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func open() throws(Failure) {
        guard database == nil else { return }
        // SQLite makes the file with the process's umask; what plugins keep may be secret.
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if descriptor >= 0 { Glibc.close(descriptor) }
        do throws(Failure) {
            database = try connect(locking: "NORMAL")
        } catch {
            // On a full disc there is no place for the memory that several processes would share. What is there can
            // still be read, and written once there is room again, without that memory.
            guard let alone = try? connect(locking: "EXCLUSIVE") else { throw error }
            database = alone
        }
    }

    private func connect(locking: String) throws(Failure) -> OpaquePointer {
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
        let setup = """
            PRAGMA locking_mode = \(locking); PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS kv (plugin TEXT NOT NULL, tbl BLOB NOT NULL, key BLOB NOT NULL,
              value BLOB NOT NULL, PRIMARY KEY (plugin, tbl, key)) WITHOUT ROWID;
            """
        guard sqlite3_open_v2(path, &opened, flags, nil) == SQLITE_OK, let opened,
            sqlite3_busy_timeout(opened, 5000) == SQLITE_OK,
            sqlite3_exec(opened, setup, nil, nil, nil) == SQLITE_OK
        else {
            let failure = Self.failure(opened, path)
            sqlite3_close(opened)
            throw failure
        }
        return opened
    }

    func execute(_ statement: String) throws(Failure) {
        guard sqlite3_exec(database, statement, nil, nil, nil) == SQLITE_OK else { throw Self.failure(database, path) }
    }

    private func bind(
        _ which: Statement, _ plugin: String, _ table: [UInt8], _ key: [UInt8]
    ) throws(Failure) -> OpaquePointer {
        let statement = try prepared(which)
        sqlite3_bind_text(statement, 1, plugin, -1, transient)
        table.withUnsafeBytes { bindBlob(statement, 2, $0) }
        key.withUnsafeBytes { bindBlob(statement, 3, $0) }
        return statement
    }

    private func prepared(_ which: Statement) throws(Failure) -> OpaquePointer {
        if let known = statements[which] { return known }
        var made: OpaquePointer?
        guard
            sqlite3_prepare_v3(database, which.rawValue, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &made, nil)
                == SQLITE_OK,
            let made
        else { throw Self.failure(database, path) }
        statements[which] = made
        return made
    }

    private func bindBlob(_ statement: OpaquePointer, _ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        if let base = bytes.baseAddress, bytes.count > 0 {
            sqlite3_bind_blob(statement, index, base, Int32(bytes.count), transient)
        } else {
            sqlite3_bind_zeroblob(statement, index, 0)
        }
    }

    private func step(_ statement: OpaquePointer) throws(Failure) -> Bool {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default:
            let failure = Self.failure(database, path)
            sqlite3_reset(statement)
            throw failure
        }
    }

    private func finish(_ statement: OpaquePointer) throws(Failure) {
        _ = try step(statement)
        sqlite3_reset(statement)
    }

    private static func column(_ statement: OpaquePointer, _ index: Int32) -> [UInt8] {
        guard let base = sqlite3_column_blob(statement, index) else { return [] }
        return Array(UnsafeRawBufferPointer(start: base, count: Int(sqlite3_column_bytes(statement, index))))
    }

    private static func failure(_ database: OpaquePointer?, _ path: String) -> Failure {
        let text = database.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
        return Failure(status: statusIO, text: "the store \(path) failed: \(text)")
    }

    /// The first key in byte order that does not begin with `prefix`; nil when there is none.
    private static func after(_ prefix: [UInt8]) -> [UInt8]? {
        guard let last = prefix.lastIndex(where: { $0 < 0xFF }) else { return nil }
        return Array(prefix[..<last]) + [prefix[last] + 1]
    }
}

/// SQLITE_TRANSIENT, a cast that Swift does not import: SQLite copies what it is given.
private var transient: sqlite3_destructor_type { unsafeBitCast(-1, to: sqlite3_destructor_type.self) }
