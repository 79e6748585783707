// SPDX-License-Identifier: Apache-2.0

/// A run of bytes inside the packet body it was decoded from: offsets, not pointers, so that it is safe and trivially
/// copyable, and stays valid when the body is copied elsewhere.
public struct ByteRange: Equatable, Sendable {
    public var start: UInt32
    public var count: UInt32

    @inlinable
    public init(start: UInt32 = 0, count: UInt32 = 0) {
        self.start = start
        self.count = count
    }

    @inlinable
    init(_ start: Int, _ count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var end: UInt32 { start &+ count }

    /// The bytes, given where the body starts. The caller vouches that `base` is the body this range came from.
    @inlinable
    public func bytes(in base: UnsafeRawPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Int(start), count: Int(count))
    }
}
