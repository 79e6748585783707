// SPDX-License-Identifier: Apache-2.0

/// The sending half of a session: its inflight window and its queue. Pure; the caller writes the packets.
///
/// Invariant: the queue holds something only while the session is offline, its window is full, or the caller asked
/// for a pause. Messages leave in the order they came, per priority and, while the window is full, per QoS 0 and the
/// others. [MQTT-4.6.0-6]
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

    /// The same for QoS 0, which needs no window.
    public var maySendQoS0Now: Bool { queue.qos0Count == 0 }

    /// Whether `next` would give something.
    public var hasNext: Bool { maySendQueued ? !queue.isEmpty : queue.qos0Count > 0 }

    /// The next queued message that may be sent now. QoS 0 needs no window: it passes those that wait for one, and no
    /// other QoS 0. MQTT 5 §4.9.
    public mutating func next(limits: QueueLimits) -> Delivery? {
        if queue.isEmpty { return nil }
        return maySendQueued ? queue.pop(limits: limits) : queue.popQoS0(limits: limits)
    }

    private var maySendQueued: Bool { inflight.parked == 0 && hasRoom }

    /// Takes out the messages of share groups that `body` wants for other members: those waiting, and those sent and
    /// not received. Their packet identifiers become free.
    /// - Parameter keepingQoS2: a QoS 2 message that has been sent is completed with this receiver [MQTT-4.8.2-4], not
    ///   only one whose PUBREC has come.
    public mutating func takeShared(limits: QueueLimits, keepingQoS2: Bool, _ body: (Delivery) -> Bool) {
        inflight.removeUnreceived { $0.shareGroup != 0 && !(keepingQoS2 && $0.qos == 2) && body($0) }
        queue.removeWhere(limits: limits) { $0.shareGroup != 0 && body($0) }
    }
}
