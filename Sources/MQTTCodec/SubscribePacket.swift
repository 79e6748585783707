// SPDX-License-Identifier: Apache-2.0

/// The byte after each filter of a SUBSCRIBE (MQTT 5 §3.8.3.1); in 3.x only the QoS.
public struct SubscribeOptions: RawRepresentable, Equatable, Sendable {
    public var rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable
    public init(qos: UInt8, noLocal: Bool = false, retainAsPublished: Bool = false, retainHandling: UInt8 = 0) {
        rawValue = qos | (noLocal ? 0x04 : 0) | (retainAsPublished ? 0x08 : 0) | retainHandling << 4
    }

    /// The most the subscriber wants, 0...2.
    @inlinable public var qos: UInt8 { rawValue & 0x03 }
    @inlinable public var noLocal: Bool { rawValue & 0x04 != 0 }
    @inlinable public var retainAsPublished: Bool { rawValue & 0x08 != 0 }
    /// 0: send retained messages, 1: only to a new subscription, 2: do not.
    @inlinable public var retainHandling: UInt8 { rawValue >> 4 & 0x03 }
}

/// One filter of a SUBSCRIBE. It is well-formed UTF-8 and not empty; whether its wildcards stand where they may is for
/// the code that knows filters, so that one bad filter can fail alone.
public struct SubscribeFilter: Equatable, Sendable {
    public var filter: ByteRange
    public var options: SubscribeOptions
}

/// SUBSCRIBE (MQTT 5 §3.8). All filters have been checked.
public struct SubscribePacket: DecodablePacket, Equatable, Sendable {
    public var packetID: UInt16
    /// 1...268,435,455; 0: none.
    public var subscriptionID: UInt32 = 0
    /// The raw block without its length; empty before MQTT 5.
    public var properties = ByteRange()
    /// How many filters ``filters`` goes through, at least 1.
    public var filterCount = 0
    public var filters = Filters(ByteRange())

    /// The filters in the packet's order, without allocation: `while let entry = filters.next(in: body)`.
    public struct Filters: Equatable, Sendable {
        var rest: ByteRange

        init(_ rest: ByteRange) { self.rest = rest }

        /// - Parameter body: the body this packet was decoded from.
        public mutating func next(in body: RawSpan) -> SubscribeFilter? {
            var cursor = Cursor(rest, in: body)
            guard let filter = try? cursor.binary(body), let options = try? cursor.byte(body) else { return nil }
            rest = ByteRange(cursor.offset, cursor.remaining)
            return SubscribeFilter(filter: filter, options: SubscribeOptions(rawValue: options))
        }

        public mutating func next(in body: UnsafeRawBufferPointer) -> SubscribeFilter? { next(in: body.bytes) }
    }

    public static func decode(
        _ body: RawSpan, flags: UInt8, version: ProtocolVersion
    ) throws(DecodeError) -> SubscribePacket {
        var cursor = Cursor(body)
        var packet = SubscribePacket(packetID: try cursor.packetID(body))
        if version == .v5 { try packet.readProperties(&cursor, body) }
        packet.filters = Filters(ByteRange(cursor.offset, cursor.remaining))
        // [MQTT-3.8.3-2] [MQTT311-3.8.3-3]
        if cursor.remaining == 0 {
            throw DecodeError(.protocolError, "MQTT-3.8.3-2", "A SUBSCRIBE has no filter.")
        }
        while cursor.remaining > 0 {
            // [MQTT-3.8.3-1]
            let filter = try cursor.name(body)
            // [MQTT-4.7.3-1]
            if filter.isEmpty { throw .emptyTopic }
            let options = SubscribeOptions(rawValue: try cursor.byte(body))
            try options.check(version)
            if options.noLocal, version == .v5, isShared(filter, body) {
                // [MQTT-3.8.3-4]
                throw DecodeError(.protocolError, "MQTT-3.8.3-4", "No Local is set on a shared subscription.")
            }
            packet.filterCount += 1
        }
        return packet
    }

    private mutating func readProperties(_ cursor: inout Cursor, _ body: RawSpan) throws(DecodeError) {
        properties = try cursor.propertyBlock(body)
        var block = CheckedProperties(properties, for: .packet(.subscribe))
        while let property = try block.next(in: body) {
            if property.id == .subscriptionIdentifier { subscriptionID = property.number }
        }
    }

    /// Whether the filter begins with `$share/`.
    private static func isShared(_ filter: ByteRange, _ body: RawSpan) -> Bool {
        let prefix: StaticString = "$share/"
        guard Int(filter.count) >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount
        where body.byte(Int(filter.start) + index) != prefix.utf8Start[index] {
            return false
        }
        return true
    }
}

extension SubscribeOptions {
    func check(_ version: ProtocolVersion) throws(DecodeError) {
        if qos == 3 {
            // MQTT 5 §3.8.3.1, [MQTT311-3.8.3-4]
            throw DecodeError(.protocolError, "§3.8.3.1", "A subscription has QoS 3.")
        }
        // [MQTT-3.8.3-5], in 3.1.1 six bits [MQTT311-3.8.3-4]; 3.1 does not use them.
        let reserved: UInt8 =
            switch version {
            case .v31: 0x00
            case .v311: 0xFC
            case .v5: 0xC0
            }
        if rawValue & reserved != 0 {
            throw DecodeError(.malformedPacket, "MQTT-3.8.3-5", "A reserved bit of the subscription options is set.")
        }
        if version == .v5, retainHandling == 3 {
            throw DecodeError(.protocolError, "§3.8.3.1", "Retain Handling is 3.")
        }
    }
}
