// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// What connections are sent: collected during a tick, written once at its end.
extension EventLoop {
    /// Room for exactly `count` bytes at the end of what this connection will be sent, in one piece. The caller fills
    /// all of it before the tick ends.
    @inlinable public func reserve(_ t: TransportRef, _ count: Int) -> UnsafeMutableRawPointer {
        if let tail = t.pointee.outTail, tail.pointee.room >= count {
            let p = tail.pointee.start + tail.pointee.count
            tail.pointee.count += count
            tail.pointee.room -= count
            t.pointee.pending += count
            if !t.pointee.flags.contains(.dirty) { markDirty(t) }
            return p
        }
        return reserveSlow(t, count)
    }

    @usableFromInline func reserveSlow(_ t: TransportRef, _ count: Int) -> UnsafeMutableRawPointer {
        let segment = pool.take(count, after: BufferPool.growth(after: t.pointee.outTail))
        link(t, segment)
        segment.pointee.count = count
        segment.pointee.room -= count
        t.pointee.pending += count
        markDirty(t)
        return segment.pointee.start
    }

    /// Queues bytes that somebody else owns; `release(owner)` is called when they are written or given up.
    public func appendShared(
        _ t: TransportRef, _ bytes: UnsafeRawBufferPointer, owner: UnsafeMutableRawPointer,
        release: @escaping @convention(c) (UnsafeMutableRawPointer) -> Void
    ) {
        let segment = pool.takeShared()
        segment.pointee.start = UnsafeMutableRawPointer(mutating: bytes.baseAddress!)
        segment.pointee.count = bytes.count
        segment.pointee.shared = owner
        segment.pointee.release = release
        link(t, segment)
        t.pointee.pending += bytes.count
        markDirty(t)
    }

    /// Queues received bytes where they are. If the peer does not take them now, they are copied after all, unless they
    /// are most of their block.
    public func appendLent(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer, from block: InputRef) {
        let start = UnsafeMutableRawPointer(mutating: bytes.baseAddress!)
        t.pointee.pending += bytes.count
        markDirty(t)
        if let tail = t.pointee.outTail, tail.pointee.shared == UnsafeMutableRawPointer(block),
            tail.pointee.start + tail.pointee.count == start
        {
            tail.pointee.count += bytes.count
            return
        }
        let segment = pool.takeShared()
        segment.pointee.start = start
        segment.pointee.count = bytes.count
        segment.pointee.shared = UnsafeMutableRawPointer(block)
        segment.pointee.release = { cr_input_release($0) }
        segment.pointee.isLent = true
        cr_input_retain(block)
        link(t, segment)
    }

    /// The peer takes nothing for now: what waits for it must not keep receive buffers from being used again.
    func copyLent(_ t: TransportRef) {
        var before: UnsafeMutablePointer<OutSegment>?
        var next = t.pointee.outHead
        while var segment = next {
            next = segment.pointee.next
            if segment.pointee.isLent, let shared = segment.pointee.shared,
                !shared.assumingMemoryBound(to: cr_input.self).isMostly(segment.pointee.bytes)
            {
                let copy = pool.take(segment.pointee.count, after: BufferPool.growth(after: before))
                copy.pointee.start.copyMemory(from: segment.pointee.start, byteCount: segment.pointee.count)
                copy.pointee.count = segment.pointee.count
                copy.pointee.room -= segment.pointee.count
                copy.pointee.next = next
                if let before { before.pointee.next = copy } else { t.pointee.outHead = copy }
                if next == nil { t.pointee.outTail = copy }
                pool.give(segment)
                segment = copy
            }
            before = segment
        }
    }

    func link(_ t: TransportRef, _ segment: UnsafeMutablePointer<OutSegment>) {
        if let tail = t.pointee.outTail { tail.pointee.next = segment } else { t.pointee.outHead = segment }
        t.pointee.outTail = segment
    }

