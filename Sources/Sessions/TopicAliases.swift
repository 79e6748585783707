// SPDX-License-Identifier: Apache-2.0
import Glibc
public import Topics

/// Topics a client has given numbers to. MQTT 5 §3.3.2.3.4. Lives as long as the connection. [MQTT-3.3.2-7]
public struct InboundAliases: ~Copyable {
    private var topics: UnsafeMutablePointer<UnsafeMutableRawBufferPointer>
    /// Topic Alias Maximum the server announced.
    public let maximum: Int

    public init(maximum: Int) {
        self.maximum = maximum
        topics = .allocate(capacity: maximum + 1)
        topics.initialize(repeating: UnsafeMutableRawBufferPointer(start: nil, count: 0), count: maximum + 1)
    }

    deinit {
        for i in 0...maximum { topics[i].deallocate() }
        topics.deallocate()
    }

    /// The topic of an alias; nil when it has none yet.
    public func topic(_ alias: UInt16) -> Bytes? {
        let topic = topics[Int(alias)]
        return topic.count == 0 ? nil : Bytes(topic)
    }

    /// `alias` is 1…maximum.
    public mutating func set(_ alias: UInt16, _ topic: Bytes) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: topic.count, alignment: 1)
        copy.copyMemory(from: topic)
        // Last: `topic` may be what this or another alias stood for.
        topics[Int(alias)].deallocate()
        topics[Int(alias)] = copy
    }
}

/// Numbers the broker gives to topics it sends to a client, first come, first served up to the client's Topic Alias
/// Maximum [MQTT-3.1.2-26] [MQTT-3.3.2-11]; later topics travel in full.
public struct OutboundAliases: ~Copyable {
    private struct Slot {
        var hash: UInt64
        var topic: UnsafeMutableRawBufferPointer
        var alias: UInt16
    }
    private var slots: UnsafeMutablePointer<Slot>
    private let mask: Int
    private let maximum: Int
    private var used = 0

    public init(maximum: Int) {
        self.maximum = maximum
        var room = 4
        while room < maximum * 2 { room *= 2 }
        mask = room - 1
        slots = .allocate(capacity: room)
        slots.initialize(
            repeating: Slot(hash: 0, topic: UnsafeMutableRawBufferPointer(start: nil, count: 0), alias: 0), count: room)
    }

    deinit {
        for i in 0...mask { slots[i].topic.deallocate() }
        slots.deallocate()
    }

    /// The alias to send and whether the receiver knows it, so that the topic need not travel with it; 0: no alias.
    public mutating func alias(for topic: Bytes, hash: UInt64) -> (alias: UInt16, known: Bool) {
        let at = slot(of: topic, hash)
        if slots[at].alias != 0 { return (slots[at].alias, true) }
        guard used < maximum else { return (0, false) }
        used += 1
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: topic.count, alignment: 1)
        copy.copyMemory(from: topic)
        slots[at] = Slot(hash: hash, topic: copy, alias: UInt16(used))
        return (UInt16(used), false)
    }

    /// The alias the receiver knows for a topic; 0: none.
    public func known(_ topic: Bytes, hash: UInt64) -> UInt16 { slots[slot(of: topic, hash)].alias }

    /// Where the topic is, or the free slot where it would go.
    private func slot(of topic: Bytes, _ hash: UInt64) -> Int {
        var at = Int(truncatingIfNeeded: hash) & mask
        while slots[at].alias != 0 {
            if slots[at].hash == hash, slots[at].topic.count == topic.count,
                memcmp(slots[at].topic.baseAddress!, topic.baseAddress!, topic.count) == 0
            {
                break
            }
            at = (at + 1) & mask
        }
        return at
    }
}
