// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Zeroed memory that goes back to the kernel when it is released: large pieces bypass the allocator, which would keep
/// them, and are aligned for huge pages, because random access to a large table is bound by address translation.
enum FlatMemory {
    static let hugePage = 2 << 20
    private static let mapped = 1 << 20

    static func allocate(_ size: Int) -> UnsafeMutableRawPointer {
        guard size >= mapped else {
            var block: UnsafeMutableRawPointer?
            guard posix_memalign(&block, 64, size) == 0, let block else { outOfMemory(size) }
            memset(block, 0, size)
            return block
        }
        let block = map(size)
        if size >= hugePage { madvise(block, size, MADV_HUGEPAGE) }
        return block
    }

    static func free(_ block: UnsafeMutableRawPointer, _ size: Int) {
        if size >= mapped { munmap(block, size) } else { Glibc.free(block) }
    }

    /// Whole pages, aligned to a huge page; they cost nothing until touched.
    static func map(_ size: Int) -> UnsafeMutableRawPointer {
        let reach = size + hugePage
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let start = mmap(nil, reach, PROT_READ | PROT_WRITE, flags, -1, 0), Int(bitPattern: start) != -1 else {
            outOfMemory(size)
        }
        let before = (hugePage - Int(bitPattern: start) % hugePage) % hugePage
        if before > 0 { munmap(start, before) }
        munmap(start + before + size, hugePage - before)
        return start + before
    }

    private static func outOfMemory(_ size: Int) -> Never {
        fatalError("out of memory: the table of topic filters asked for \(size) bytes")
    }
}

/// How much of whole pages is in memory.
public func residentBytes(_ start: UnsafeRawPointer, _ size: Int) -> Int {
    let pages = (size + 4095) / 4096
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: pages) { flags in
        flags.initialize(repeating: 0)
        guard mincore(UnsafeMutableRawPointer(mutating: start), size, flags.baseAddress) == 0 else { return size }
        return flags.reduce(0) { $0 + Int($1 & 1) } * 4096
    }
}
