// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
public import Topics

/// One application message, immutable once made.
///
/// A message that has just been received is *borrowed*: a value on the stack whose fields point into the receive
/// buffer; forwarding it at QoS 0 needs nothing more. Who wants to keep it calls `own`, which copies everything into
/// one allocation with a reference count. Any thread may hold references.
@frozen
public struct Message {
    // Pointers and 32-bit counts instead of five `Bytes`: 24 bytes less for each of a million retained messages.
    @usableFromInline var topicStart: UnsafeRawPointer?
    @usableFromInline var payloadStart: UnsafeRawPointer?
    @usableFromInline var propertiesStart: UnsafeRawPointer?
    @usableFromInline var clientIDStart: UnsafeRawPointer?
    @usableFromInline var usernameStart: UnsafeRawPointer?
    /// Unix milliseconds of arrival.
    public var timestamp: Int64
    /// Unique per node, ascending.
    public var id: UInt64
    @usableFromInline var topicCount: UInt32 = 0
    @usableFromInline var payloadCount: UInt32 = 0
    @usableFromInline var propertiesCount: UInt32 = 0
    @usableFromInline var clientIDCount: UInt32 = 0
    @usableFromInline var usernameCount: UInt32 = 0
    /// References; 0 marks a borrowed message.
    public var references: UInt32
    /// Seconds of the message expiry interval that were left at `timestamp`; valid with `.expires`. MQTT 5 §3.3.2.3.3.
    public var expiry: UInt32
    public var flags: Flags
    public var qos: UInt8

    @inlinable public var topic: Bytes {
        get { Bytes(start: topicStart, count: Int(topicCount)) }
        set {
            topicStart = newValue.baseAddress
            topicCount = UInt32(truncatingIfNeeded: newValue.count)
        }
    }
    @inlinable public var payload: Bytes {
        get { Bytes(start: payloadStart, count: Int(payloadCount)) }
        set {
            payloadStart = newValue.baseAddress
            payloadCount = UInt32(truncatingIfNeeded: newValue.count)
        }
    }
    /// Property block to pass on, without length prefix, topic alias, expiry and subscription identifiers.
    @inlinable public var properties: Bytes {
        get { Bytes(start: propertiesStart, count: Int(propertiesCount)) }
        set {
            propertiesStart = newValue.baseAddress
            propertiesCount = UInt32(truncatingIfNeeded: newValue.count)
        }
    }
    /// Empty when the broker itself or a plugin published it.
    @inlinable public var clientID: Bytes {
        get { Bytes(start: clientIDStart, count: Int(clientIDCount)) }
        set {
            clientIDStart = newValue.baseAddress
            clientIDCount = UInt32(truncatingIfNeeded: newValue.count)
        }
    }
    @inlinable public var username: Bytes {
        get { Bytes(start: usernameStart, count: Int(usernameCount)) }
        set {
            usernameStart = newValue.baseAddress
            usernameCount = UInt32(truncatingIfNeeded: newValue.count)
        }
    }

    @frozen
    public struct Flags: OptionSet, Sendable {
        public let rawValue: UInt8
        @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let retain = Flags(rawValue: 1)
        public static let dup = Flags(rawValue: 2)
        /// `$SYS`: not counted as traffic.
        public static let sys = Flags(rawValue: 4)
        public static let expires = Flags(rawValue: 8)
        /// Published to `$local/...`: not for peers.
        public static let local = Flags(rawValue: 16)
    }

    @inlinable
    public init(
        topic: Bytes, payload: Bytes, properties: Bytes = Bytes(start: nil, count: 0), qos: UInt8 = 0,
        flags: Flags = [], expiry: UInt32 = 0, timestamp: Int64 = 0, id: UInt64 = 0,
        clientID: Bytes = Bytes(start: nil, count: 0), username: Bytes = Bytes(start: nil, count: 0)
    ) {
        references = 0
        self.flags = flags
        self.qos = qos
        self.expiry = expiry
        self.timestamp = timestamp
        self.id = id
        self.topic = topic
        self.payload = payload
        self.properties = properties
        self.clientID = clientID
        self.username = username
    }

    @inlinable @inline(__always)
    public var topicSize: Int { Int(topicCount) }

