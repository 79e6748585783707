// SPDX-License-Identifier: Apache-2.0

/// PUBLISH (MQTT 5 §3.3). Decoding allocates nothing.
public struct PublishPacket: DecodablePacket, Equatable, Sendable {
    public var dup: Bool
    /// 0...2.
    public var qos: UInt8
    public var retain: Bool
    /// Empty only in MQTT 5, when ``topicAlias`` names the topic.
    public var topic: ByteRange
    /// 0 with QoS 0 [MQTT-2.2.1-2].
    public var packetID: UInt16
    public var payload: ByteRange
    /// The raw block without its length; empty before MQTT 5.
    public var properties: ByteRange
    /// 0: none.
    public var topicAlias: UInt16
    /// In seconds.
    public var messageExpiry: UInt32?
    /// The payload format indicator says UTF-8.
    public var payloadIsText: Bool
    /// From a client this is a protocol error [MQTT-3.3.4-6]; the decoder does not know who sent the packet.
    public var hasSubscriptionID: Bool

    /// The block has properties that belong to this hop only (alias, expiry, subscription identifiers), so it cannot
    /// be handed on as it is: see ``copyPassThroughProperties(from:into:)``.
    @inlinable public var hasOwnProperties: Bool { topicAlias != 0 || messageExpiry != nil || hasSubscriptionID }

    @inlinable
    init(flags: UInt8) {
        dup = flags & 0x08 != 0
        qos = flags >> 1 & 0x03
        retain = flags & 0x01 != 0
        topic = ByteRange()
        packetID = 0
        payload = ByteRange()
        properties = ByteRange()
        topicAlias = 0
        messageExpiry = nil
        payloadIsText = false
        hasSubscriptionID = false
    }

    @inlinable
    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> PublishPacket {
        var packet = PublishPacket(flags: flags)
        if packet.qos == 3 || (packet.qos == 0 && packet.dup) { try packet.checkFlags(version) }
        var cursor = Cursor(body)
        packet.topic = try cursor.binary(body)
        // [MQTT-3.3.2-1] [MQTT-3.3.2-2]
        try checkText(body, packet.topic, isTopicName: true)
        // [MQTT-2.2.1-2] [MQTT-2.2.1-3] [MQTT311-2.3.1-5]
        if packet.qos != 0 { packet.packetID = try cursor.packetID(body) }
        if version == .v5 {
            packet.properties = try cursor.propertyBlock(body)
            if !packet.properties.isEmpty { try packet.readProperties(body) }
        }
        // [MQTT-4.7.3-1] and MQTT 5 §3.3.2.1
        if packet.topic.isEmpty, packet.topicAlias == 0 { throw .emptyTopic }
        packet.payload = ByteRange(cursor.offset, cursor.remaining)
        return packet
    }

    @usableFromInline
    func checkFlags(_ version: ProtocolVersion) throws(DecodeError) {
        // [MQTT-3.3.1-4]
        if qos == 3 { throw DecodeError(.malformedPacket, "MQTT-3.3.1-4", "A PUBLISH has QoS 3.") }
        // [MQTT-3.3.1-2]; 3.1 only says that DUP is of no use with QoS 0.
        if version != .v31 { throw DecodeError(.malformedPacket, "MQTT-3.3.1-2", "DUP is set with QoS 0.") }
    }

    @inlinable
    mutating func readProperties(_ body: RawSpan) throws(DecodeError) {
        var block = CheckedProperties(properties, for: .packet(.publish))
        while let property = try block.next(in: body) {
            switch property.id {
            case .topicAlias: topicAlias = UInt16(truncatingIfNeeded: property.number)
            case .messageExpiryInterval: messageExpiry = property.number
            case .payloadFormatIndicator: payloadIsText = property.number == 1
            case .subscriptionIdentifier: hasSubscriptionID = true
            default: break
            }
        }
    }
}
