// SPDX-License-Identifier: Apache-2.0
import CReactor
public import Reactor
import Synchronization

/// All streams of a host by their handles: loop, generation, slot. A handle of a stream that is gone finds nothing.
public final class StreamTable: @unchecked Sendable {
    private let parts: [Part]
    public let loops: [EventLoop]

    private final class Part: Sendable {
        let slots = Mutex<Slots>(Slots())
    }
    private struct Slots {
        var streams: [Stream?] = []
        var generations: [UInt32] = []
        var free: [UInt32] = []
    }

    public init(loops: [EventLoop]) {
        self.loops = loops
        parts = loops.map { _ in Part() }
    }

    /// [any]
    public func find(_ handle: UInt64) -> Stream? {
        let part = Int(handle >> 56) - 1
        guard parts.indices.contains(part) else { return nil }
        let slot = Int(UInt32(truncatingIfNeeded: handle))
        let generation = UInt32(truncatingIfNeeded: handle >> 32) & 0xFF_FFFF
        return parts[part].slots.withLock { slots in
            guard slot < slots.streams.count, slots.generations[slot] == generation else { return nil }
            return slots.streams[slot]
        }
    }

    /// [any] Streams of one owner.
    public func count(of owner: UInt32) -> Int {
        parts.reduce(0) { sum, part in
            sum + part.slots.withLock { $0.streams.lazy.filter { $0?.owner == owner }.count }
        }
    }

    func insert(_ stream: Stream) {
        let part = Int(stream.loop.index)
        stream.handle = parts[part].slots.withLock { slots in
            let slot = slots.free.popLast() ?? UInt32(slots.streams.count)
            if Int(slot) == slots.streams.count {
                slots.streams.append(nil)
                slots.generations.append(0)
            }
            // 24 bits; a generation of 0 would make handles of different kinds look alike.
            slots.generations[Int(slot)] = slots.generations[Int(slot)] % 0xFF_FFFF + 1
            slots.streams[Int(slot)] = stream
            return UInt64(part + 1) << 56 | UInt64(slots.generations[Int(slot)]) << 32 | UInt64(slot)
        }
    }

    func remove(_ stream: Stream) {
        let handle = stream.handle
        let slot = Int(UInt32(truncatingIfNeeded: handle))
        // The last reference may be this one: let go of it outside the lock.
        var gone: Stream?
        parts[Int(handle >> 56) - 1].slots.withLock { slots in
            guard slot < slots.streams.count, slots.streams[slot] === stream else { return }
            gone = slots.streams[slot]
            slots.streams[slot] = nil
            slots.free.append(UInt32(slot))
        }
        withExtendedLifetime(gone) {}
    }

    /// [loop] Those of one owner on this loop, at this moment.
    func streams(of owner: UInt32, on loop: EventLoop) -> [Stream] {
        parts[Int(loop.index)].slots.withLock { slots in slots.streams.compactMap { $0?.owner == owner ? $0 : nil } }
    }

    /// [main] Ends what an owner has; `closed` has been called for each of them when this returns.
    public func stop(owner: UInt32, where isMeant: @escaping @Sendable (Stream) -> Bool = { _ in true }) {
        for loop in loops {
            loop.sync { [self] in
                for stream in streams(of: owner, on: loop) where isMeant(stream) { stream.stop() }
            }
        }
    }

    /// [any] One that was made and not dialed: nothing is called.
    public func withdraw(_ stream: Stream) { remove(stream) }

    /// [loop] Gives the streams of `old` that `pick` has a new handler for to that handler; `change` is called for each
    /// that the old handler has heard of.
    public func change(
        of old: UInt32, on loop: EventLoop, pick: (Stream) -> (handler: any StreamHandler, listener: StreamListener?)?,
        _ change: (Stream, _ before: any StreamHandler) -> Void
    ) {
        for stream in streams(of: old, on: loop) {
            guard let (handler, listener) = pick(stream) else { continue }
            stream.change(to: handler, listener: listener, change)
        }
    }
}
