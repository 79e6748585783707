// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What to give up when a queue is full.
public enum DropPolicy: UInt8, Sendable {
    case oldest, newest, qos0First
}

/// Limits of one session's queue. All of them are configuration (`mqtt.mqueue.*`).
public struct QueueLimits: Sendable {
    /// Messages; 0: no limit.
    public var maxLength: Int
    /// Bytes of messages; 0: no limit.
    public var maxBytes: Int
    public var drop: DropPolicy
    public var storeQoS0: Bool
    /// Percent of maxLength at which the alarm is raised and cleared.
    public var highWatermark: Int
    public var lowWatermark: Int

    public init(
        maxLength: Int = 100_000, maxBytes: Int = 64 << 20, drop: DropPolicy = .oldest, storeQoS0: Bool = true,
        highWatermark: Int = 60, lowWatermark: Int = 20
    ) {
        self.maxLength = maxLength
        self.maxBytes = maxBytes
        self.drop = drop
        self.storeQoS0 = storeQoS0
        self.highWatermark = highWatermark
        self.lowWatermark = lowWatermark
    }

    /// So many percent of maxLength, in hundredths of a message. More messages than there is memory for are all the same.
    public func hundredths(_ percent: Int) -> Int { min(maxLength, .max / 100) * percent }
}

/// The messages that wait for a session: offline, or with its receive window full. One lane, or one per priority;
/// within a lane first in, first out. QoS 0 can be taken by itself: it needs no window. Pure: what is dropped is handed
/// to the caller.
public struct MessageQueue: ~Copyable {
    private let lanes: UnsafeMutablePointer<Lane>
    private let laneCount: Int
    private var sequence: UInt32 = 0
    public private(set) var count = 0
    public private(set) var bytes = 0
    /// How many of them are QoS 0.
    public private(set) var qos0Count = 0
    /// Set while the queue is over its high watermark and not yet below the low one.
    public private(set) var alarmed = false

    /// One lane per priority, highest first.
    public init(lanes count: Int = 1) {
        laneCount = count
        lanes = .allocate(capacity: count)
        for i in 0..<count { (lanes + i).initialize(to: Lane()) }
    }

    deinit {
        lanes.deinitialize(count: laneCount)
        lanes.deallocate()
    }

    public var isEmpty: Bool { count == 0 }

    /// Appends, giving up something else when the limits demand it. `dropped` is called with each message given up,
    /// or with the new one when giving up others would not make room for it.
    /// - Parameter lane: one that the queue does not have counts as its last.
    public mutating func push(
        _ delivery: Delivery, lane: Int = 0, limits: QueueLimits, dropped: (Delivery, DropReason) -> Void
    ) {
        let size = delivery.footprint
        let lane = min(lane, laneCount - 1)
        if isFull(adding: size, limits) {
            guard canMakeRoom(for: size, delivery.qos, lane, limits) else { return dropped(delivery, .queueFull) }
            while isFull(adding: size, limits), let victim = victim(limits.drop, delivery.qos, lane) {
                dropped(victim, .queueFull)
            }
        }
        sequence &+= 1
        lanes[lane].append(Waiting(delivery: delivery, sequence: sequence))
        count += 1
        bytes += size
        if delivery.qos == 0 { qos0Count += 1 }
        if !alarmed, limits.maxLength > 0, count * 100 > limits.hundredths(limits.highWatermark) { alarmed = true }
    }

    /// The next message by priority, then age.
    public mutating func pop(limits: QueueLimits) -> Delivery? {
        for lane in 0..<laneCount {
            if let next = lanes[lane].popFirst() { return took(next.delivery, limits) }
        }
        return nil
    }

    /// The next QoS 0 message by priority, then age.
    public mutating func popQoS0(limits: QueueLimits) -> Delivery? {
        guard qos0Count > 0 else { return nil }
        for lane in 0..<laneCount {
            if let next = lanes[lane].qos0.popFirst() { return took(next.delivery, limits) }
        }
        return nil
    }

    public mutating func removeAll(_ body: (Delivery) -> Void) {
        for lane in 0..<laneCount {
            while let next = lanes[lane].popFirst() { body(next.delivery) }
        }
        count = 0
        bytes = 0
        qos0Count = 0
        alarmed = false
    }

    /// Takes out the messages for which `body` answers true, keeping the order of the others.
    public mutating func removeWhere(limits: QueueLimits, _ body: (Delivery) -> Bool) {
        for lane in 0..<laneCount {
            var left = (qos0: lanes[lane].qos0.count, acknowledged: lanes[lane].acknowledged.count)
            while left.qos0 + left.acknowledged > 0 {
                let next: Waiting
                if left.acknowledged == 0 || left.qos0 > 0 && lanes[lane].isQoS0First {
                    next = lanes[lane].qos0.popFirst()!
                    left.qos0 -= 1
                } else {
                    next = lanes[lane].acknowledged.popFirst()!
                    left.acknowledged -= 1
                }
                if body(next.delivery) { _ = took(next.delivery, limits) } else { lanes[lane].append(next) }
            }
        }
    }

    // MARK: - Limits

