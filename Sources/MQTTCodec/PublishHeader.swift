// SPDX-License-Identifier: Apache-2.0

/// Everything of an outgoing PUBLISH before its payload (MQTT 5 §3.3), which the caller copies or sends itself. Nothing
/// is allocated; the pointers must stay valid until ``encode(into:)`` returns.
public struct PublishHeader {
    public var version: ProtocolVersion
    /// Empty only in MQTT 5 with an alias the receiver knows.
    public var topic: UnsafeRawBufferPointer
    /// 0...2.
    public var qos: UInt8
    public var retain: Bool
    public var dup: Bool
    /// Written only when `qos` is not 0.
    public var packetID: UInt16
    /// In bytes.
    public var payloadCount: Int

    // MQTT 5 only; ignored for 3.x.

    /// 0: none.
    public var topicAlias: UInt16 = 0
    /// In seconds; nil: none.
    public var messageExpiry: UInt32?
    public var subscriptionIDs: UnsafeBufferPointer<UInt32>
    /// A raw block as ``copyPassThroughProperties(from:into:)`` leaves it.
    public var passThrough: UnsafeRawBufferPointer

    @inlinable
    public init(
        version: ProtocolVersion, topic: UnsafeRawBufferPointer, qos: UInt8 = 0, retain: Bool = false,
        dup: Bool = false, packetID: UInt16 = 0, payloadCount: Int
    ) {
        self.version = version
        self.topic = topic
        self.qos = qos
        self.retain = retain
        self.dup = dup
        self.packetID = packetID
        self.payloadCount = payloadCount
        subscriptionIDs = UnsafeBufferPointer(start: nil, count: 0)
        passThrough = UnsafeRawBufferPointer(start: nil, count: 0)
    }

    /// What ``encode(into:)`` wrote.
    public struct Encoded: Equatable, Sendable {
        /// Bytes written: where the payload starts.
        public var count: Int
        /// Where the two bytes of the packet identifier stand, to patch them for each receiver; 0 with QoS 0.
        public var packetIDOffset: Int

        @inlinable
        init(count: Int, packetIDOffset: Int) {
            self.count = count
            self.packetIDOffset = packetIDOffset
        }
    }

    /// In bytes, without the block's length.
    @inlinable var propertiesSize: Int {
        var size = passThrough.count &+ (topicAlias != 0 ? 3 : 0) &+ (messageExpiry != nil ? 5 : 0)
        for id in subscriptionIDs { size = size &+ 1 &+ varIntSize(Int(id)) }
        return size
    }

    @inlinable
    func remainingLength(_ propertiesSize: Int) -> Int {
        var length = 2 &+ topic.count &+ payloadCount &+ (qos == 0 ? 0 : 2)
        if version == .v5 { length = length &+ varIntSize(propertiesSize) &+ propertiesSize }
        return length
    }

    /// The whole packet with its payload, in bytes: what a receiver's Maximum Packet Size bounds [MQTT-3.1.2-24].
    /// It can be encoded only while the remaining length does not exceed ``maximumVarInt``.
    @inlinable public var packetSize: Int {
        let length = remainingLength(version == .v5 ? propertiesSize : 0)
        return 1 &+ varIntSize(length) &+ length
    }

    /// The bytes that ``encode(into:)`` writes.
    @inlinable public var size: Int { packetSize &- payloadCount }

    /// - Parameter destination: room for ``size`` bytes.
    @inlinable
    public func encode(into destination: UnsafeMutableRawPointer) -> Encoded {
        let properties = version == .v5 ? propertiesSize : 0
        var sink = ByteSink(destination)
        let flags = (dup ? 0x08 : 0) | qos << 1 | (retain ? 0x01 : 0)
        sink.fixedHeader(.publish, flags: flags, remainingLength: remainingLength(properties))
        sink.prefixed(topic)
        var packetIDOffset = 0
        if qos != 0 {
            packetIDOffset = sink.count
            sink.uint16(packetID)
        }
        if version == .v5 {
            // 0 when there are none. [MQTT-2.2.2-1]
            sink.varInt(properties)
            if properties != 0 { writeProperties(&sink) }
        }
        return Encoded(count: sink.count, packetIDOffset: packetIDOffset)
    }

    /// ``encode(into:)`` and the payload behind it. Room for ``packetSize`` bytes; returns how many were written.
    @inlinable
    public func encode(into destination: UnsafeMutableRawPointer, payload: UnsafeRawBufferPointer) -> Int {
        precondition(payload.count == payloadCount)
        var sink = ByteSink(destination)
        sink.count = encode(into: destination).count
        sink.bytes(payload)
        return sink.count
    }

    @inlinable
    func writeProperties(_ sink: inout ByteSink) {
        if topicAlias != 0 {
            sink.byte(PropertyID.topicAlias.rawValue)
            sink.uint16(topicAlias)
        }
        if let messageExpiry {
            sink.byte(PropertyID.messageExpiryInterval.rawValue)
            sink.uint32(messageExpiry)
        }
        for id in subscriptionIDs {
            sink.byte(PropertyID.subscriptionIdentifier.rawValue)
            sink.varInt(Int(id))
        }
        sink.bytes(passThrough)
    }

    /// Overwrites the packet identifier of a packet encoded before.
    /// - Parameter packet: the start of the packet, with `offset` as ``Encoded/packetIDOffset``.
    @inlinable
    public static func patchPacketID(_ id: UInt16, at offset: Int, of packet: UnsafeMutableRawPointer) {
        packet.storeBytes(of: id.bigEndian, toByteOffset: offset, as: UInt16.self)
    }
}
