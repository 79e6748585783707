// SPDX-License-Identifier: Apache-2.0

/// The QoS 1 and 2 messages sent to a client and not yet acknowledged, in the order they were sent.
///
/// A ring in sending order. Packet identifiers are given out as 1, 2, 3 …, so within one lap of them they ascend and an
/// acknowledgement finds its entry by subtraction, or by bisection after a gap. Acknowledged entries in the middle stay
/// as holes until those before them are acknowledged or the ring needs their room.
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
    /// The first position filled since the identifiers last began again at 1, and the time before that.
    private var lap = 0
    private var previousLap = 0
    /// Where the first parked entry may be.
    private var parkedFrom = 0
    /// Messages that were in flight when the client left and wait for their turn to be sent again.
    public private(set) var parked = 0
    /// Messages in flight on this connection: what the receive maximum limits. [MQTT-4.9.0-1]
    public private(set) var count = 0

    /// Entries the ring has room for.
    var capacity: Int { room }

    public init() {
        room = 8
        ring = .allocate(capacity: 8)
    }

    deinit { ring.deallocate() }

    /// Appends a message as just sent. The identifier is new and in no use. [MQTT-2.2.1-4] [MQTT-4.3.2-1]
    /// [MQTT-4.3.3-1]
    public mutating func add(_ delivery: Delivery, now: UInt64) -> UInt16 {
        if tail - head == room { makeRoom() }
        let id = nextID()
        ring[tail & (room - 1)] = Entry(
            delivery: delivery, packetID: id, state: delivery.qos == 2 ? .awaitingPubrec : .awaitingPuback, sentAt: now)
        tail += 1
        count += 1
        return id
    }

    /// PUBACK: the message is done [MQTT-4.3.2-3]; the caller discards it. Nil when the identifier is not awaiting one.
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

    /// PUBREC with a reason below 0x80. [MQTT-4.3.3-3]
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

    /// What the message of an identifier in use waits for; nil when none has it.
    public func state(of id: UInt16) -> State? { find(id).map { ring[$0].state } }

    /// A message that is not sent again: its exchange is over. The caller discards it.
    public mutating func giveUp(_ id: UInt16) -> Delivery? {
        guard let at = find(id), ring[at].state == .awaitingPuback || ring[at].state == .awaitingPubrec
        else { return nil }
        return finish(at)
    }

    /// PUBCOMP: the identifier is free. [MQTT-4.3.3-5]
    public mutating func pubcomp(_ id: UInt16) -> Bool {
        guard let at = find(id), ring[at].state == .awaitingPubcomp else { return false }
        _ = finish(at)
        return true
    }

    /// A new connection: what was sent and not received is to be sent again, as its window allows [MQTT-4.4.0-1]; what
    /// was received is not: for that only PUBREL is. [MQTT-4.3.3-6]
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

    /// Every entry that still waits for something, in sending order. [MQTT311-4.6.0-1]
    public func forEach(_ body: (inout Entry) -> Void) {
        for i in head..<tail where ring[i & (room - 1)].state != .hole { body(&ring[i & (room - 1)]) }
    }

    /// Takes everything out, calling `body` with each message that was not yet received by the client: what it has
    /// received goes to nobody else. [MQTT-4.8.2-5]
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

    /// Fewer than 65,535 identifiers are in use: the window is never wider, and one more is about to be added.
    private mutating func nextID() -> UInt16 {
        advanceID()
        if mayBeInUse(lastID) && find(lastID) != nil { skipUsed() }
        return lastID
    }

    private mutating func advanceID() {
        if lastID == .max {
            lastID = 1
            previousLap = lap
            lap = tail
        } else {
            lastID += 1
        }
    }

    /// One look at everything, whatever the number of neighbours in use.
    private mutating func skipUsed() {
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 1024) { used in
            used.initialize(repeating: 0)
            for i in head..<tail where ring[i & (room - 1)].state != .hole {
                let id = Int(ring[i & (room - 1)].packetID)
                used[id >> 6] |= 1 << UInt64(id & 63)
            }
            while used[Int(lastID >> 6)] & 1 << UInt64(lastID & 63) != 0 { advanceID() }
        }
    }

    /// What this lap has given out so far is smaller, and what is left of the lap before begins at the head.
    private func mayBeInUse(_ id: UInt16) -> Bool {
        guard head < tail, head < lap else { return false }
        return head < previousLap || ring[head & (room - 1)].packetID <= id
    }

    @inline(__always)
    private func find(_ id: UInt16) -> Int? {
        // Clients answer in the order they were asked. [MQTT-4.6.0-2]
        let oldest = head & (room - 1)
        if head < tail, ring[oldest].packetID == id, ring[oldest].state != .hole { return oldest }
        return search(id)
    }

    private func search(_ id: UInt16) -> Int? {
        let newest = max(head, lap)
        let older = max(head, previousLap)
        if let at = find(id, newest, tail) ?? find(id, older, newest) { return at }
        // Messages that outlived a whole lap: hardly ever any.
        for i in head..<older where ring[i & (room - 1)].packetID == id && ring[i & (room - 1)].state != .hole {
            return i & (room - 1)
        }
        return nil
    }

    /// Within one lap: identifiers ascend there, so an entry is never further from the first than they differ.
    private func find(_ id: UInt16, _ from: Int, _ to: Int) -> Int? {
        guard from < to, id >= ring[from & (room - 1)].packetID else { return nil }
        var low = from
        var high = min(to, from + Int(id - ring[from & (room - 1)].packetID) + 1)
        var probe = high - 1
        while low < high {
            let at = probe & (room - 1)
            if ring[at].packetID == id { return ring[at].state == .hole ? nil : at }
            if ring[at].packetID < id { low = probe + 1 } else { high = probe }
            probe = low + (high - low) / 2
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

    /// Without the holes; twice as wide when there are few of them.
    private mutating func makeRoom() {
        let wanted = (count + parked) * 2 > room ? room * 2 : room
        let fresh = UnsafeMutablePointer<Entry>.allocate(capacity: wanted)
        var kept = 0
        var before = (lap: 0, previousLap: 0, parkedFrom: 0)
        for i in head..<tail where ring[i & (room - 1)].state != .hole {
            fresh[kept] = ring[i & (room - 1)]
            kept += 1
            if i < lap { before.lap = kept }
            if i < previousLap { before.previousLap = kept }
            if i < parkedFrom { before.parkedFrom = kept }
        }
        ring.deallocate()
        ring = fresh
        room = wanted
        (lap, previousLap, parkedFrom) = before
        head = 0
        tail = kept
    }
}
