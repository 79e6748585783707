// SPDX-License-Identifier: Apache-2.0
import CBench
import CTLS
import Glibc

/// What comes in: one `recv` per ready socket, packets read in place, replies collected per client.
extension Loop {
    func receive(_ client: ClientPointer) {
        let kept = client.pointee.partial.count
        if kept > 0 { receiveBuffer.update(from: client.pointee.partial.bytes!, count: kept) }
        if traffic.transport.isTLS { return receiveRecords(client, kept) }
        let room = receiveCapacity - kept
        let count = recv(client.pointee.fd, receiveBuffer + kept, room, 0)
        guard count > 0 else {
            if count < 0 && (errno == EAGAIN || errno == EINTR) { return }
            return closed(client)
        }
        bytesThisTick += count
        var total = kept + count
        if traffic.transport.isWebSocket {
            guard let payload = unpack(client, receiveBuffer + kept, count) else { return }
            total = kept + payload
        }
        takePackets(client, total)
        if client.pointee.fd >= 0 && count == room { more.append(client) }
    }

    /// `total` bytes at the start of the receive buffer; what is no whole packet is kept.
    func takePackets(_ client: ClientPointer, _ total: Int) {
        let used = readPackets(client, receiveBuffer, total, bench_now())
        guard client.pointee.fd >= 0 else { return }
        client.pointee.partial.replace(receiveBuffer + used, total - used)
        if client.pointee.output.count > 0 { markDirty(client) }
    }

    /// Takes the frames off; returns the bytes of payload, or nil when the connection is gone or only opening.
    func unpack(_ client: ClientPointer, _ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) -> Int? {
        var payload = 0
        if client.pointee.state == .upgrading {
            // An answer is short: it comes in one piece, and nothing comes behind it before CONNECT.
            let answer = WebSocket.answer(UnsafeBufferPointer(start: bytes, count: count))
            guard let answer, answer.isAccepted, answer.count == count else {
                fail(client, "the broker opens no WebSocket on /mqtt: \(answer?.status ?? "its answer is no HTTP")")
                return nil
            }
            sendConnect(client)
            return nil
        }
        let found = client.pointee.frames.unpack(bytes, count, payload: &payload)
        if !client.pointee.frames.pings.isEmpty { answerPings(client) }
        switch found {
        case .data: return payload
        case .closed(let code):
            // The last thing there is to read: the socket's own end may have come with it, and nobody would tell again.
            if client.pointee.state != .closing { lastComplaint = "the broker closed a WebSocket with code \(code)" }
            closed(client)
            return nil
        case .malformed:
            protocolError(client, "a malformed WebSocket frame")
            return nil
        }
    }

    private func answerPings(_ client: ClientPointer) {
        for var body in client.pointee.frames.pings {
            let count = body.count
            body.insert(contentsOf: [UInt8](repeating: 0, count: WebSocket.headRoom), at: 0)
            body.withUnsafeMutableBufferPointer { room in
                let frame = WebSocket.seal(room.baseAddress! + WebSocket.headRoom, count, opcode: 0xA)
                sendFramed(client, frame, room.baseAddress! + room.count - frame)
            }
        }
        client.pointee.frames.pings = []
        markDirty(client)
    }

    /// Behind what waits for the socket, through TLS where there is one.
    func sendFramed(_ client: ClientPointer, _ bytes: UnsafePointer<UInt8>, _ count: Int) {
        if let tls = client.pointee.tls {
            _ = ctls_stream_send(tls, bytes, count)
        } else {
            client.pointee.wire.grow(count).update(from: bytes, count: count)
        }
    }

    /// Returns how many bytes were whole packets.
    private func readPackets(_ client: ClientPointer, _ start: UnsafePointer<UInt8>, _ total: Int, _ now: UInt64) -> Int
    {
        var at = 0
        var packet = PacketView(first: 0, body: start, length: 0)
        while at < total {
            switch PacketView.read(start + at, total - at, into: &packet) {
            case .packet(let size):
                at += size
                if packet.type == PacketType.publish {
                    receivePublish(client, packet, now)
                } else {
                    receiveControl(client, packet, now)
                }
                if client.pointee.fd < 0 { return at }
            case .incomplete:
                if total - at >= receiveCapacity {
                    protocolError(client, "a packet that is larger than any it was asked for")
                }
                return at
            case .malformed:
                protocolError(client, "a packet with a malformed length")
                return at
            }
        }
        return at
    }

    @inline(__always)
    private func receivePublish(_ client: ClientPointer, _ packet: PacketView, _ now: UInt64) {
        guard let publish = PublishView(packet, version: traffic.version) else {
            return protocolError(client, "a malformed PUBLISH")
        }
        if publish.packetID != 0 {
            let answer = packet.first & 0x06 == 0x02 ? PacketType.puback : PacketType.pubrec
            reply(client, answer << 4, publish.packetID)
        }
        guard publish.payloadLength >= Stamp.size, let rule = client.pointee.receiver else {
            counters[.foreign] += 1
            return
        }
        let stamp = Stamp(publish.payload)
        if case .stranger = rule { return receiveStranger(stamp, now) }
        let stream = Int(stamp.publisher) - client.pointee.firstStream
        guard stamp.run == traffic.run && stream >= 0 && stream < client.pointee.streamCount else {
            counters[.foreign] += 1
            return
        }
        client.pointee.streams![stream].note(stamp.sequence)
        latency.record(now > stamp.time ? now - stamp.time : 0)
        counters[.received] += 1
        counters[.lastReceived] = now
        reachPublisher(client, rule, Int(stamp.publisher), client.pointee.streams![stream].next, publish)
    }

