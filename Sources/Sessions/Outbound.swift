// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The sending half of a session: its inflight window and its queue. Pure; the caller writes the packets.
///
/// Invariant: the queue holds something only while the session is offline, its window is full, or the caller asked
/// for a pause. Messages leave in the order they came, per priority.
public struct Outbound: ~Copyable {
    public var inflight = Inflight()
    public var queue: MessageQueue
    /// Messages that may be in flight: the smaller of configuration and the client's Receive Maximum. [MQTT-3.3.4-9]
    public var window: Int

    public init(window: Int, lanes: Int = 1) {
        self.window = window
        queue = MessageQueue(lanes: lanes)
    }

    /// [MQTT-4.9.0-2]
    public var hasRoom: Bool { inflight.count < window }

    /// Whether a QoS 1 or 2 message may be sent at once without overtaking those that wait. [MQTT-4.6.0-5]
    /// [MQTT-4.6.0-6]
    public var maySendNow: Bool { queue.isEmpty && inflight.parked == 0 && hasRoom }

    /// The next queued message that may be sent now; QoS 0 needs no window.
    public mutating func next(limits: QueueLimits) -> Delivery? {
        guard !queue.isEmpty, inflight.parked == 0, hasRoom else { return nil }
        return queue.pop(limits: limits)
    }

    /// Takes out the messages of share groups that `body` wants for other members: those waiting, and those sent and
    /// not received (a QoS 2 message whose PUBREC has come stays [MQTT-4.8.2-4]). Their packet identifiers become free.
    public mutating func takeShared(_ body: (Delivery) -> Bool) {
        inflight.removeUnreceived { $0.shareGroup != 0 && body($0) }
        queue.removeWhere { $0.shareGroup != 0 && body($0) }
    }
}

/// Packet identifiers of QoS 2 messages received and not yet released by PUBREL. [MQTT-4.3.3-10]
public struct AwaitingRelease: ~Copyable {
    private struct Entry {
        var packetID: UInt16
        var since: UInt64
    }
    private var entries: UnsafeMutablePointer<Entry>?
    private var room = 0
    public private(set) var count = 0

    public init() {}

    deinit { entries?.deallocate() }

    public func contains(_ id: UInt16) -> Bool {
        for i in 0..<count where entries![i].packetID == id { return true }
        return false
    }

    public mutating func insert(_ id: UInt16, now: UInt64) {
        if count == room {
            let wanted = max(8, room * 2)
            let wider = UnsafeMutablePointer<Entry>.allocate(capacity: wanted)
            if let entries {
                wider.update(from: entries, count: count)
                entries.deallocate()
            }
            entries = wider
            room = wanted
        }
        entries![count] = Entry(packetID: id, since: now)
        count += 1
    }

    /// PUBREL: from now on the identifier is a new message's [MQTT-4.3.3-12]. False when it is not known.
    public mutating func remove(_ id: UInt16) -> Bool {
        for i in 0..<count where entries![i].packetID == id {
            count -= 1
            entries![i] = entries![count]
            return true
        }
        return false
    }

    /// Forgets identifiers older than `timeout` ms: a client that never sends PUBREL must not hold them for ever.
    public mutating func expire(now: UInt64, timeout: UInt64) -> Int {
        guard timeout > 0 else { return 0 }
        var kept = 0
        for i in 0..<count where entries![i].since + timeout > now {
            entries![kept] = entries![i]
            kept += 1
        }
        defer { count = kept }
        return count - kept
    }

    public mutating func removeAll() {
        entries?.deallocate()
        entries = nil
        room = 0
        count = 0
    }
}
