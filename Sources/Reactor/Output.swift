// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// A piece of what waits to be written: bytes of its own behind the header, or a run that somebody else owns.
@frozen
public struct OutSegment {
    @usableFromInline var next: UnsafeMutablePointer<OutSegment>?
    /// First byte not yet written, and how many follow it.
    @usableFromInline var start: UnsafeMutableRawPointer
    @usableFromInline var count: Int
    /// Room behind the last byte; 0 for a shared run.
    @usableFromInline var room: Int
    @usableFromInline var shared: UnsafeMutableRawPointer?
    @usableFromInline var release: (@convention(c) (UnsafeMutableRawPointer) -> Void)?
    @usableFromInline var sizeClass: Int32
    /// `shared` is a block of input.
    @usableFromInline var isLent = false
    @usableFromInline var capacity: Int

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}

/// Buffers of four sizes, kept for reuse per loop. Giving one back and taking it again costs a few instructions and
/// no page fault; what a burst left over is returned to the system by `trim`.
@frozen
public struct BufferPool: ~Copyable {
    @usableFromInline static let header = MemoryLayout<OutSegment>.stride
    private static let keepBytes = 4 << 20

    private var lists:
        (
            UnsafeMutablePointer<OutSegment>?, UnsafeMutablePointer<OutSegment>?, UnsafeMutablePointer<OutSegment>?,
            UnsafeMutablePointer<OutSegment>?
        ) = (nil, nil, nil, nil)
    private var headers: UnsafeMutablePointer<OutSegment>?
    private var keptHeaders = 0
    private static let mostHeaders = 1024
    private static let headerOnly: Int32 = 5
    public private(set) var keptBytes = 0
    /// Bytes of all segments handed out and kept.
    public private(set) var totalBytes = 0

    init() {}

    /// A segment with room for at least `count` bytes. `last` is the class of the segment before it in the same
    /// queue: a queue that grows gets larger segments.
    mutating func take(_ count: Int, after last: Int) -> UnsafeMutablePointer<OutSegment> {
        var size = min(last + 1, 3)
        while size < 4 && BufferPool.size(size) - BufferPool.header < count { size += 1 }
        if size < 4, let kept = pop(size) {
            keptBytes -= BufferPool.size(size)
            reset(kept, size, BufferPool.size(size))
            return kept
        }
        let bytes = size < 4 ? BufferPool.size(size) : count + BufferPool.header
        let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
        let segment = raw.bindMemory(to: OutSegment.self, capacity: 1)
        totalBytes += bytes
        reset(segment, size, bytes)
        return segment
    }

    /// A header for a run that the segment does not own.
    mutating func takeShared() -> UnsafeMutablePointer<OutSegment> {
        let segment: UnsafeMutablePointer<OutSegment>
        if let kept = Self.pop(&headers) {
            segment = kept
            keptHeaders -= 1
        } else {
            let raw = UnsafeMutableRawPointer.allocate(byteCount: BufferPool.header, alignment: 16)
            segment = raw.bindMemory(to: OutSegment.self, capacity: 1)
        }
        segment.initialize(
            to: OutSegment(
                next: nil, start: UnsafeMutableRawPointer(segment), count: 0, room: 0, shared: nil, release: nil,
                sizeClass: Self.headerOnly, capacity: 0))
        return segment
    }

    /// The class of the segment that another one follows, for `take`. What stands between runs that are not copied is
    /// short.
    static func growth(after tail: UnsafeMutablePointer<OutSegment>?) -> Int {
        guard let tail, tail.pointee.sizeClass != headerOnly else { return -1 }
        return min(Int(tail.pointee.sizeClass), 2)
    }

    mutating func give(_ segment: UnsafeMutablePointer<OutSegment>) {
        if let shared = segment.pointee.shared { segment.pointee.release?(shared) }
        let size = Int(segment.pointee.sizeClass)
        if size == Int(Self.headerOnly), keptHeaders < Self.mostHeaders {
            keptHeaders += 1
            return Self.push(&headers, segment)
        }
        if size < 4 && keptBytes + BufferPool.size(size) <= BufferPool.keepBytes {
            keptBytes += BufferPool.size(size)
            push(segment, size)
            return
        }
        if size < 4 {
            totalBytes -= BufferPool.size(size)
        } else if size == 4 {
            totalBytes -= segment.pointee.capacity
        }
        UnsafeMutableRawPointer(segment).deallocate()
    }

    /// Returns what is kept to the system.
    public mutating func trim() {
        for size in 0..<4 {
            while let segment = pop(size) {
                keptBytes -= BufferPool.size(size)
                totalBytes -= BufferPool.size(size)
                UnsafeMutableRawPointer(segment).deallocate()
            }
        }
        while let segment = Self.pop(&headers) { UnsafeMutableRawPointer(segment).deallocate() }
        keptHeaders = 0
    }

    private static func size(_ c: Int) -> Int {
        switch c {
        // An answer fits the first: a thousand clients that connect in one tick hold half a megabyte, not two.
        case 0: 512
        case 1: 4096
        case 2: 32768
        default: 262_144
        }
    }

    private func reset(_ segment: UnsafeMutablePointer<OutSegment>, _ size: Int, _ bytes: Int) {
        segment.initialize(
            to: OutSegment(
                next: nil, start: UnsafeMutableRawPointer(segment) + BufferPool.header, count: 0,
                room: bytes - BufferPool.header, shared: nil, release: nil, sizeClass: Int32(size),
                capacity: bytes))
    }

    private mutating func pop(_ size: Int) -> UnsafeMutablePointer<OutSegment>? {
        switch size {
        case 0: Self.pop(&lists.0)
        case 1: Self.pop(&lists.1)
        case 2: Self.pop(&lists.2)
        default: Self.pop(&lists.3)
        }
    }

    private mutating func push(_ segment: UnsafeMutablePointer<OutSegment>, _ size: Int) {
        switch size {
        case 0: Self.push(&lists.0, segment)
        case 1: Self.push(&lists.1, segment)
        case 2: Self.push(&lists.2, segment)
        default: Self.push(&lists.3, segment)
        }
    }

    private static func pop(_ list: inout UnsafeMutablePointer<OutSegment>?) -> UnsafeMutablePointer<OutSegment>? {
        guard let first = list else { return nil }
        list = first.pointee.next
        return first
    }

    private static func push(
        _ list: inout UnsafeMutablePointer<OutSegment>?, _ segment: UnsafeMutablePointer<OutSegment>
    ) {
        segment.pointee.next = list
        list = segment
    }
}