    /// Tells the publisher's side that the message is here.
    @inline(__always)
    private func reachPublisher(
        _ client: ClientPointer, _ rule: ReceiverRule, _ publisher: Int, _ next: UInt64, _ publish: PublishView
    ) {
        switch rule {
        case .onlyReceiver:
            bench_store(progress.slot(loop: index, publisher: publisher), next)
        case .everyReceiver:
            touched[publisher] = true
            anyTouched = true
            return
        case .someReceiver(let numbers):
            let slot = progress.slot(loop: index, publisher: publisher)
            bench_store(slot, slot.pointee + 1)
            if !numbers.contains(Self.number(in: publish)) { counters[.misrouted] += 1 }
        case .collector, .stranger: return
        }
        wakePublisher(publisher)
    }

    @inline(__always)
    private func wakePublisher(_ publisher: Int) {
        if let home = publisherClients[publisher] {
            markDirty(home)
        } else {
            // Publishers are dealt out to the loops in turn.
            nudgePeer[publisher % nudgePeer.count] = true
        }
    }

    /// The number in a wildcard topic `…/x/NNNNNN/t`; -1 when it is not one.
    private static func number(in publish: PublishView) -> Int {
        guard publish.topicLength >= 8 else { return -1 }
        var number = 0
        for i in publish.topicLength - 8..<publish.topicLength - 2 {
            guard publish.topic[i] >= 0x30 && publish.topic[i] <= 0x39 else { return -1 }
            number = number * 10 + Int(publish.topic[i] - 0x30)
        }
        return number
    }

    private func receiveStranger(_ stamp: Stamp, _ now: UInt64) {
        strangers.note(stamp)
        latency.record(now > stamp.time ? now - stamp.time : 0)
        counters[.received] += 1
        counters[.lastReceived] = now
    }

    /// Fan-out: a publisher is as far as its slowest receiver on this loop.
    func publishLowest() {
        anyTouched = false
        for publisher in 0..<touched.count where touched[publisher] {
            touched[publisher] = false
            var lowest = UInt64.max
            for receiver in receivers {
                lowest = min(lowest, receiver.pointee.streams![publisher - receiver.pointee.firstStream].next)
            }
            bench_store(progress.slot(loop: index, publisher: publisher), lowest)
            wakePublisher(publisher)
        }
    }

    @inline(__always)
    private func reply(_ client: ClientPointer, _ first: UInt8, _ packetID: Int) {
        let p = client.pointee.output.grow(4)
        p[0] = first
        p[1] = 2
        p[2] = UInt8(truncatingIfNeeded: packetID >> 8)
        p[3] = UInt8(truncatingIfNeeded: packetID)
    }

    private func receiveControl(_ client: ClientPointer, _ packet: PacketView, _ now: UInt64) {
        switch packet.type {
        case PacketType.puback, PacketType.pubrec, PacketType.pubcomp: acknowledged(client, packet, now)
        case PacketType.pubrel: reply(client, PacketType.pubcomp << 4, packet.packetID)
        case PacketType.connack: connected(client, packet, now)
        case PacketType.suback: subscribed(client, packet)
        case PacketType.disconnect:
            let code = packet.length > 0 ? packet.body[0] : 0
            counters[.lostConnections] += 1
            fail(client, "the broker disconnected a client with reason 0x\(String(code, radix: 16))")
        case PacketType.pingresp, PacketType.unsuback: break
        default: protocolError(client, "a packet of type \(packet.type)")
        }
    }

    @inline(__always)
    private func acknowledged(_ client: ClientPointer, _ packet: PacketView, _ now: UInt64) {
        let id = packet.packetID
        guard let publisher = client.pointee.publisher, publisher.pointee.inflight != nil else {
            return protocolError(client, "an acknowledgement to a client that published nothing")
        }
        var takenAt: UInt64?
        if packet.type == PacketType.pubrec && packet.ackReason < 0x80 {
            guard publisher.pointee.inflight!.received(id) else {
                return protocolError(client, "a PUBREC for a packet identifier that is not in flight")
            }
            return reply(client, PacketType.pubrel << 4 | 2, id)
        } else if packet.type == PacketType.pubcomp {
            takenAt = publisher.pointee.inflight!.complete(id)
        } else {
            takenAt = publisher.pointee.inflight!.finish(id)
        }
        guard let takenAt else {
            return protocolError(client, "an acknowledgement for a packet identifier that is not in flight")
        }
        if packet.ackReason >= 0x80 { counters[.protocolErrors] += 1 }
        ackTime.record(now - takenAt)
        counters[.acked] += 1
        markDirty(client)
    }
}

/// The streams of publishers in other processes, found by run and number.
struct StrangerStreams: Sendable {
    private(set) var streams: [UInt64: SequenceTracker] = [:]

    mutating func note(_ stamp: Stamp) {
        let key = UInt64(stamp.run) << 32 | UInt64(stamp.publisher)
        streams[key, default: SequenceTracker(.fromFirstSeen)].note(stamp.sequence)
    }
}
