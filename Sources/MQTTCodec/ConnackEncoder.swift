// SPDX-License-Identifier: Apache-2.0

/// CONNACK (MQTT 5 §3.2).
public struct ConnackEncoder {
    let version: ProtocolVersion
    let sessionPresent: Bool
    let reason: ReasonCode
    let properties: OutgoingProperties

    /// - Parameters:
    ///   - sessionPresent: sent only with success [MQTT-3.2.2-6], and not to 3.1, which has no such flag.
    ///   - reason: in 3.x sent as its return code, see ``ReasonCode/connackReturnCode311``.
    ///   - maximumPacketSize: of the receiver, in bytes.
    public init(
        version: ProtocolVersion, sessionPresent: Bool = false, reason: ReasonCode,
        properties: OutgoingProperties = .none, maximumPacketSize: Int = .max
    ) {
        self.version = version
        self.sessionPresent = sessionPresent && reason == .success && version != .v31
        self.reason = reason
        self.properties = version == .v5 ? properties.fitted(fixed: 2, maximum: maximumPacketSize) : .none
    }

    /// In bytes.
    public var size: Int { version == .v5 ? properties.packetSize(fixed: 2) : 4 }

    /// - Parameter destination: room for ``size`` bytes.
    /// - Returns: the bytes written.
    public func encode(into destination: UnsafeMutableRawPointer) -> Int {
        var sink = ByteSink(destination)
        guard version == .v5 else {
            sink.fixedHeader(.connack, remainingLength: 2)
            sink.byte(sessionPresent ? 1 : 0)
            sink.byte(reason.connackReturnCode311)
            return sink.count
        }
        let block = properties.blockSize
        sink.fixedHeader(.connack, remainingLength: 2 + varIntSize(block) + block)
        sink.byte(sessionPresent ? 1 : 0)
        sink.byte(reason.rawValue)
        properties.write(into: &sink)
        return sink.count
    }
}
