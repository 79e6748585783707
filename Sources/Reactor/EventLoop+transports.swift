// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

extension EventLoop {
    /// Takes a connected, non-blocking socket over. Edge-triggered, registered once for its whole life; for room to
    /// write only from the first time that there is none: each new socket would bring an event that says nothing.
    /// - Parameter layers: what stands between its bytes and the owner's; from now on it belongs to this loop.
    public func adopt(fd: Int32, layers: LayerStack? = nil) -> TransportRef? {
        let (slot, t) = transports.take()
        let generation = t.pointee.generation &+ 1
        t.initialize(
            to: Transport(
                fd: fd, slot: slot, generation: generation, flags: [.open], rest: nil, restCount: 0, layers: nil,
                owner: nil, lastRead: now, bytesIn: 0, outHead: nil, outTail: nil, pending: 0, bytesOut: 0,
                lastProgress: now, nextDirty: .max, restRoom: 0, needed: 0))
        guard cr_epoll_add(epoll, fd, Self.inputEvents, key(t)) == 0 else {
            transports.give(slot)
            return nil
        }
        if let layers { attach(layers, to: t) }
        return t
    }

    /// Lets a socket go without closing it, with the input that is not consumed yet: for a move to another loop.
    /// What waits to be written is lost, so move before anything is written.
    public func release(_ t: TransportRef) -> (fd: Int32, rest: [UInt8], layers: LayerStack?) {
        let layers = detach(t)
        let fd = t.pointee.fd
        cr_epoll_remove(epoll(of: t), fd)
        var rest: [UInt8] = []
        if let p = t.pointee.rest {
            rest = Array(UnsafeRawBufferPointer(start: p, count: t.pointee.restCount))
        }
        t.pointee.fd = -1
        bury(t)
        return (fd, rest, layers)
    }

    /// Presents bytes to the owner as if they had just been received.
    public func inject(_ t: TransportRef, _ bytes: [UInt8]) {
        bytes.withUnsafeBytes { deliver(t, $0) }
    }

    public func transport(slot: UInt32, generation: UInt32) -> TransportRef? {
        guard let t = transports.find(slot) else { return nil }
        return t.pointee.generation == generation && t.pointee.flags.contains(.open) ? t : nil
    }

    /// What an event says whose it is: loop, use of the slot, slot.
    func key(_ t: TransportRef) -> UInt64 {
        UInt64(max(index, 0)) << 56 | UInt64(t.pointee.generation & 0xff_ffff) << 32 | UInt64(t.pointee.slot)
    }

    /// Asks for the state of a transport that is about to be looked at.
    @inline(__always)
    func prefetchTransport(_ key: UInt64) {
        guard isOwn(key), let t = transports.find(UInt32(truncatingIfNeeded: key)) else { return }
        prefetch(t)
    }

    func transportEvent(_ key: UInt64, _ events: UInt32) {
        let slot = UInt32(truncatingIfNeeded: key)
        guard let t = transports.find(slot),
            t.pointee.generation & 0xff_ffff == UInt32(truncatingIfNeeded: key >> 32) & 0xff_ffff,
            t.pointee.flags.contains(.open)
        else { return }
        defer { if group != nil { place(t, events) } }
        if events & UInt32(CR_OUT) != 0, t.pointee.flags.contains(.blocked) {
            t.pointee.flags.remove(.blocked)
            markDirty(t)
        }
        if events & UInt32(CR_RDHUP | CR_HUP | CR_ERR) != 0 {
            t.pointee.flags.insert(.hungUp)
            if events & UInt32(CR_ERR) == 0 { t.pointee.flags.insert(.complete) }
        }
        if events & UInt32(CR_IN | CR_RDHUP | CR_HUP | CR_ERR) != 0 {
            // One that is queued may still have packets kept from before a pause: they come first, then the end.
            if t.pointee.flags.contains(.again) { t.pointee.flags.insert(.readable) } else { read(t) }
        }
    }

    // MARK: - Reading

    /// No input is taken from this connection until `resume`.
    public func pause(_ t: TransportRef) { t.pointee.flags.insert(.paused) }

    /// Takes input again, beginning with what is already here.
    public func resume(_ t: TransportRef) {
        guard t.pointee.flags.contains(.paused) else { return }
        t.pointee.flags.remove(.paused)
        // Not from here: the caller may be inside `received` of this or another connection.
        queueAgain(t)
    }

    /// Reads this connection in this tick, without waiting to be told that something has arrived.
    public func expectInput(_ t: TransportRef) {
        t.pointee.flags.insert(.readable)
        queueAgain(t)
    }

