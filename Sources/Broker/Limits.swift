// SPDX-License-Identifier: Apache-2.0
import CReactor
import MQTTCodec
import Reactor
import Topics

/// What one client may send, kept only for connections that have a limit: all others carry a nil pointer and pay one
/// branch per received piece for it.
struct ConnectionLimits {
    /// `listener.*.rate_limit`
    var bytes: TokenBucket
    /// `mqtt.publish_limit`
    var publishes: TokenBucket
    /// Bytes of the transport that are paid for.
    var paid: UInt64 = 0
    /// Reading goes on.
    var timer = TimerNode()

    /// What a client with a publish limit may have in our memory unread, so that a pause costs little.
    static let piece = 16 << 10
}

/// Reading pauses while a client is over its limit, and TCP makes it wait: nothing is dropped.
extension Shard {
    func makeLimits(_ c: ConnectionRef) {
        let bytes = listeners.with(c.pointee.listener) { $0.terms.rateLimit }
        let publishes = c.pointee.zone.pointee.publishLimit
        guard !bytes.isNone || !publishes.isNone else { return }
        let limits = UnsafeMutablePointer<ConnectionLimits>.allocate(capacity: 1)
        limits.initialize(
            to: ConnectionLimits(bytes: TokenBucket(bytes, now: now), publishes: TokenBucket(publishes, now: now)))
        limits.pointee.timer.context = UnsafeMutableRawPointer(c)
        limits.pointee.timer.fire = { context in
            Shard.current.throttleEnded(context.assumingMemoryBound(to: Connection.self))
        }
        c.pointee.limits = limits
        setReadLimit(c, limits)
    }

    func dropLimits(_ c: ConnectionRef) {
        guard let limits = c.pointee.limits else { return }
        c.pointee.limits = nil
        timers.disarm(&limits.pointee.timer)
        limits.deallocate()
    }

    /// `process` for a client with a limit: as many packets as it may send now. Returns the bytes consumed.
    @inline(never)
    func processLimited(
        _ c: ConnectionRef, _ limits: UnsafeMutablePointer<ConnectionLimits>, _ bytes: UnsafeRawBufferPointer
    ) -> Int {
        let received = c.pointee.transport.pointee.bytesIn
        limits.pointee.bytes.spend(Int(received &- limits.pointee.paid), now: now)
        limits.pointee.paid = received
        let use = c.pointee.generation
        var allowed = (end: bytes.count, count: 0)
        if limits.pointee.publishes.isLimited {
            allowed = leadingPackets(bytes, publishes: limits.pointee.publishes.available(now: now))
        }
        let consumed = allowed.end == 0 ? 0 : process(c, UnsafeRawBufferPointer(rebasing: bytes[..<allowed.end]))
        // A packet may have ended the connection, and CONNECT may have moved it to another loop.
        guard c.pointee.generation == use, c.pointee.phase != .closing else { return bytes.count }
        if limits.pointee.publishes.isLimited {
            let done = UnsafeRawBufferPointer(rebasing: bytes[..<consumed])
            limits.pointee.publishes.spend(leadingPackets(done, publishes: .max).count, now: now)
        }
        throttle(c, limits, publishWaits: consumed == allowed.end && consumed < bytes.count)
        return consumed
    }

    private func throttle(_ c: ConnectionRef, _ limits: UnsafeMutablePointer<ConnectionLimits>, publishWaits: Bool) {
        var wait: UInt64 = 0
        if limits.pointee.bytes.isLimited, limits.pointee.bytes.available(now: now) == 0 {
            wait = limits.pointee.bytes.wait(now: now)
        }
        if publishWaits { wait = max(wait, limits.pointee.publishes.wait(now: now)) }
        guard wait > 0 else { return setReadLimit(c, limits) }
        c.pointee.flags.insert(.throttled)
        counters.count(.clientsThrottled)
        pause(c.pointee.transport)
        timers.arm(&limits.pointee.timer, at: now + wait)
    }

    private func throttleEnded(_ c: ConnectionRef) {
        guard let limits = c.pointee.limits, c.pointee.phase != .closing else { return }
        c.pointee.flags.remove(.throttled)
        setReadLimit(c, limits)
        resumeIfFree(c)
    }

    private func setReadLimit(_ c: ConnectionRef, _ limits: UnsafeMutablePointer<ConnectionLimits>) {
        var piece = Int(UInt32.max)
        if limits.pointee.publishes.isLimited { piece = ConnectionLimits.piece }
        if limits.pointee.bytes.isLimited { piece = min(piece, max(1, limits.pointee.bytes.available(now: now))) }
        c.pointee.transport.pointee.readLimit = UInt32(piece)
    }
}

/// Where the packets at the head of `bytes` end, whole or not, before there is one PUBLISH more than `publishes`; and
/// how many PUBLISH packets those are. What cannot be read is left to whoever judges it.
func leadingPackets(_ bytes: UnsafeRawBufferPointer, publishes: Int) -> (end: Int, count: Int) {
    var at = 0
    var count = 0
    while at < bytes.count {
        let isPublish = bytes[at] >> 4 == PacketType.publish.rawValue
        if isPublish && count == publishes { return (at, count) }
        if isPublish { count += 1 }
        guard
            let header = try? readFixedHeader(UnsafeRawBufferPointer(rebasing: bytes[at...]), maxPacketSize: .max),
            header.packetLength <= bytes.count - at
        else { return (bytes.count, count) }
        at += header.packetLength
    }
    return (bytes.count, count)
}
