// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Testing

@testable import Reactor

/// Four huge pages' worth of untouched memory, aligned.
private final class Mapping {
    static let huge = Int(CR_HUGE_PAGE)
    private let base: UnsafeMutableRawPointer
    let start: UnsafeMutableRawPointer

    init() {
        base = mmap(nil, 5 * Self.huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        start = base.alignedUp(toMultipleOf: Self.huge)
    }

    deinit { munmap(base, 5 * Self.huge) }

    var range: Range<UInt> { UInt(bitPattern: start)..<UInt(bitPattern: start) + UInt(4 * Self.huge) }

    /// Writes to one of so many of the small pages of the huge page at `index`.
    func touch(_ index: Int, oneIn step: Int = 1) {
        for page in stride(from: 0, to: 512, by: step) {
            (start + index * Self.huge + page * 4096).storeBytes(of: UInt64(page &* 31 &+ index), as: UInt64.self)
        }
    }

    func isIntact(_ index: Int, oneIn step: Int = 1) -> Bool {
        stride(from: 0, to: 512, by: step).allSatisfy { page in
            let value = (start + index * Self.huge + page * 4096).load(as: UInt64.self)
            return value == UInt64(page &* 31 &+ index)
        }
    }

    func resident(_ index: Int) -> Int32 { cr_resident_pages(start + index * Self.huge) }
}

/// What the kernel says: containers and old kernels refuse.
private let kernelMakesThem: Bool = {
    let mapping = Mapping()
    mapping.touch(0)
    return cr_make_huge_page(mapping.start) == 0
}()

@Suite("Huge pages")
struct HugePagesTests {
    private static let plenty = 1 << 30

    @Test("Densely used memory becomes huge pages and keeps its content; sparse memory stays as it is")
    func dense() {
        let mapping = Mapping()
        let range = mapping.range
        mapping.touch(0)
        mapping.touch(1, oneIn: 3)
        mapping.touch(2)
        var pages = HugePages { [range] }
        let hasMore = pages.pass(resident: Self.plenty)
        #expect(!hasMore)
        let made = pages.made
        #expect(made == (kernelMakesThem ? 2 : 0))
        #expect(mapping.isIntact(0) && mapping.isIntact(1, oneIn: 3) && mapping.isIntact(2))
        #expect(mapping.resident(1) == 171)
        #expect(mapping.resident(3) == 0)
    }

    @Test(
        "A pass makes as many as it may, the next one the others, and none is made twice", .enabled(if: kernelMakesThem)
    )
    func limit() {
        let mapping = Mapping()
        let range = mapping.range
        for i in 0..<4 { mapping.touch(i) }
        var pages = HugePages { [range] }
        var steps: [[Int]] = []
        for _ in 0..<3 {
            let hasMore = pages.pass(resident: Self.plenty, atMost: 3)
            steps.append([hasMore ? 1 : 0, pages.made])
        }
        #expect(steps == [[1, 3], [0, 4], [0, 4]])
    }

    @Test("Memory that was given back and is used again is made huge again", .enabled(if: kernelMakesThem))
    func again() {
        let mapping = Mapping()
        let range = mapping.range
        mapping.touch(0)
        var pages = HugePages { [range] }
        _ = pages.pass(resident: Self.plenty)
        madvise(mapping.start, 300 * 4096, MADV_DONTNEED)
        #expect(mapping.resident(0) == 212)
        _ = pages.pass(resident: Self.plenty)
        let before = pages.made
        mapping.touch(0)
        _ = pages.pass(resident: Self.plenty)
        let after = pages.made
        #expect([before, after] == [1, 2])
        #expect(mapping.isIntact(0))
    }

    @Test("The process's own mappings are found, those of files and read-only ones left out")
    func own() {
        let mapping = Mapping()
        let found = HugePages.ownMappings().contains { $0.contains(mapping.range.lowerBound) }
        #expect(found)
        mprotect(mapping.start, 4 * Mapping.huge, PROT_READ)
        let isStillFound = HugePages.ownMappings().contains { $0.contains(mapping.range.lowerBound) }
        #expect(!isStillFound)
    }
}
