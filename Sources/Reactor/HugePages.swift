// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// Moves memory that is densely used into huge pages. [node.huge_pages]
///
/// Among tens of thousands of connections each message needs state that lies on other pages than that of the message
/// before, and the processor knows the way to a few thousand pages only: on a virtual machine finding another takes as
/// long as all the rest. The kernel would make huge pages by itself if it was let, but also where few bytes are in use;
/// this takes the densest first and stops where memory would grow by more than a little.
public struct HugePages: ~Copyable {
    /// Huge pages made since the start.
    public private(set) var made = 0
    /// False once the kernel has refused it several times and never done it.
    public var isSupported: Bool { made > 0 || refused < 8 }
    private var refused = 0
    /// The huge pages there are, each with the number of small ones that were missing when it was made.
    private var done: [UInt: Int] = [:]
    private let mappings: () -> [Range<UInt>]

    private struct Candidate {
        var at: UInt
        var missing: Int
    }

    private static let size = UInt(CR_HUGE_PAGE)
    private static let smallPages = 512
    /// Of a huge page that is made at least half was there, and what all of them add to memory is at most a thirty-second.
    private static let mostMissing = 256
    private static let share = 32
    /// Larger mappings are reservations, not memory.
    private static let largest: UInt = 64 << 30

    public init() { self.init(mappings: HugePages.ownMappings) }

    init(mappings: @escaping () -> [Range<UInt>]) { self.mappings = mappings }

    /// Looks through the process's memory. Each page made takes about 0.2 ms, in which whoever uses it waits.
    /// - Parameter resident: bytes the process has in memory.
    /// - Returns: whether more might be made at once.
    public mutating func pass(resident: Int, atMost limit: Int = 16) -> Bool {
        let candidates = look().sorted { $0.missing < $1.missing }
        var room = resident / Self.share / 4096 - done.values.reduce(0, +)
        var left = limit
        for candidate in candidates where isSupported && candidate.missing <= room {
            guard left > 0 else { return true }
            left -= 1
            if make(candidate.at) {
                done[candidate.at] = candidate.missing
                room -= candidate.missing
            }
        }
        return false
    }

    /// What might become huge. Forgets of the others those that are not there any more.
    private mutating func look() -> [Candidate] {
        var candidates: [Candidate] = []
        var still: [UInt: Int] = [:]
        for range in mappings() where range.upperBound - range.lowerBound <= Self.largest {
            var at = (range.lowerBound + Self.size - 1) / Self.size * Self.size
            while at + Self.size <= range.upperBound {
                let missing = Self.smallPages - Int(cr_resident_pages(UnsafeMutableRawPointer(bitPattern: at)!))
                if missing == 0, let before = done[at] {
                    still[at] = before
                } else if missing <= Self.mostMissing {
                    candidates.append(Candidate(at: at, missing: missing))
                }
                at += Self.size
            }
        }
        done = still
        return candidates
    }

    private mutating func make(_ at: UInt) -> Bool {
        switch cr_make_huge_page(UnsafeMutableRawPointer(bitPattern: at)!) {
        case 0:
            made += 1
            return true
        case ENOTSUP:
            refused += 1
            return false
        default: return false
        }
    }

    /// Private memory without a file behind it that may be written, the first 4,096 mappings of it.
    static func ownMappings() -> [Range<UInt>] {
        let most = 4096
        return withUnsafeTemporaryAllocation(of: UInt.self, capacity: 2 * most) { bounds in
            let count = Int(cr_own_mappings(bounds.baseAddress!, Int32(most)))
            return (0..<count).map { bounds[2 * $0]..<bounds[2 * $0 + 1] }
        }
    }
}