    @usableFromInline func markDirty(_ t: TransportRef) {
        guard !t.pointee.flags.contains(.dirty) else { return }
        t.pointee.flags.insert(.dirty)
        t.pointee.nextDirty = dirty
        dirty = t.pointee.slot
    }

    /// Writes now what the tick would write at its end.
    public func flushAll() { flushDirty() }

    func flushDirty() {
        while dirty != .max {
            let t = transports[dirty]
            dirty = t.pointee.nextDirty
            if dirty != .max { prefetch(transports[dirty]) }
            t.pointee.flags.remove(.dirty)
            if t.pointee.flags.contains(.open) { flush(t) }
        }
    }

    /// Writes as much as the kernel takes.
    public func flush(_ t: TransportRef) {
        if t.pointee.flags.contains(.blocked) { return tellBlocked(t) }
        if let layers = t.pointee.layers { return flushLayered(t, layers.takeUnretainedValue()) }
        while let head = t.pointee.outHead {
            let sent = write(t.pointee.fd, from: head)
            if sent < 0 {
                writeFailed(t, cr_errno())
                return
            }
            t.pointee.bytesOut &+= UInt64(sent)
            t.pointee.lastProgress = now
            consume(t, sent)
        }
        if t.pointee.outHead == nil { finishedWriting(t) }
    }

    /// One call to the kernel for as many segments as it takes at once.
    func write(_ fd: Int32, from head: UnsafeMutablePointer<OutSegment>) -> Int {
        if head.pointee.next == nil { return cr_send(fd, head.pointee.start, head.pointee.count) }
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: 64) { vectors in
            var n = 0
            var segment: UnsafeMutablePointer<OutSegment>? = head
            while let s = segment, n < 64 {
                vectors[n] = iovec(iov_base: s.pointee.start, iov_len: s.pointee.count)
                n += 1
                segment = s.pointee.next
            }
            return cr_sendv(fd, vectors.baseAddress!, n)
        }
    }

    func consume(_ t: TransportRef, _ sent: Int) {
        t.pointee.pending -= sent
        var left = sent
        while let head = t.pointee.outHead {
            if left < head.pointee.count {
                head.pointee.start += left
                head.pointee.count -= left
                return
            }
            left -= head.pointee.count
            t.pointee.outHead = head.pointee.next
            if head.pointee.next == nil { t.pointee.outTail = nil }
            pool.give(head)
        }
    }

    func writeFailed(_ t: TransportRef, _ code: Int32) {
        if code == EAGAIN {
            t.pointee.flags.insert(.blocked)
            watchOut(t)
            copyLent(t)
            tellBlocked(t)
        } else if code == EINTR {
            markDirty(t)
        } else {
            end(t, .error)
        }
    }

    /// From the first time on: where there is room by now, the kernel says so at once.
    private func watchOut(_ t: TransportRef) {
        guard !t.pointee.flags.contains(.watchesOut) else { return }
        t.pointee.flags.insert(.watchesOut)
        if cr_epoll_modify(epoll(of: t), t.pointee.fd, Self.inputEvents | UInt32(CR_OUT), key(t)) != 0 {
            end(t, .error)
        }
    }

    func finishedWriting(_ t: TransportRef) {
        guard t.pointee.flags.contains(.lingering) else { return tellDrained(t) }
        guard !t.pointee.flags.contains(.halfClosed) else { return }
        if owesNothing(t) {
            end(t, .peer)
        } else {
            t.pointee.flags.insert(.halfClosed)
            shutdown(t.pointee.fd, Int32(SHUT_WR))
        }
    }

    /// Nothing of the peer's is or will be unread, so closing says goodbye as half-closing does, in one call instead of
    /// three. (Unread input would make of it a reset, which can destroy what we sent last.)
    private func owesNothing(_ t: TransportRef) -> Bool {
        if t.pointee.flags.contains(.ended) { return true }
        return t.pointee.flags.contains(.dismissed) && !t.pointee.flags.contains(.readable) && t.pointee.layers == nil
    }
}
