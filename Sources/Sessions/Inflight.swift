// SPDX-License-Identifier: Apache-2.0

/// The QoS 1 and 2 messages sent to a client and not yet acknowledged, in the order they were sent.
///
/// A ring in sending order. Packet identifiers are given out as 1, 2, 3 …, so an acknowledgement finds its entry by
/// subtraction; only after a skipped identifier is there a search. Acknowledged entries in the middle stay as holes
/// until those before them are acknowledged too.
public struct Inflight: ~Copyable {
    public enum State: UInt8 {
        case hole, awaitingPuback, awaitingPubrec, awaitingPubcomp
    }

    @frozen
    public struct Entry {
        /// Valid unless the state is `.hole` or `.awaitingPubcomp`.
        public var delivery: Delivery
        public var packetID: UInt16
        public var state: State
        /// Sent on an earlier connection and not yet again on this one.
        public var isParked = false
        /// Loop time of the last sending, ms.
        public var sentAt: UInt64
    }

    private var ring: UnsafeMutablePointer<Entry>
    private var room: Int
    private var head = 0
    private var tail = 0
    private var lastID: UInt16 = 0
    /// Where the first parked entry may be.
    private var parkedFrom = 0
    /// Messages that were in flight when the client left and wait for their turn to be sent again.
    public private(set) var parked = 0
    /// Messages in flight on this connection: what the receive maximum limits. [MQTT-4.9.0-1]
    public private(set) var count = 0

    public init() {
        room = 8
        ring = .allocate(capacity: 8)
    }

    deinit { ring.deallocate() }

    /// Appends a message as just sent. The identifier is new and in no use. [MQTT-2.2.1-3] [MQTT-2.2.1-4]
    public mutating func add(_ delivery: Delivery, now: UInt64) -> UInt16 {
        if tail - head == room { grow() }
        let id = nextID()
        ring[tail & (room - 1)] = Entry(
            delivery: delivery, packetID: id, state: delivery.qos == 2 ? .awaitingPubrec : .awaitingPuback, sentAt: now)
        tail += 1
        count += 1
        return id
    }

    /// PUBACK: the message is done; the caller discards it. Nil when the identifier is not awaiting one.
    public mutating func puback(_ id: UInt16) -> Delivery? {
        guard let at = find(id), ring[at].state == .awaitingPuback else { return nil }
        return finish(at)
    }

    public enum PubrecResult {
        /// The message is with the receiver; send PUBREL. The caller discards the delivery. [MQTT-4.3.3-4]
        case accepted(Delivery)
        /// Received again: send PUBREL again.
        case repeated
        case unknown
    }

    /// PUBREC with a reason below 0x80.
    public mutating func pubrec(_ id: UInt16, now: UInt64) -> PubrecResult {
        guard let at = find(id) else { return .unknown }
        switch ring[at].state {
        case .awaitingPubrec:
            if ring[at].isParked {
                ring[at].isParked = false
                parked -= 1
                count += 1
            }
            ring[at].state = .awaitingPubcomp
            ring[at].sentAt = now
            return .accepted(ring[at].delivery)
        case .awaitingPubcomp: return .repeated
        default: return .unknown
        }
    }

    /// PUBREC with a reason of 0x80 or above ends the exchange. The caller discards the delivery. [MQTT-4.3.3-4]
    public mutating func pubrecError(_ id: UInt16) -> Delivery? {
        guard let at = find(id), ring[at].state == .awaitingPubrec else { return nil }
        return finish(at)
    }

    public mutating func pubcomp(_ id: UInt16) -> Bool {
        guard let at = find(id), ring[at].state == .awaitingPubcomp else { return false }
        _ = finish(at)
        return true
    }

    /// A new connection: what was sent and not received is to be sent again, as its window allows. [MQTT-4.4.0-1]
    public mutating func park() {
        for i in head..<tail {
            let at = i & (room - 1)
            guard ring[at].state == .awaitingPuback || ring[at].state == .awaitingPubrec, !ring[at].isParked
            else { continue }
            ring[at].isParked = true
            parked += 1
            count -= 1
        }
        parkedFrom = head
    }

