// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// Messages that are not copied: outputs and inboxes refer to where the kernel has put them.
extension Shard {
    /// Bytes of payload from which on a reference costs less than a copy.
    static var lendFrom: Int { 1024 }

    /// The block of input a message may be lent from. QoS 0 only: others are kept until they are acknowledged.
    func lender(_ m: Message) -> InputRef? {
        guard let input, m.qos == 0, input.lends(m.payload), m.topic.count == 0 || input.holds(m.topic) else {
            return nil
        }
        return input
    }

    /// Whether a large message is better lent to the loops that get it than copied once for all of them: not when it has
    /// many receivers, whose outputs might each have to copy it.
    func maySendLent(_ message: MessageRef, _ r: RouteRef) -> Bool {
        guard let block = lender(message.pointee) else { return false }
        if block.isMostly(message.pointee.payload) { return true }
        let remote = r.pointee.remote
        return r.pointee.targetCount == 0 && remote & (remote - 1) == 0
    }

    /// Whether all receivers, however slow, may refer to the message where it lies.
    func mayStayInInput(_ message: MessageRef) -> Bool {
        guard let block = lender(message.pointee) else { return false }
        return block.isMostly(message.pointee.payload)
    }

    /// False when the chunk cannot take it; it is copied then.
    @inline(never)
    func sendLent(
        _ message: MessageRef, _ block: InputRef, _ hash: UInt64, to target: Int, publisher: UInt64,
        clue: TopicClue, directed: Parcel.Direction?
    ) -> Bool {
        let rest = message.pointee.restSize
        guard rest <= Parcel.inlineLimit else { return false }
        let size = Parcel.bytes(for: MemoryLayout<Message>.stride + rest)
        let chunk = chunk(for: target, size)
        guard chunk.pointee.refer(to: block) else { return false }
        let parcel = chunk.add(size, hash, publisher: publisher, clue: clue, directed: directed)
        parcel.pointee.kind.insert(.lent)
        parcel.pointee.block = block
        message.placed(at: parcel.message, keepsBody: true)
        chunk.pointee.referred += message.pointee.payloadSize
        if chunk.pointee.referred > Chunk.referredLimit { pushOutgoing(target) }
        if cr_load_relaxed_i64(peers[target].waiting) > inboxLimit { holdForInbox(publisher) }
        return true
    }

    /// A parcel whose message lies in the input of the loop that sent it.
    @inline(never)
    func receiveLent(_ parcel: UnsafeMutablePointer<Parcel>) {
        input = parcel.pointee.block
        deliver(parcel.message, parcel)
        input = nil
    }

    /// A PUBLISH with a payload of `lendFrom` bytes or more. Where the packet that came is the packet to send, it goes out
    /// from where it lies, header and all; else its payload does, if that is large.
    @inline(never)
    func writeLarge(_ message: MessageRef, _ h: inout PublishHeader, _ t: TransportRef) {
        let payload = message.pointee.payload
        let size = h.packetSize
        let block = lender(message.pointee).flatMap { mayWait(t, $0, payload) ? $0 : nil }
        if let block, let packet = received(payload, in: block, as: &h, size) {
            return appendLent(t, packet, from: block)
        }
        if payload.count <= Shard.copyLimit {
            _ = h.encode(into: reserve(t, size), payload: payload)
            return
        }
        _ = h.encode(into: reserve(t, size - payload.count))
        if let block { return appendLent(t, payload, from: block) }
        let kept = message.own()
        appendShared(
            t, kept.pointee.payload, owner: UnsafeMutableRawPointer(kept),
            release: { $0.assumingMemoryBound(to: Message.self).release() })
    }

    /// What a receive buffer lends is to be written in this tick.
    private func mayWait(_ t: TransportRef, _ block: InputRef, _ payload: Bytes) -> Bool {
        !t.pointee.isBlocked || block.isMostly(payload)
    }

    /// The packet as it came, if what stands before its payload is what this header would be.
    private func received(
        _ payload: Bytes, in block: InputRef, as h: inout PublishHeader, _ size: Int
    ) -> Bytes? {
        let count = size - payload.count
        let packet = Bytes(start: payload.baseAddress! - count, count: size)
        guard count <= 512, block.holds(packet) else { return nil }
        let isSame = withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { room in
            _ = h.encode(into: room.baseAddress!)
            return memcmp(room.baseAddress!, packet.baseAddress!, count) == 0
        }
        return isSame ? packet : nil
    }
}
