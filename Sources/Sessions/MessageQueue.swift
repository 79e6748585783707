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
}

/// The messages that wait for a session: offline, or with its receive window full. One lane, or one per priority;
/// within a lane first in, first out. Pure: what is dropped is handed to the caller.
public struct MessageQueue: ~Copyable {
    private var lanes: UnsafeMutablePointer<Lane>
    private let laneCount: Int
    public private(set) var count = 0
    public private(set) var bytes = 0
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
    /// possibly with the new one.
    public mutating func push(
        _ delivery: Delivery, lane: Int = 0, limits: QueueLimits, dropped: (Delivery, DropReason) -> Void
    ) {
        let size = delivery.footprint
        while isFull(adding: size, limits) {
            guard count > 0, limits.drop != .newest, let victim = victim(limits.drop, newQoS: delivery.qos) else {
                return dropped(delivery, .queueFull)
            }
            dropped(victim, .queueFull)
        }
        lanes[lane].append(delivery)
        count += 1
        bytes += size
        if !alarmed, limits.maxLength > 0, count * 100 > limits.maxLength * limits.highWatermark { alarmed = true }
    }

    /// The next message by priority, then age.
    public mutating func pop(limits: QueueLimits) -> Delivery? {
        for lane in 0..<laneCount {
            if let delivery = lanes[lane].popFirst() {
                took(delivery)
                if alarmed, count * 100 < max(1, limits.maxLength * limits.lowWatermark) { alarmed = false }
                return delivery
            }
        }
        return nil
    }

    public mutating func removeAll(_ body: (Delivery) -> Void) {
        for lane in 0..<laneCount {
            while let delivery = lanes[lane].popFirst() { body(delivery) }
        }
        count = 0
        bytes = 0
        alarmed = false
    }

    /// Takes out the messages for which `body` answers true, keeping the order of the others.
    public mutating func removeWhere(_ body: (Delivery) -> Bool) {
        for lane in 0..<laneCount {
            for _ in 0..<lanes[lane].count {
                let delivery = lanes[lane].popFirst()!
                if body(delivery) { took(delivery) } else { lanes[lane].append(delivery) }
            }
        }
    }

    private func isFull(adding size: Int, _ limits: QueueLimits) -> Bool {
        limits.maxLength > 0 && count >= limits.maxLength || limits.maxBytes > 0 && bytes + size > limits.maxBytes
    }

    /// The oldest of the lowest priority; with `.qos0First` the oldest QoS 0 if there is one.
    private mutating func victim(_ policy: DropPolicy, newQoS: UInt8) -> Delivery? {
        if policy == .qos0First {
            for lane in (0..<laneCount).reversed() {
                if let delivery = lanes[lane].popFirstQoS0() {
                    took(delivery)
                    return delivery
                }
            }
            if newQoS == 0 { return nil }
        }
        for lane in (0..<laneCount).reversed() {
            if let delivery = lanes[lane].popFirst() {
                took(delivery)
                return delivery
            }
        }
        return nil
    }

    private mutating func took(_ delivery: Delivery) {
        count -= 1
        bytes -= delivery.footprint
    }
}

/// A ring of deliveries that grows and, when it has been emptied, gives its memory back.
private struct Lane: ~Copyable {
    private var ring: UnsafeMutablePointer<Delivery>?
    private var room = 0
    private var head = 0
    private var tail = 0
    private var qos0 = 0
    var count: Int { tail - head }

    deinit { ring?.deallocate() }

    mutating func append(_ delivery: Delivery) {
        if tail - head == room { resize(max(8, room * 2)) }
        ring![tail & (room - 1)] = delivery
        tail += 1
        if delivery.qos == 0 { qos0 += 1 }
    }

    mutating func popFirst() -> Delivery? {
        guard head < tail else { return nil }
        let delivery = ring![head & (room - 1)]
        head += 1
        if delivery.qos == 0 { qos0 -= 1 }
        if head == tail && room > 64 {
            ring!.deallocate()
            ring = nil
            room = 0
            head = 0
            tail = 0
        }
        return delivery
    }

    /// Closes the gap from the front, so that the order of the others stays.
    mutating func popFirstQoS0() -> Delivery? {
        guard qos0 > 0 else { return nil }
        var at = head
        while ring![at & (room - 1)].qos != 0 { at += 1 }
        let delivery = ring![at & (room - 1)]
        while at > head {
            ring![at & (room - 1)] = ring![(at - 1) & (room - 1)]
            at -= 1
        }
        head += 1
        qos0 -= 1
        return delivery
    }

    private mutating func resize(_ wanted: Int) {
        let wider = UnsafeMutablePointer<Delivery>.allocate(capacity: wanted)
        for i in 0..<(tail - head) { wider[i] = ring![(head + i) & (room - 1)] }
        tail -= head
        head = 0
        ring?.deallocate()
        ring = wider
        room = wanted
    }
}
