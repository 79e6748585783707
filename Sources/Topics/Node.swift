// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One level of the filters that share it: one cache line.
struct Node {
    enum Kind: UInt8 { case literal, plus, number }

    /// Level names up to this long stand in the node (a UUID does), longer ones in a block of their own.
    static let inlineLength = 36

    /// The name, zero-padded; of a long one the address of its block in the first word.
    var text: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    var textEnd: UInt32 = 0
    var parent: UInt32
    /// Child `+`, 0 if none; likewise child `#`. All others are in the slot table.
    var plus: UInt32 = 0
    var number: UInt32 = 0
    var references: UInt32 = 0
    /// How many children the slot table holds: none saves the probe.
    var literals: UInt32 = 0
    /// The node's key in the slot table.
    var tag: UInt32
    var length: UInt16
    var kind: Kind

    init(parent: UInt32, tag: UInt32, length: Int, kind: Kind) {
        self.parent = parent
        self.tag = tag
        self.length = UInt16(length)
        self.kind = kind
    }

    var isUnused: Bool { references | literals | plus | number == 0 }
    var hasBlock: Bool { Int(length) > Node.inlineLength }
}

extension UnsafeMutablePointer<Node> {
    @inline(__always)
    var name: UnsafeMutableRawPointer {
        guard pointee.hasBlock else { return UnsafeMutableRawPointer(self) }
        return UnsafeMutableRawPointer(bitPattern: UInt(pointee.text.0))!
    }

    /// Whether this is the child of `parent` named by the scanner's current level: bytes, not only hashes.
    @inline(__always)
    func isChild(of parent: UInt32, named scan: LevelScanner) -> Bool {
        guard pointee.parent == parent, Int(pointee.length) == scan.length else { return false }
        if scan.length > Node.inlineLength { return memcmp(name, scan.level, scan.length) == 0 }
        guard pointee.text.0 == scan.prefix else { return false }
        return scan.length <= 8 || memcmp(name + 8, scan.level + 8, scan.length - 8) == 0
    }
}