    @inlinable @inline(__always)
    public var payloadSize: Int { Int(payloadCount) }

    /// Bytes of properties, client id and user name.
    @inlinable @inline(__always)
    public var restSize: Int { Int(propertiesCount) &+ Int(clientIDCount) &+ Int(usernameCount) }

    /// Bytes of a copy in memory.
    @inlinable @inline(__always)
    public var footprint: Int {
        MemoryLayout<Message>.stride &+ Int(topicCount) &+ Int(payloadCount) &+ restSize
    }

    /// Of a size for which the allocator turns to the system.
    @inlinable @inline(__always)
    public var isLarge: Bool { payloadCount >= 128 << 10 }

    /// Copies these bytes to `end`, refers to them there, and puts `end` behind them.
    @inlinable @inline(__always)
    static func move(_ start: inout UnsafeRawPointer?, _ count: UInt32, to end: inout UnsafeMutableRawPointer) {
        guard count > 0, let from = start else { return start = nil }
        end.copyMemory(from: from, byteCount: Int(count))
        start = UnsafeRawPointer(end)
        end += Int(count)
    }

    /// Unix milliseconds after which it must not be delivered; nil: never expires.
    @inlinable public var deadline: Int64? {
        flags.contains(.expires) ? end : nil
    }

    /// A plugin may have given the message any time.
    @inlinable var end: Int64 {
        let (end, isForEver) = timestamp.addingReportingOverflow(Int64(expiry) * 1000)
        return isForEver ? .max : end
    }

    /// With an interval of 0 at once, whatever the clocks of two loops say. [MQTT-3.3.2-5]
    @inlinable public func isExpired(at unixMS: Int64) -> Bool {
        flags.contains(.expires) && (expiry == 0 || unixMS >= end)
    }

    /// The interval a receiver is told: what was left minus the time waited here. [MQTT-3.3.2-6]
    @inlinable public func expiryLeft(at unixMS: Int64) -> UInt32 {
        let (waited, isForEver) = unixMS.subtractingReportingOverflow(timestamp)
        return isForEver ? 0 : UInt32(max(0, Int64(expiry) - max(0, waited / 1000)))
    }
}

public typealias MessageRef = UnsafeMutablePointer<Message>

extension UnsafeMutablePointer where Pointee == Message {
    /// One reference to a message that outlives this call: the same one, or a copy when it was borrowed.
    public func own() -> MessageRef {
        if cr_load_relaxed_u32(&pointee.references) != 0 {
            retain()
            return self
        }
        return copied()
    }

    /// A counted copy of everything, with one reference.
    public func copied() -> MessageRef {
        let room = pointee.isLarge ? cr_block_take(pointee.footprint)! : cr_message_take(pointee.footprint)!
        let copy = placed(at: room)
        copy.pointee.references = 1
        return copy
    }

    /// A copy of everything at `room`, `footprint` bytes. It is borrowed: from whoever owns the room.
    /// - Parameter keepsBody: topic and payload stay where they are; `room` need not hold them.
    @inlinable @inline(__always) @discardableResult
    public func placed(at room: UnsafeMutableRawPointer, keepsBody: Bool = false) -> MessageRef {
        let copy = room.bindMemory(to: Message.self, capacity: 1)
        copy.initialize(to: pointee)
        copy.pointee.references = 0
        var end = room + MemoryLayout<Message>.stride
        if !keepsBody {
            Message.move(&copy.pointee.topicStart, copy.pointee.topicCount, to: &end)
            Message.move(&copy.pointee.payloadStart, copy.pointee.payloadCount, to: &end)
        }
        Message.move(&copy.pointee.propertiesStart, copy.pointee.propertiesCount, to: &end)
        Message.move(&copy.pointee.clientIDStart, copy.pointee.clientIDCount, to: &end)
        Message.move(&copy.pointee.usernameStart, copy.pointee.usernameCount, to: &end)
        return copy
    }

    @inlinable public func retain() { _ = cr_add_relaxed_u32(&pointee.references, 1) }

    @inlinable public func release() {
        guard cr_add_u32(&pointee.references, UInt32.max) == 1 else { return }
        if pointee.isLarge { cr_block_give(self) } else { cr_message_give(self) }
    }
}
