// SPDX-License-Identifier: Apache-2.0

/// SUBACK and UNSUBACK (MQTT 5 §3.9, §3.11): a packet identifier and a code per filter.
public struct SubackEncoder {
    let type: PacketType
    let version: ProtocolVersion
    let packetID: UInt16
    let codes: UnsafeBufferPointer<ReasonCode>
    let properties: OutgoingProperties

    /// - Parameters:
    ///   - type: `.suback` or `.unsuback`.
    ///   - codes: one per filter in the packet's order [MQTT-3.9.3-1] [MQTT-3.11.3-1]. In 3.x every failure of a
    ///     SUBACK is sent as 0x80, and an UNSUBACK has no codes.
    ///   - maximumPacketSize: of the receiver, in bytes.
    public init(
        _ type: PacketType, version: ProtocolVersion, packetID: UInt16, codes: UnsafeBufferPointer<ReasonCode>,
        properties: OutgoingProperties = .none, maximumPacketSize: Int = .max
    ) {
        precondition(type == .suback || type == .unsuback)
        self.type = type
        self.version = version
        self.packetID = packetID
        self.codes = codes
        // [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2]
        self.properties =
            version == .v5 ? properties.fitted(fixed: 2 + codes.count, maximum: maximumPacketSize) : .none
    }

    var remainingLength: Int {
        if version == .v5 {
            let block = properties.blockSize
            return 2 + varIntSize(block) + block + codes.count
        }
        return type == .suback ? 2 + codes.count : 2
    }

    /// In bytes.
    public var size: Int { 1 + varIntSize(remainingLength) + remainingLength }

    /// - Parameter destination: room for ``size`` bytes.
    /// - Returns: the bytes written.
    public func encode(into destination: UnsafeMutableRawPointer) -> Int {
        var sink = ByteSink(destination)
        sink.fixedHeader(type, remainingLength: remainingLength)
        sink.uint16(packetID)
        if version == .v5 {
            properties.write(into: &sink)
            for code in codes { sink.byte(code.rawValue) }
        } else if type == .suback {
            for code in codes { sink.byte(code.isFailure ? 0x80 : code.rawValue) }
        }
        return sink.count
    }
}