    func queueAgain(_ t: TransportRef) {
        guard !t.pointee.flags.contains(.again) else { return }
        t.pointee.flags.insert(.again)
        again.append(t.pointee.slot)
    }

    func readAgain() {
        guard !again.isEmpty else { return }
        let batch = again
        again.removeAll(keepingCapacity: true)
        for slot in batch {
            guard let t = transports.find(slot), t.pointee.flags.contains(.again) else { continue }
            t.pointee.flags.remove(.again)
            if gathered > Self.batch { endOfBatch() }
            guard t.pointee.flags.contains(.open), !t.pointee.flags.contains(.paused) else { continue }
            if t.pointee.restCount > 0 && !t.pointee.flags.contains(.lingering) { redeliver(t) }
            if t.pointee.flags.contains(.open), !t.pointee.flags.contains(.paused),
                t.pointee.flags.contains(.readable)
            {
                read(t)
            }
        }
    }

    /// One receive a turn, so that one busy peer cannot starve the others.
    func read(_ t: TransportRef) {
        t.pointee.flags.insert(.readable)
        guard !t.pointee.flags.contains(.paused) else { return }
        prefetchOwner(t)
        if let layers = t.pointee.layers { return readLayered(t, layers.takeUnretainedValue()) }
        let kept = t.pointee.restCount
        let inPlace = kept > ReceiveBuffer.headroom
        let room = receive.room(keeping: inPlace ? 0 : kept)
        let (wanted, got) = inPlace ? receiveInPlace(t, room) : receiveShared(t, room)
        if got > 0 {
            noteReceived(t, got)
            let isLast = noteShort(got < wanted, t)
            if inPlace { afterInPlace(t, room, got) } else { afterShared(t, room, got) }
            if isLast { afterLast(t) }
        } else if got == 0 {
            peerEnded(t)
        } else {
            readFailed(t, cr_errno())
        }
    }

    /// What a receive says about the next one. True: it was the last, and the peer's end comes right behind it.
    private func noteShort(_ isShort: Bool, _ t: TransportRef) -> Bool {
        guard isShort, t.pointee.flags.contains(.complete) || !t.pointee.flags.contains(.hungUp) else {
            queueAgain(t)
            return false
        }
        t.pointee.flags.remove(.readable)
        return t.pointee.flags.contains(.complete)
    }

    private func afterLast(_ t: TransportRef) {
        guard t.pointee.flags.contains(.open) else { return }
        // Whoever paused sees the end when it takes input again, behind what it has not taken yet.
        if t.pointee.flags.contains(.paused) || t.pointee.flags.contains(.again) {
            t.pointee.flags.insert(.readable)
        } else {
            peerEnded(t)
        }
    }

    /// The owner's state is on its way while the kernel copies what arrived.
    @inline(__always)
    private func prefetchOwner(_ t: TransportRef) {
        guard let owner = t.pointee.owner else { return }
        cr_prefetch(owner)
        cr_prefetch(owner + 64)
    }

    /// Gives the receive buffer up until the next receive. Not from `received`.
    public func trimReceiveBuffer() { receive.release() }

    func noteReceived(_ t: TransportRef, _ n: Int) {
        // What is left of a packet may trickle in for ever; a good piece of one is a sign of life as a whole one is.
        if n >= Transport.signOfLife { t.pointee.lastRead = now }
        t.pointee.bytesIn &+= UInt64(n)
        gathered += n
    }

    func readFailed(_ t: TransportRef, _ code: Int32) {
        if code == EAGAIN {
            t.pointee.flags.remove(.readable)
        } else if code == EINTR {
            queueAgain(t)
        } else {
            end(t, .error)
        }
    }

    func receiveShared(_ t: TransportRef, _ room: UnsafeMutableRawBufferPointer) -> (Int, Int) {
        let wanted = min(spare(t, room), Int(t.pointee.readLimit))
        return (wanted, recv(t.pointee.fd, room.baseAddress!, wanted, 0))
    }

    /// From a peer that sends large packets only the head of the next one is received before it is known how large it
    /// is: all else goes where it will stay.
    private func spare(_ t: TransportRef, _ room: UnsafeMutableRawBufferPointer) -> Int {
        t.pointee.flags.contains(.sendsLarge) ? Transport.head : room.count
    }

    /// What is left of a small packet goes in front of the new bytes, so that the owner sees one run.
    private func afterShared(_ t: TransportRef, _ room: UnsafeMutableRawBufferPointer, _ got: Int) {
        if t.pointee.flags.contains(.lingering) { return }
        let kept = t.pointee.restCount
        let start = room.baseAddress! - kept
        if kept > 0 {
            start.copyMemory(from: t.pointee.rest!, byteCount: kept)
            dropRest(t)
        }
        deliverReceived(t, UnsafeRawBufferPointer(start: start, count: kept + got))
    }

