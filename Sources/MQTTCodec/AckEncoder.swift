// SPDX-License-Identifier: Apache-2.0

/// PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5 §3.4 to §3.7), in the shortest form that says it.
public struct AckEncoder {
    @usableFromInline let type: PacketType
    @usableFromInline let version: ProtocolVersion
    @usableFromInline let packetID: UInt16
    @usableFromInline let reason: ReasonCode
    let properties: OutgoingProperties

    /// The most bytes an acknowledgement without properties takes.
    public static var maximumShortSize: Int { 5 }

    /// - Parameters:
    ///   - reason: left out in 3.x, which can only acknowledge.
    ///   - maximumPacketSize: of the receiver, in bytes.
    public init(
        _ type: PacketType, packetID: UInt16, reason: ReasonCode = .success, version: ProtocolVersion,
        properties: OutgoingProperties = .none, maximumPacketSize: Int = .max
    ) {
        self.type = type
        self.packetID = packetID
        self.reason = reason
        self.version = version
        // [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2]
        // [MQTT-3.7.2-3]
        self.properties =
            version == .v5 ? properties.fitted(fixed: 3, maximum: maximumPacketSize) : .none
    }

    var remainingLength: Int {
        guard version == .v5 else { return 2 }
        let block = properties.blockSize
        if block > 0 { return 3 + varIntSize(block) + block }
        return reason == .success ? 2 : 3
    }

    /// In bytes.
    public var size: Int { 1 + varIntSize(remainingLength) + remainingLength }

    /// - Parameter destination: room for ``size`` bytes.
    /// - Returns: the bytes written.
    public func encode(into destination: UnsafeMutableRawPointer) -> Int {
        let length = remainingLength
        if length <= 3 {
            return Self.encodeShort(type, packetID: packetID, reason: reason, version: version, into: destination)
        }
        var sink = ByteSink(destination)
        sink.fixedHeader(type, flags: Self.flags(type), remainingLength: length)
        sink.uint16(packetID)
        sink.byte(reason.rawValue)
        properties.write(into: &sink)
        return sink.count
    }

    /// An acknowledgement without properties, for the data path: 4 or 5 bytes.
    /// - Parameter destination: room for ``maximumShortSize`` bytes.
    /// - Returns: the bytes written.
    @inlinable
    public static func encodeShort(
        _ type: PacketType, packetID: UInt16, reason: ReasonCode = .success, version: ProtocolVersion,
        into destination: UnsafeMutableRawPointer
    ) -> Int {
        let hasReason = version == .v5 && reason != .success
        var sink = ByteSink(destination)
        sink.byte(type.rawValue << 4 | flags(type))
        sink.byte(hasReason ? 3 : 2)
        sink.uint16(packetID)
        if hasReason { sink.byte(reason.rawValue) }
        return sink.count
    }

    /// [MQTT-3.6.1-1]
    @inlinable
    static func flags(_ type: PacketType) -> UInt8 { type == .pubrel ? 0x02 : 0x00 }
}
