// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// What goes out: replies and new messages of a client leave in one `send` per tick.
extension Loop {
    func startPublishing(at start: UInt64) {
        isPublishing = true
        if let rate = traffic.rate {
            let share = Double(ownPublishers.count) / Double(max(1, traffic.publisherCount))
            // The loops take turns, so that together they keep one even beat.
            let offset = UInt64(1_000_000_000 / rate * Double(index))
            schedule.begin(rate: rate * share, publishers: ownPublishers.count, at: start + offset, beat: traffic.beat)
        } else {
            for client in ownPublishers { markDirty(client) }
        }
    }

    func stopPublishing() {
        isPublishing = false
        schedule.end()
    }

    func owe(_ publisher: Int, _ due: UInt64) {
        let client = ownPublishers[publisher]
        let state = client.pointee.publisher!
        if state.pointee.owed == 0 { state.pointee.oldestDue = due }
        state.pointee.owed += 1
        markDirty(client)
    }

    func flushDirty() {
        let batch = dirty
        dirty.removeAll(keepingCapacity: true)
        for client in batch {
            client.pointee.isDirty = false
            flush(client)
        }
    }

    private func flush(_ client: ClientPointer) {
        guard client.pointee.fd >= 0 && client.pointee.state != .connecting else { return }
        guard !client.pointee.isBlocked else {
            if let publisher = client.pointee.publisher, publisher.pointee.owed > 0 {
                publisher.pointee.heldBack = true
            }
            return
        }
        if traffic.transport.isTLS { return flushRecords(client) }
        if traffic.transport.isWebSocket { return flushFrames(client) }
        if client.pointee.output.count > scratchCapacity / 2 {
            flushBacklog(client)
            return
        }
        var count = client.pointee.output.count
        if count > 0 { scratch.update(from: client.pointee.output.bytes!, count: count) }
        client.pointee.output.clear()
        if isPublishing && client.pointee.state == .ready, let publisher = client.pointee.publisher {
            count += writeMessages(client, publisher, scratch + count, scratchCapacity - count)
        }
        if count > 0 { transmit(client, scratch, count) }
        endIfSaid(client)
    }

    func endIfSaid(_ client: ClientPointer) {
        guard client.pointee.state == .closing && client.pointee.fd >= 0 else { return }
        if client.pointee.output.count + client.pointee.wire.count == 0 {
            shutdown(client.pointee.fd, Int32(SHUT_WR))
        }
    }

    private func flushBacklog(_ client: ClientPointer) {
        transmit(client, client.pointee.output.bytes!, client.pointee.output.count, isOwnOutput: true)
        if client.pointee.fd >= 0 && !client.pointee.isBlocked { markDirty(client) }
    }

    /// Over WebSocket: what the socket did not take is framed already and goes first; the rest is one frame.
    private func flushFrames(_ client: ClientPointer) {
        if client.pointee.wire.count > 0 {
            sendWire(client, client.pointee.wire.bytes!, client.pointee.wire.count)
            guard client.pointee.fd >= 0, !client.pointee.isBlocked else { return }
        }
        guard client.pointee.state != .upgrading else { return }
        let start = scratch + WebSocket.headRoom
        let space = scratchCapacity - WebSocket.headRoom
        var count = min(client.pointee.output.count, space / 2)
        if count > 0 {
            start.update(from: client.pointee.output.bytes!, count: count)
            client.pointee.output.replace(client.pointee.output.bytes! + count, client.pointee.output.count - count)
        }
        if client.pointee.output.count > 0 {
            markDirty(client)
        } else if isPublishing && client.pointee.state == .ready, let publisher = client.pointee.publisher {
            count += writeMessages(client, publisher, start + count, space - count)
        }
        if count > 0 {
            let frame = WebSocket.seal(start, count)
            sendWire(client, frame, start + count - frame)
        }
        endIfSaid(client)
    }

    func sendWire(_ client: ClientPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        let sent = send(client.pointee.fd, bytes, count, Int32(MSG_NOSIGNAL))
        if sent < 0 && errno != EAGAIN && errno != EINTR { return closed(client) }
        let gone = max(0, sent)
        client.pointee.isBlocked = gone < count
        client.pointee.wire.replace(bytes + gone, count - gone)
    }

    private func transmit(
        _ client: ClientPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int, isOwnOutput: Bool = false
    ) {
        let sent = send(client.pointee.fd, bytes, count, Int32(MSG_NOSIGNAL))
        if sent < 0 && errno != EAGAIN && errno != EINTR { return closed(client) }
        let gone = max(0, sent)
        client.pointee.isBlocked = gone < count
        if gone < count || isOwnOutput { client.pointee.output.replace(bytes + gone, count - gone) }
    }

    /// How many messages the publisher may write now.
    @inline(__always)
    private func allowance(_ publisher: UnsafeMutablePointer<Publisher>, room: Int) -> Int {
        let next = publisher.pointee.next
        let left = publisher.pointee.limit - next
        var allowed = Int(min(left, UInt64(room)))
        if !traffic.openLoop {
            let reached = progress.reached(publisher.pointee.index)
            allowed = min(allowed, traffic.window - Int(next - min(next, reached)))
        }
        if let inflight = publisher.pointee.inflight { allowed = min(allowed, inflight.free) }
        if traffic.rate != nil { return min(allowed, Int(publisher.pointee.owed)) }
        // A few more now or many a little later: later costs fewer system calls on both sides.
        let batch = min(publisher.pointee.batch, room, Int(min(left, 65_535)))
        return allowed < batch ? 0 : allowed
    }

    func writeMessages(
        _ client: ClientPointer, _ publisher: UnsafeMutablePointer<Publisher>, _ start: UnsafeMutablePointer<UInt8>,
        _ space: Int
    ) -> Int {
        let template = publisher.pointee.template
        let room = min(space, max(Self.scratchSize, template.length)) / template.length
        let count = allowance(publisher, room: room)
        if traffic.rate != nil && count < Int(publisher.pointee.owed) { publisher.pointee.heldBack = true }
        guard count > 0 else { return 0 }
        let now = bench_now()
        var p = start
        for _ in 0..<count {
            let time = traffic.rate == nil ? now : takeDue(publisher, now)
            let id = publisher.pointee.inflight?.take(at: now) ?? 0
            template.write(to: p, sequence: publisher.pointee.next, time: time, packetID: id, random: &random)
            publisher.pointee.next += 1
            p += template.length
        }
        counters[.sent] += UInt64(count)
        client.pointee.lastSend = now
        if count == room { markDirty(client) }
        return p - start
    }

    /// The time a scheduled message counts from: now, or when it was due if the broker held it back.
    private func takeDue(_ publisher: UnsafeMutablePointer<Publisher>, _ now: UInt64) -> UInt64 {
        let due = publisher.pointee.oldestDue
        let heldBack = publisher.pointee.heldBack
        publisher.pointee.owed -= 1
        publisher.pointee.oldestDue += schedule.publisherInterval
        if publisher.pointee.owed == 0 { publisher.pointee.heldBack = false }
        guard !heldBack else { return min(due, now) }
        lag.record(now > due ? now - due : 0)
        return now
    }
}