    private func isFull(adding size: Int, _ limits: QueueLimits) -> Bool {
        limits.maxLength > 0 && count >= limits.maxLength || limits.maxBytes > 0 && bytes + size > limits.maxBytes
    }

    /// Whether giving up all that may be given up would do: nothing is dropped for a message that is dropped too.
    private func canMakeRoom(for size: Int, _ qos: UInt8, _ newLane: Int, _ limits: QueueLimits) -> Bool {
        var left = (count: count, bytes: bytes)
        for lane in 0..<laneCount {
            if mayDropQoS0(of: lane, limits.drop, qos, newLane) {
                left.count -= lanes[lane].qos0.count
                left.bytes -= lanes[lane].qos0.bytes
            }
            if mayDropAcknowledged(of: lane, limits.drop, qos, newLane) {
                left.count -= lanes[lane].acknowledged.count
                left.bytes -= lanes[lane].acknowledged.bytes
            }
        }
        return (limits.maxLength == 0 || left.count < limits.maxLength)
            && (limits.maxBytes == 0 || left.bytes + size <= limits.maxBytes)
    }

    /// Nothing is given up for a message of a lower priority; with `.qos0First` only QoS 0 is, for any QoS 1 or 2.
    private func mayDropQoS0(of lane: Int, _ policy: DropPolicy, _ newQoS: UInt8, _ newLane: Int) -> Bool {
        policy != .newest && (lane >= newLane || policy == .qos0First && newQoS > 0)
    }

    private func mayDropAcknowledged(of lane: Int, _ policy: DropPolicy, _ newQoS: UInt8, _ newLane: Int) -> Bool {
        policy != .newest && lane >= newLane && (policy == .oldest || newQoS > 0)
    }

    /// The oldest of the lowest priority; with `.qos0First` the oldest QoS 0 if there is one.
    private mutating func victim(_ policy: DropPolicy, _ newQoS: UInt8, _ newLane: Int) -> Delivery? {
        if policy == .qos0First {
            for lane in (0..<laneCount).reversed() where mayDropQoS0(of: lane, policy, newQoS, newLane) {
                if let victim = lanes[lane].qos0.popFirst() { return took(victim.delivery) }
            }
        }
        for lane in (newLane..<laneCount).reversed() where mayDropAcknowledged(of: lane, policy, newQoS, newLane) {
            if let victim = lanes[lane].popFirst() { return took(victim.delivery) }
        }
        return nil
    }

    private mutating func took(_ delivery: Delivery) -> Delivery {
        count -= 1
        bytes -= delivery.footprint
        if delivery.qos == 0 { qos0Count -= 1 }
        return delivery
    }

    private mutating func took(_ delivery: Delivery, _ limits: QueueLimits) -> Delivery {
        let delivery = took(delivery)
        if alarmed, count * 100 < max(1, limits.hundredths(limits.lowWatermark)) { alarmed = false }
        return delivery
    }
}

/// A delivery and when it came, relative to the others. As large as the delivery: the number lies in its padding.
struct Waiting {
    var delivery: Delivery
    var sequence: UInt32
}

/// One priority: QoS 0 apart from the rest, so that either can be taken or given up without a search.
private struct Lane: ~Copyable {
    var qos0 = Ring()
    var acknowledged = Ring()

    mutating func append(_ waiting: Waiting) {
        if waiting.delivery.qos == 0 { qos0.append(waiting) } else { acknowledged.append(waiting) }
    }

    mutating func popFirst() -> Waiting? { isQoS0First ? qos0.popFirst() : acknowledged.popFirst() }

    /// Whether the older of the two heads is QoS 0.
    var isQoS0First: Bool {
        guard let first = qos0.firstSequence else { return false }
        guard let other = acknowledged.firstSequence else { return true }
        return Int32(bitPattern: first &- other) < 0
    }
}

/// Deliveries in order. Grows and, when it has been emptied, gives its memory back.
private struct Ring: ~Copyable {
    private var ring: UnsafeMutablePointer<Waiting>?
    private var room = 0
    private var head = 0
    private var tail = 0
    private(set) var bytes = 0
    var count: Int { tail - head }
    var firstSequence: UInt32? { head < tail ? ring![head & (room - 1)].sequence : nil }

    deinit { ring?.deallocate() }

    mutating func append(_ waiting: Waiting) {
        if tail - head == room { resize(max(8, room * 2)) }
        ring![tail & (room - 1)] = waiting
        tail += 1
        bytes += waiting.delivery.footprint
    }

    mutating func popFirst() -> Waiting? {
        guard head < tail else { return nil }
        let first = ring![head & (room - 1)]
        head += 1
        bytes -= first.delivery.footprint
        if head == tail && room > 64 {
            ring!.deallocate()
            ring = nil
            room = 0
            head = 0
            tail = 0
        }
        return first
    }

    private mutating func resize(_ wanted: Int) {
        let wider = UnsafeMutablePointer<Waiting>.allocate(capacity: wanted)
        for i in 0..<(tail - head) { wider[i] = ring![(head + i) & (room - 1)] }
        tail -= head
        head = 0
        ring?.deallocate()
        ring = wider
        room = wanted
    }
}
