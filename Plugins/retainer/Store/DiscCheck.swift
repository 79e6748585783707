// SPDX-License-Identifier: Apache-2.0
import CLMDB

/// Looks whether the pages of a data.mdb are what LMDB takes for granted: it follows their numbers and offsets
/// unchecked, so that a damaged one would end the broker, now or at a later write. What records hold is not looked at,
/// they have checksums. The format is that of LMDB 0.9, version 1 (`struct MDB_meta`, `MDB_page`, `MDB_node`).
struct DiscCheck {
    private let map: UnsafeRawBufferPointer
    private let pageSize: Int
    private let pages: Int
    /// One bit a page: it belongs to a tree or to the list of free ones, and cannot belong to anything else.
    private let used: UnsafeMutablePointer<UInt8>

    private enum Flag {
        static let branch: UInt16 = 1
        static let leaf: UInt16 = 2
        static let overflow: UInt16 = 4
        static let meta: UInt16 = 8
        /// Of a node: its value stands on pages of its own.
        static let big: UInt16 = 1
        /// Of a database: its keys are numbers.
        static let numbers: UInt16 = 8
    }

    private static let header = 16
    private static let nodeHeader = 8
    private static let longestKey = 511

    /// Where things stand in a meta page.
    private enum Meta {
        static let freeList = 40
        static let records = 88
        static let lastPage = 136
        static let transaction = 144
        static let end = 152
    }

    /// Throws when the file is damaged, or is none of LMDB's. Nobody may write to it meanwhile.
    static func run(_ path: String) throws(DiscFailure) {
        var length = 0
        guard let address = clmdb_map(path, &length) else { throw DiscFailure(text: Disc.errorText()) }
        defer { munmap(address, length) }
        let map = UnsafeRawBufferPointer(start: address, count: length)
        guard let (meta, pageSize) = newestMeta(map) else {
            throw DiscFailure(text: "data.mdb is damaged, or no file of LMDB's.")
        }
        let last = read(map, meta + Meta.lastPage, UInt64.self)
        guard last >= 1, last < 1 << 40 else { throw damaged(meta / pageSize) }
        try checkLength(length, (Int(last) + 1) * pageSize, pageSize)
        guard let used = calloc(Int(last) / 8 + 1, 1) else { throw DiscFailure(text: "There is no memory left.") }
        defer { free(used) }
        let check = DiscCheck(
            map: map, pageSize: pageSize, pages: Int(last) + 1, used: used.assumingMemoryBound(to: UInt8.self))
        try check.take(0, 2)
        try check.database(meta + Meta.records, isFreeList: false)
        try check.database(meta + Meta.freeList, isFreeList: true)
    }

    /// A few pages may be missing lawfully: those that the last transaction took and gave back are never written.
    private static func checkLength(_ length: Int, _ needed: Int, _ pageSize: Int) throws(DiscFailure) {
        guard needed - length > 64 * pageSize else { return }
        throw DiscFailure(text: "data.mdb is cut off, \(length) of \(needed) bytes are there.")
    }

    /// The offset of the meta page in force, and the size of pages.
    private static func newestMeta(_ map: UnsafeRawBufferPointer) -> (offset: Int, pageSize: Int)? {
        guard map.count >= Meta.end else { return nil }
        let size = Int(read(map, Meta.freeList, UInt32.self))
        guard size >= 512, size <= 32768, size & (size - 1) == 0, map.count >= 2 * size else { return nil }
        for meta in [0, size] {
            guard read(map, meta + 10, UInt16.self) & Flag.meta != 0, read(map, meta + 16, UInt32.self) == 0xBEEF_C0DE,
                read(map, meta + 20, UInt32.self) == 1, Int(read(map, meta + Meta.freeList, UInt32.self)) == size
            else { return nil }
        }
        let first = read(map, Meta.transaction, UInt64.self)
        return (first < read(map, size + Meta.transaction, UInt64.self) ? size : 0, size)
    }

    // MARK: - Trees

    private func database(_ at: Int, isFreeList: Bool) throws(DiscFailure) {
        let depth = Int(Self.read(map, at + 6, UInt16.self))
        let root = Self.read(map, at + 40, UInt64.self)
        guard Self.read(map, at + 4, UInt16.self) == (isFreeList ? Flag.numbers : 0), depth <= 32,
            (depth == 0) == (root == .max)
        else { throw Self.damaged(at / pageSize) }
        if depth > 0 { try tree(root, depth, isFreeList) }
    }

