// SPDX-License-Identifier: Apache-2.0

/// UNSUBSCRIBE (MQTT 5 §3.10). All filters have been checked.
public struct UnsubscribePacket: DecodablePacket, Equatable, Sendable {
    public var packetID: UInt16
    /// The raw block without its length; empty before MQTT 5.
    public var properties = ByteRange()
    /// How many filters ``filters`` goes through, at least 1.
    public var filterCount = 0
    public var filters = Filters(ByteRange())

    /// The filters in the packet's order, without allocation.
    public struct Filters: Equatable, Sendable {
        var rest: ByteRange

        init(_ rest: ByteRange) { self.rest = rest }

        /// - Parameter body: the body this packet was decoded from.
        public mutating func next(in body: RawSpan) -> ByteRange? {
            var cursor = Cursor(rest, in: body)
            guard let filter = try? cursor.binary(body) else { return nil }
            rest = ByteRange(cursor.offset, cursor.remaining)
            return filter
        }

        public mutating func next(in body: UnsafeRawBufferPointer) -> ByteRange? { next(in: body.bytes) }
    }

    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> UnsubscribePacket {
        var cursor = Cursor(body)
        var packet = UnsubscribePacket(packetID: try cursor.packetID(body))
        if version == .v5 {
            packet.properties = try cursor.propertyBlock(body)
            try validateProperties(packet.properties, in: body, for: .packet(.unsubscribe))
        }
        packet.filters = Filters(ByteRange(cursor.offset, cursor.remaining))
        // [MQTT-3.10.3-2]
        if cursor.remaining == 0 {
            throw DecodeError(.protocolError, "MQTT-3.10.3-2", "An UNSUBSCRIBE has no filter.")
        }
        while cursor.remaining > 0 {
            // [MQTT-3.10.3-1]
            let filter = try cursor.name(body)
            // [MQTT-4.7.3-1]
            if filter.isEmpty { throw .emptyTopic }
            packet.filterCount += 1
        }
        return packet
    }
}
