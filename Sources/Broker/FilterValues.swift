// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Topics

/// The values of filters by their node. Chunks never move, so growing copies nothing; a page costs memory from its
/// first use on, until it is given back.
struct FilterValues: ~Copyable {
    private static let chunkBits = 15
    private static let chunkValues = 1 << 15
    private static let chunkBytes = chunkValues * MemoryLayout<FilterValue>.stride
    private static let pageSize = 4096

    private var chunks: UnsafeMutablePointer<UnsafeMutablePointer<FilterValue>>
    private var count = 0
    private var room = 4

    init() {
        chunks = .allocate(capacity: room)
    }

    deinit {
        for i in 0..<count { Self.unmap(chunks[i]) }
        chunks.deallocate()
    }

    /// Of a node below what `reserve` was told last.
    @inline(__always)
    subscript(node: UInt32) -> UnsafeMutablePointer<FilterValue> {
        chunks[Int(node) >> Self.chunkBits] + Int(node) & (Self.chunkValues - 1)
    }

    /// Room for every node below `limit`; a value begins empty.
    @inline(__always)
    mutating func reserve(_ limit: Int) {
        if limit > count << Self.chunkBits { grow(to: Self.chunks(for: limit)) }
    }

    /// Gives chunks back of which no value below `limit` is.
    mutating func cut(to limit: Int) {
        while count > Self.chunks(for: limit) {
            count -= 1
            Self.unmap(chunks[count])
        }
    }

    /// Gives the pages back that lie in the range, all of whose values are empty.
    func givePagesBack(_ range: Range<Int>) {
        let chunk = range.lowerBound >> Self.chunkBits
        guard chunk < count else { return }
        let base = UnsafeMutableRawPointer(chunks[chunk])
        let first = range.lowerBound & (Self.chunkValues - 1)
        let stride = MemoryLayout<FilterValue>.stride
        let start = (first * stride + Self.pageSize - 1) & ~(Self.pageSize - 1)
        let end = (first + range.count) * stride & ~(Self.pageSize - 1)
        guard start < end else { return }
        madvise(base, Self.chunkBytes, MADV_NOHUGEPAGE)
        madvise(base + start, end - start, MADV_DONTNEED)
    }

    var residentBytes: Int {
        (0..<count).reduce(0) { $0 + Topics.residentBytes(UnsafeRawPointer(chunks[$1]), Self.chunkBytes) }
    }

    private static func chunks(for limit: Int) -> Int { (limit + chunkValues - 1) >> chunkBits }

    private mutating func grow(to wanted: Int) {
        if wanted > room {
            let wider = UnsafeMutablePointer<UnsafeMutablePointer<FilterValue>>.allocate(capacity: wanted * 2)
            wider.moveInitialize(from: chunks, count: count)
            chunks.deallocate()
            chunks = wider
            room = wanted * 2
        }
        while count < wanted {
            (chunks + count).initialize(to: Self.map())
            count += 1
        }
    }

    /// Zeroed pages: empty values.
    private static func map() -> UnsafeMutablePointer<FilterValue> {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        guard let memory = mmap(nil, chunkBytes, PROT_READ | PROT_WRITE, flags, -1, 0), Int(bitPattern: memory) != -1
        else { fatalError("out of memory: the table of topic filters asked for \(chunkBytes) bytes") }
        cr_leads_to_heap(memory, chunkBytes)
        return memory.bindMemory(to: FilterValue.self, capacity: chunkValues)
    }

    private static func unmap(_ chunk: UnsafeMutablePointer<FilterValue>) {
        cr_leads_nowhere(chunk, chunkBytes)
        munmap(chunk, chunkBytes)
    }
}
