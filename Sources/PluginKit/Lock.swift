// SPDX-License-Identifier: Apache-2.0
import CPluginKit

/// A mutex for state that several threads change. Never hold it across a host call.
public final class Lock {
    private let raw = pluginkit_lock_new()
    public init() {}
    deinit { pluginkit_lock_free(raw) }

    public func withLock<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        pluginkit_lock_acquire(raw)
        defer { pluginkit_lock_release(raw) }
        return try body()
    }
}

/// Many readers or one writer. For what loops read at every message prefer `Published`, which takes no lock at all.
public final class RWLock {
    private let raw = pluginkit_rwlock_new()
    public init() {}
    deinit { pluginkit_rwlock_free(raw) }

    public func read<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        pluginkit_rwlock_read(raw)
        defer { pluginkit_rwlock_release(raw) }
        return try body()
    }
    public func write<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        pluginkit_rwlock_write(raw)
        defer { pluginkit_rwlock_release(raw) }
        return try body()
    }
}

/// Clocks, in milliseconds.
public enum Clock {
    /// For distances: never jumps.
    public static var monotonic: Int64 { pluginkit_monotonic_ms() }
    /// Since 1970.
    public static var unix: Int64 { pluginkit_unix_ms() }
}