    private func deliverReceived(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer) {
        deliver(t, bytes, in: receive.block)
        receive.seen(upTo: bytes.baseAddress! + bytes.count)
        if t.pointee.restCount == 0 { t.pointee.flags.remove(.sendsLarge) }
    }

    /// A large packet is received where it will be parsed; surplus lands in the shared buffer.
    private func receiveInPlace(_ t: TransportRef, _ spare: UnsafeMutableRawBufferPointer) -> (Int, Int) {
        let limit = Int(t.pointee.readLimit)
        let room = min(t.pointee.restRoom - t.pointee.restCount, limit)
        let surplus = min(self.spare(t, spare), limit - room)
        var vectors = (
            iovec(iov_base: t.pointee.rest! + t.pointee.restCount, iov_len: room),
            iovec(iov_base: spare.baseAddress!, iov_len: surplus)
        )
        let fd = t.pointee.fd
        let got = withUnsafeMutableBytes(of: &vectors) { raw in
            readv(fd, raw.baseAddress!.assumingMemoryBound(to: iovec.self), 2)
        }
        return (room + surplus, got)
    }

    private func afterInPlace(_ t: TransportRef, _ spare: UnsafeMutableRawBufferPointer, _ got: Int) {
        let placed = min(got, t.pointee.restRoom - t.pointee.restCount)
        t.pointee.restCount += placed
        let surplus = UnsafeRawBufferPointer(start: spare.baseAddress!, count: got - placed)
        guard t.pointee.restCount == t.pointee.restRoom || t.pointee.needed == 0 else { return }
        // The surplus must outlive the owner's look at the packet, which may send, not receive: it is safe there.
        redeliver(t)
        guard surplus.count > 0, t.pointee.flags.contains(.open), !t.pointee.flags.contains(.lingering) else { return }
        if t.pointee.restCount > 0 {
            appendRest(t, surplus)
            if !t.pointee.flags.contains(.paused) { redeliver(t) }
        } else {
            deliverReceived(t, surplus)
        }
    }

    /// Presents what is kept.
    func redeliver(_ t: TransportRef) {
        let base = t.pointee.rest!
        let count = t.pointee.restCount
        t.pointee.rest = nil
        t.pointee.restCount = 0
        t.pointee.restRoom = 0
        let block = Transport.block(of: base)
        deliver(t, UnsafeRawBufferPointer(start: base, count: count), in: block)
        cr_input_release(block)
    }

    /// - Parameter block: where the bytes lie, if the owner may refer to them.
    func deliver(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer, in block: InputRef? = nil) {
        if t.pointee.flags.contains(.paused) {
            appendRest(t, bytes)
            return
        }
        t.pointee.needed = 0
        input = block
        let consumed = tellReceived(t, bytes)
        input = nil
        #if DEBUG
            if block?.isShared != true {
                poison(UnsafeRawBufferPointer(rebasing: bytes[..<min(consumed, bytes.count)]))
            }
        #endif
        guard consumed < bytes.count, t.pointee.flags.contains(.open), !t.pointee.flags.contains(.lingering)
        else { return }
        appendRest(t, UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
    }

    /// In a debug build whoever keeps borrowed bytes, a plugin above all, finds 0xDD there and not what they were.
    private func poison(_ bytes: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(mutating: bytes).initializeMemory(as: UInt8.self, repeating: 0xDD)
    }

    func appendRest(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer) {
        let total = t.pointee.restCount + bytes.count
        // Exactly the packet when it is large: receiveInPlace fills this room and no more.
        if total > t.pointee.restRoom || t.pointee.needed > t.pointee.restRoom {
            growRest(t, to: max(total, t.pointee.needed))
        }
        if t.pointee.needed > Transport.largePacket, t.pointee.layers == nil { t.pointee.flags.insert(.sendsLarge) }
        (t.pointee.rest! + t.pointee.restCount).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        t.pointee.restCount = total
    }

    func growRest(_ t: TransportRef, to room: Int) {
        let p = cr_input_take(room)!.bytes
        if let old = t.pointee.rest {
            p.copyMemory(from: old, byteCount: t.pointee.restCount)
            cr_input_release(Transport.block(of: old))
        }
        t.pointee.rest = p
        t.pointee.restRoom = room
    }

    func dropRest(_ t: TransportRef) {
        if let rest = t.pointee.rest { cr_input_release(Transport.block(of: rest)) }
        t.pointee.rest = nil
        t.pointee.restCount = 0
        t.pointee.restRoom = 0
    }
}
