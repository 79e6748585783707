// SPDX-License-Identifier: Apache-2.0

/// DISCONNECT and AUTH (MQTT 5 §3.14, §3.15), in the shortest form that says it. A 3.x server never sends DISCONNECT; a
/// 3.x client's has no body.
public struct DisconnectEncoder {
    let type: PacketType
    let version: ProtocolVersion
    let reason: ReasonCode
    let properties: OutgoingProperties

    /// - Parameters:
    ///   - type: `.disconnect` or `.auth`.
    ///   - maximumPacketSize: of the receiver, in bytes.
    public init(
        _ type: PacketType = .disconnect, version: ProtocolVersion = .v5, reason: ReasonCode = .success,
        properties: OutgoingProperties = .none, maximumPacketSize: Int = .max
    ) {
        precondition(type == .disconnect || (type == .auth && version == .v5))
        self.type = type
        self.version = version
        self.reason = reason
        // [MQTT-3.14.2-3] [MQTT-3.14.2-4] [MQTT-3.15.2-2] [MQTT-3.15.2-3]
        self.properties = version == .v5 ? properties.fitted(fixed: 1, maximum: maximumPacketSize) : .none
    }

    /// Only DISCONNECT may leave out its properties and keep its reason (MQTT 5 §3.14.2.2.1).
    var remainingLength: Int {
        guard version == .v5 else { return 0 }
        let block = properties.blockSize
        if block > 0 || (type == .auth && reason != .success) { return 1 + varIntSize(block) + block }
        return reason == .success ? 0 : 1
    }

    /// In bytes.
    public var size: Int { 1 + varIntSize(remainingLength) + remainingLength }

    /// - Parameter destination: room for ``size`` bytes.
    /// - Returns: the bytes written.
    public func encode(into destination: UnsafeMutableRawPointer) -> Int {
        let length = remainingLength
        var sink = ByteSink(destination)
        sink.fixedHeader(type, remainingLength: length)
        if length > 0 { sink.byte(reason.rawValue) }
        if length > 1 { properties.write(into: &sink) }
        return sink.count
    }
}

/// PINGREQ or PINGRESP: two bytes (MQTT 5 §3.12, §3.13).
/// - Parameters:
///   - type: `.pingreq` or `.pingresp`.
///   - destination: room for 2 bytes.
/// - Returns: 2.
@inlinable
public func encodePing(_ type: PacketType, into destination: UnsafeMutableRawPointer) -> Int {
    precondition(type == .pingreq || type == .pingresp)
    var sink = ByteSink(destination)
    sink.fixedHeader(type, remainingLength: 0)
    return sink.count
}
