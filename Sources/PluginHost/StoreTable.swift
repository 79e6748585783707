// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A durable table of the broker's own, in the file that keeps the plugins' tables. For the control thread and the
/// blocking pool: the disk may block.
public struct StoreTable: Sendable {
    /// One sentence.
    public struct Failure: Error, Sendable { public let sentence: String }
    public typealias Pair = (key: [UInt8], value: [UInt8])

    private let store: KVStore
    private let name: [UInt8]
    /// No plugin can have this name.
    private static let owner = "$broker"

    init(_ store: KVStore, _ name: String) {
        self.store = store
        self.name = Array(name.utf8)
    }

    /// Every pair in byte order of the keys. Makes no file where there is none.
    public func all() throws(Failure) -> [Pair] {
        guard access(store.path, F_OK) == 0 else { return [] }
        var pairs: [Pair] = []
        var start: [UInt8] = []
        while true {
            let page = try attempt { () throws(KVStore.Failure) in
                try store.page(Self.owner, name, prefix: [], from: start)
            }
            pairs += page
            guard page.count == 64, let last = page.last else { return pairs }
            start = last.key + [0]
        }
    }

    /// Removes and puts: all or nothing, durable when it returns.
    public func change(remove: [[UInt8]] = [], put: [Pair] = []) throws(Failure) {
        try attempt { () throws(KVStore.Failure) in
            try store.change(
                Self.owner, name, remove.map { ($0, nil) } + put.map { ($0.key, Optional($0.value)) })
        }
    }

    private func attempt<R>(_ body: () throws(KVStore.Failure) -> R) throws(Failure) -> R {
        do { return try body() } catch { throw Failure(sentence: error.text) }
    }
}

extension PluginHost {
    /// [main] The broker's table of that name; until `shutdown`.
    public func table(_ name: String) -> StoreTable { StoreTable(store, name) }
}