    private func tree(_ number: UInt64, _ depth: Int, _ isFreeList: Bool) throws(DiscFailure) {
        let page = try start(of: number, count: 1)
        let lower = Int(Self.read(map, page + 12, UInt16.self))
        let upper = Int(Self.read(map, page + 14, UInt16.self))
        let keys = (lower - Self.header) / 2
        guard Self.read(map, page + 10, UInt16.self) == (depth > 1 ? Flag.branch : Flag.leaf), lower % 2 == 0,
            lower <= upper, upper <= pageSize, keys >= (depth > 1 ? 2 : 1)
        else { throw Self.damaged(Int(number)) }
        for i in 0..<keys {
            let node = Int(Self.read(map, page + Self.header + 2 * i, UInt16.self))
            guard node >= upper, node % 2 == 0, node + Self.nodeHeader <= pageSize else {
                throw Self.damaged(Int(number))
            }
            if depth > 1 {
                try tree(try child(page, node), depth - 1, isFreeList)
            } else {
                try value(page, node, isFreeList)
            }
        }
    }

    /// The page that a node of a branch page leads to.
    private func child(_ page: Int, _ node: Int) throws(DiscFailure) -> UInt64 {
        let key = Int(Self.read(map, page + node + 6, UInt16.self))
        guard key <= Self.longestKey, node + Self.nodeHeader + key <= pageSize else {
            throw Self.damaged(page / pageSize)
        }
        let low = UInt64(Self.read(map, page + node, UInt32.self))
        return low | UInt64(Self.read(map, page + node + 4, UInt16.self)) << 32
    }

    private func value(_ page: Int, _ node: Int, _ isFreeList: Bool) throws(DiscFailure) {
        let flags = Self.read(map, page + node + 4, UInt16.self)
        let key = Int(Self.read(map, page + node + 6, UInt16.self))
        let size = Int(Self.read(map, page + node, UInt32.self))
        let data = node + Self.nodeHeader + key
        guard flags & ~Flag.big == 0, key >= 1, key <= Self.longestKey, !isFreeList || key == 8,
            data + (flags == Flag.big ? 8 : size) <= pageSize
        else { throw Self.damaged(page / pageSize) }
        var start = page + data
        if flags == Flag.big { start = try bigValue(Self.read(map, start, UInt64.self), size) }
        if isFreeList { try freePages(start, size) }
    }

    /// A value on pages of its own; returns where it begins.
    private func bigValue(_ number: UInt64, _ size: Int) throws(DiscFailure) -> Int {
        let page = try start(of: number, count: 1)
        let count = Int(Self.read(map, page + 12, UInt32.self))
        guard Self.read(map, page + 10, UInt16.self) == Flag.overflow, count >= 1, count <= pages - Int(number),
            Self.header + size <= count * pageSize, page + Self.header + size <= map.count
        else { throw Self.damaged(Int(number)) }
        try take(Int(number) + 1, count - 1)
        return page + Self.header
    }

    /// A value of the list of free pages: how many numbers, then these.
    private func freePages(_ at: Int, _ size: Int) throws(DiscFailure) {
        guard size >= 8 else { throw Self.damaged(at / pageSize) }
        let count = Self.read(map, at, UInt64.self)
        guard count <= UInt64(size / 8 - 1) else { throw Self.damaged(at / pageSize) }
        for i in 0..<Int(count) {
            let number = Self.read(map, at + 8 + 8 * i, UInt64.self)
            guard number < UInt64(pages) else { throw Self.damaged(at / pageSize) }
            try take(Int(number), 1)
        }
    }

    // MARK: - Pages

    /// The offset of a page that nothing else has, whose first `count` are in the file.
    private func start(of number: UInt64, count: Int) throws(DiscFailure) -> Int {
        guard number < UInt64(pages), (Int(number) + count) * pageSize <= map.count,
            Self.read(map, Int(number) * pageSize, UInt64.self) == number
        else { throw Self.damaged(Int(truncatingIfNeeded: number & UInt64(Int.max))) }
        try take(Int(number), count)
        return Int(number) * pageSize
    }

    private func take(_ first: Int, _ count: Int) throws(DiscFailure) {
        for number in first..<first + count {
            guard used[number / 8] & 1 << (number % 8) == 0 else { throw Self.damaged(number) }
            used[number / 8] |= 1 << (number % 8)
        }
    }

    private static func read<T: FixedWidthInteger & BitwiseCopyable>(
        _ map: UnsafeRawBufferPointer, _ at: Int, _: T.Type
    ) -> T {
        map.loadUnaligned(fromByteOffset: at, as: T.self)
    }

    private static func damaged(_ page: Int) -> DiscFailure {
        DiscFailure(text: "data.mdb is damaged at page \(page).")
    }
}
