// SPDX-License-Identifier: Apache-2.0
public import CReactor

/// Received bytes that several may refer to. What is large enough is not copied on its way through the broker: output
/// and inbox refer to where the kernel put it, and the memory is used again when all of them are done.
public typealias InputRef = UnsafeMutablePointer<cr_input>

extension UnsafeMutablePointer where Pointee == cr_input {
    /// Of receive buffers, those that are kept included. With more, what is received is copied.
    public static var mostCommon: UInt32 { 64 }

    public var bytes: UnsafeMutableRawPointer { UnsafeMutableRawPointer(self) + MemoryLayout<cr_input>.stride }

    public var isShared: Bool { cr_input_is_shared(self) }

    @inlinable
    public func holds(_ run: UnsafeRawBufferPointer) -> Bool {
        guard let base = run.baseAddress else { return false }
        return base >= UnsafeRawPointer(bytes) && base + run.count <= UnsafeRawPointer(bytes) + pointee.room
    }

    /// Most of it is this run: who refers to the run keeps little else in memory, however long it takes.
    @inlinable public func isMostly(_ run: UnsafeRawBufferPointer) -> Bool { run.count * 2 >= pointee.room }

    /// Whether to refer to this run instead of copying it. A receive buffer lends for a moment only: an output that
    /// has to wait makes a copy of its own, and an inbox is emptied at the next tick.
    public func lends(_ run: UnsafeRawBufferPointer) -> Bool {
        guard holds(run) else { return false }
        return pointee.is_common != 0 ? cr_inputs_common() < Self.mostCommon : isMostly(run)
    }
}

/// Where a loop receives. Always the same memory, which stays in the processor's cache, while nobody refers to what came
/// last; else what is behind it, and another buffer when this one is used up.
struct ReceiveBuffer {
    /// Bytes of one receive, at most and at least.
    static let most = 131_072
    static let least = 65536
    /// Of a packet that came earlier, at most so much is put in front of what is received.
    static let headroom = 4096

    private var current: InputRef?
    private var at = 0

    /// The buffer `room` lies in.
    var block: InputRef {
        mutating get {
            if let current { return current }
            let block = cr_input_take_common()!
            (current, at) = (block, 0)
            return block
        }
    }

    /// Room for the next receive, behind `kept` bytes that are to be put in front of it.
    mutating func room(keeping kept: Int = 0) -> UnsafeMutableRawBufferPointer {
        if let current, at > 0 {
            if !current.isShared {
                at = 0
            } else if current.pointee.room - at - kept < Self.least {
                release()
            }
        }
        let block = block
        let count = min(Self.most, block.pointee.room - at - kept)
        return UnsafeMutableRawBufferPointer(start: block.bytes + at + kept, count: count)
    }

    /// The owner has looked at what was received up to `end`. If somebody refers to it, it stays as it is.
    mutating func seen(upTo end: UnsafeRawPointer) {
        guard let current, current.isShared else { return }
        at = min((end - UnsafeRawPointer(current.bytes) + 63) & ~63, current.pointee.room)
    }

    mutating func release() {
        if let current { cr_input_release(current) }
        (current, at) = (nil, 0)
    }
}
