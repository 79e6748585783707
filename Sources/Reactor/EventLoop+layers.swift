// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// Connections whose bytes pass through layers. The owner sees what it sees of plain TCP: `received`, `reserve`,
/// `pending`, `drained`; encoded bytes run at most one helping ahead of the kernel.
extension EventLoop {
    /// Owner's bytes encoded before the kernel is asked again.
    private static let helping = 65536

    func attach(_ layers: LayerStack, to t: TransportRef) {
        layers.loop = self
        layers.transport = t
        t.pointee.layers = Unmanaged.passRetained(layers)
        t.pointee.pending = layers.wireBytes
        if layers.wireBytes > 0 { markDirty(t) }
        for layer in layers.layers { layer.begin() }
    }

    func detach(_ t: TransportRef) -> LayerStack? {
        guard let layers = t.pointee.layers?.takeRetainedValue() else { return nil }
        t.pointee.layers = nil
        layers.loop = nil
        layers.transport = nil
        return layers
    }

    // MARK: - Reading

    func readLayered(_ t: TransportRef, _ layers: LayerStack) {
        let room = receive.room()
        let (wanted, got) = receiveShared(t, room)
        guard got > 0 else { return got == 0 ? peerEnded(t) : readFailed(t, cr_errno()) }
        noteReceived(t, got)
        if got < wanted && !t.pointee.flags.contains(.hungUp) {
            t.pointee.flags.remove(.readable)
        } else {
            queueAgain(t)
        }
        if t.pointee.flags.contains(.lingering) { return }
        layers.feed(UnsafeMutableRawBufferPointer(start: room.baseAddress!, count: got), to: 0)
        afterLayers(t, layers)
    }

    private func afterLayers(_ t: TransportRef, _ layers: LayerStack) {
        noteReady(t, layers)
        guard t.pointee.isOpen else { return }
        switch layers.state {
        case .open: break
        case .ended:
            // The owner may still have an answer on its way, and the layer has its own.
            flush(t)
            end(t, .peer)
        case .failed(let reason): gaveUp(t, reason)
        }
    }

    /// Once, and before the owner gets what came together with the last bytes of the handshakes.
    func noteReady(_ t: TransportRef, _ layers: LayerStack) {
        guard !layers.wasReady, t.pointee.isOpen, layers.isReady else { return }
        layers.wasReady = true
        tellReady(t)
        if t.pointee.isOpen { markDirty(t) }
    }

    func gaveUp(_ t: TransportRef, _ reason: StaticString) {
        tellLayersFailed(t, reason)
        if t.pointee.isOpen { end(t, .layer) }
    }

    /// To the owner, behind what it has not consumed yet.
    func deliverDecoded(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer) {
        guard t.pointee.restCount > 0 else { return deliver(t, bytes) }
        let needed = t.pointee.needed
        makeRoom(t, bytes.count)
        appendRest(t, bytes)
        if t.pointee.flags.contains(.paused) || t.pointee.restCount < needed { return }
        redeliver(t)
    }

    /// Layers may bring a packet, or what gathers during a pause, in many small pieces.
    private func makeRoom(_ t: TransportRef, _ more: Int) {
        let total = t.pointee.restCount + more
        guard total > t.pointee.restRoom else { return }
        growRest(t, to: max(total, t.pointee.restRoom * 2, t.pointee.needed))
    }

    // MARK: - Writing

    func appendWire(_ t: TransportRef, _ layers: LayerStack, _ bytes: UnsafeRawBufferPointer) {
        var source = bytes.baseAddress!
        var left = bytes.count
        t.pointee.pending += left
        layers.wireBytes += left
        if let tail = layers.wireTail, tail.pointee.room > 0 {
            let n = min(left, tail.pointee.room)
            (tail.pointee.start + tail.pointee.count).copyMemory(from: source, byteCount: n)
            tail.pointee.count += n
            tail.pointee.room -= n
            source += n
            left -= n
        }
        if left > 0 {
            let segment = pool.take(left, after: BufferPool.growth(after: layers.wireTail))
            segment.pointee.start.copyMemory(from: source, byteCount: left)
            segment.pointee.count = left
            segment.pointee.room -= left
            if let tail = layers.wireTail { tail.pointee.next = segment } else { layers.wireHead = segment }
            layers.wireTail = segment
        }
        // A flush that is under way writes it too.
        if !layers.isFlushing { markDirty(t) }
    }

    func flushLayered(_ t: TransportRef, _ layers: LayerStack) {
        layers.isFlushing = true
        defer { layers.isFlushing = false }
        while true {
            while let head = layers.wireHead {
                let sent = write(t.pointee.fd, from: head)
                guard sent >= 0 else { return writeFailed(t, cr_errno()) }
                t.pointee.bytesOut &+= UInt64(sent)
                t.pointee.lastProgress = now
                consumeWire(t, layers, sent)
            }
            guard t.pointee.outHead != nil, layers.wasReady || layers.isReady else { break }
            encodeHelping(t, layers)
        }
        finishedWritingLayered(t, layers)
    }

    private func encodeHelping(_ t: TransportRef, _ layers: LayerStack) {
        var budget = Self.helping
        while budget > 0, let head = t.pointee.outHead {
            let n = min(head.pointee.count, budget)
            layers.send(UnsafeRawBufferPointer(start: head.pointee.start, count: n))
            consume(t, n)
            budget -= n
        }
    }

    private func consumeWire(_ t: TransportRef, _ layers: LayerStack, _ sent: Int) {
        t.pointee.pending -= sent
        layers.wireBytes -= sent
        var left = sent
        while let head = layers.wireHead {
            if left < head.pointee.count {
                head.pointee.start += left
                head.pointee.count -= left
                return
            }
            left -= head.pointee.count
            layers.wireHead = head.pointee.next
            if head.pointee.next == nil { layers.wireTail = nil }
            pool.give(head)
        }
    }

    /// A connection that ends says goodbye in every layer before its socket half-closes.
    private func finishedWritingLayered(_ t: TransportRef, _ layers: LayerStack) {
        if t.pointee.flags.contains(.lingering), !t.pointee.flags.contains(.halfClosed) {
            layers.finish()
            if layers.wireHead != nil {
                markDirty(t)
                return
            }
        }
        finishedWriting(t)
    }
}