    /// The oldest parked entry, in flight again.
    public mutating func unpark(now: UInt64) -> Entry? {
        guard parked > 0 else { return nil }
        parkedFrom = max(parkedFrom, head)
        while parkedFrom < tail {
            let at = parkedFrom & (room - 1)
            parkedFrom += 1
            guard ring[at].state != .hole, ring[at].isParked else { continue }
            ring[at].isParked = false
            ring[at].sentAt = now
            parked -= 1
            count += 1
            return ring[at]
        }
        return nil
    }

    /// Every entry that still waits for something, in sending order. [MQTT-4.6.0-1]
    public func forEach(_ body: (inout Entry) -> Void) {
        for i in head..<tail where ring[i & (room - 1)].state != .hole { body(&ring[i & (room - 1)]) }
    }

    /// Takes everything out, calling `body` with each message that was not yet received by the client.
    public mutating func removeAll(_ body: (Delivery) -> Void) {
        forEach { entry in
            if entry.state != .awaitingPubcomp { body(entry.delivery) }
        }
        head = tail
        count = 0
        parked = 0
    }

    /// Takes out messages the client has not received for which `body` answers true; the caller owns them then.
    public mutating func removeUnreceived(_ body: (Delivery) -> Bool) {
        for i in head..<tail {
            let at = i & (room - 1)
            switch ring[at].state {
            case .awaitingPuback, .awaitingPubrec:
                if body(ring[at].delivery) { close(at) }
            default: break
            }
        }
        while head < tail && ring[head & (room - 1)].state == .hole { head += 1 }
    }

    // MARK: -

    private mutating func nextID() -> UInt16 {
        repeat {
            lastID = lastID == .max ? 1 : lastID + 1
        } while mayBeInUse(lastID) && find(lastID) != nil
        return lastID
    }

    /// Identifiers are handed out in ring order, so one that lies beyond the span of the ring is free without a look.
    private func mayBeInUse(_ id: UInt16) -> Bool {
        tail > head && distance(from: ring[head & (room - 1)].packetID, to: id) < tail - head
            || lastWrapped
    }

    private var lastWrapped: Bool { tail - head > 60_000 }

    private func distance(from: UInt16, to: UInt16) -> Int {
        to >= from ? Int(to) - Int(from) : Int(to) + 65535 - Int(from)
    }

    private func find(_ id: UInt16) -> Int? {
        guard head < tail, id != 0 else { return nil }
        let guess = head + distance(from: ring[head & (room - 1)].packetID, to: id)
        if guess < tail, ring[guess & (room - 1)].packetID == id {
            return ring[guess & (room - 1)].state == .hole ? nil : guess & (room - 1)
        }
        for i in head..<tail where ring[i & (room - 1)].packetID == id && ring[i & (room - 1)].state != .hole {
            return i & (room - 1)
        }
        return nil
    }

    private mutating func finish(_ at: Int) -> Delivery {
        let delivery = ring[at].delivery
        close(at)
        while head < tail && ring[head & (room - 1)].state == .hole { head += 1 }
        return delivery
    }

    /// A client may acknowledge what it got on its last connection before it is sent again.
    private mutating func close(_ at: Int) {
        if ring[at].isParked { parked -= 1 } else { count -= 1 }
        ring[at].isParked = false
        ring[at].state = .hole
    }

    private mutating func grow() {
        let wider = UnsafeMutablePointer<Entry>.allocate(capacity: room * 2)
        var n = 0
        for i in head..<tail {
            // Holes keep their place: the distance between identifiers and positions must stay.
            wider[n] = ring[i & (room - 1)]
            n += 1
        }
        ring.deallocate()
        ring = wider
        room *= 2
        parkedFrom -= head
        head = 0
        tail = n
    }
}
