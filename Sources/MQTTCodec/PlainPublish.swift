// SPDX-License-Identifier: Apache-2.0

/// An outgoing PUBLISH that has no properties, with its payload (MQTT 5 §3.3): what nearly every receiver gets. It is
/// what ``PublishHeader`` makes of it, without asking for each thing that is not there. Nothing is allocated; the
/// pointers must stay valid until ``encode(into:)`` returns.
public struct PlainPublish {
    @usableFromInline let firstByte: UInt8
    @usableFromInline let isV5: Bool
    @usableFromInline let packetID: UInt16
    @usableFromInline let topic: UnsafeRawBufferPointer
    @usableFromInline let payload: UnsafeRawBufferPointer
    @usableFromInline let remainingLength: Int

    /// - Parameters:
    ///   - topic: 1...65,535 bytes.
    ///   - qos: 0...2.
    ///   - packetID: written only when `qos` is not 0.
    @inlinable @inline(__always)
    public init(
        version: ProtocolVersion, topic: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, qos: UInt8,
        retain: Bool, dup: Bool, packetID: UInt16
    ) {
        firstByte = PacketType.publish.rawValue << 4 | (dup ? 0x08 : 0) | qos << 1 | (retain ? 0x01 : 0)
        isV5 = version == .v5
        self.packetID = qos == 0 ? 0 : packetID
        self.topic = topic
        self.payload = payload
        remainingLength = 2 &+ topic.count &+ (qos == 0 ? 0 : 2) &+ (isV5 ? 1 : 0) &+ payload.count
    }

    /// The whole packet, in bytes.
    @inlinable @inline(__always)
    public var size: Int { 1 &+ varIntSize(remainingLength) &+ remainingLength }

    /// - Parameter destination: room for ``size`` bytes.
    @inlinable @inline(__always)
    public func encode(into destination: UnsafeMutableRawPointer) {
        var sink = ByteSink(destination)
        sink.byte(firstByte)
        if remainingLength < 0x80 {
            sink.byte(UInt8(truncatingIfNeeded: remainingLength))
        } else {
            sink.varInt(remainingLength)
        }
        sink.prefixed(topic)
        if firstByte & 0x06 != 0 { sink.uint16(packetID) }
        // No properties. [MQTT-2.2.2-1]
        if isV5 { sink.byte(0) }
        sink.bytes(payload)
    }
}
