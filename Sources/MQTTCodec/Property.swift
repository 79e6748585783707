// SPDX-License-Identifier: Apache-2.0

/// The identifier of an MQTT 5 property (§2.2.2.2, table 2-4).
public enum PropertyID: UInt8, Sendable {
    case payloadFormatIndicator = 1
    case messageExpiryInterval = 2
    case contentType = 3
    case responseTopic = 8
    case correlationData = 9
    case subscriptionIdentifier = 11
    case sessionExpiryInterval = 17
    case assignedClientIdentifier = 18
    case serverKeepAlive = 19
    case authenticationMethod = 21
    case authenticationData = 22
    case requestProblemInformation = 23
    case willDelayInterval = 24
    case requestResponseInformation = 25
    case responseInformation = 26
    case serverReference = 28
    case reasonString = 31
    case receiveMaximum = 33
    case topicAliasMaximum = 34
    case topicAlias = 35
    case maximumQoS = 36
    case retainAvailable = 37
    case userProperty = 38
    case maximumPacketSize = 39
    case wildcardSubscriptionAvailable = 40
    case subscriptionIdentifierAvailable = 41
    case sharedSubscriptionAvailable = 42
}

/// How a property's value is encoded.
public enum PropertyKind: UInt8, Sendable {
    case byte
    case uint16
    case uint32
    case varInt
    case string
    case binary
    case stringPair
}

/// Where a property block stands: the will's is inside the payload of CONNECT.
public enum PropertyPlace: Equatable, Sendable {
    case packet(PacketType)
    case will
}

/// One property. `number` holds the value of the four integer kinds; `bytes` a string, binary data, or the name of a
/// user property, whose value is `pairValue`. The ranges count from the start of the packet body.
public struct Property: Equatable, Sendable {
    public var id: PropertyID
    public var number: UInt32
    public var bytes: ByteRange
    public var pairValue: ByteRange

    @inlinable
    init(id: PropertyID, number: UInt32 = 0, bytes: ByteRange = ByteRange(), pairValue: ByteRange = ByteRange()) {
        self.id = id
        self.number = number
        self.bytes = bytes
        self.pairValue = pairValue
    }
}

extension PropertyID {
    @inlinable public var kind: PropertyKind {
        switch self {
        case .payloadFormatIndicator, .requestProblemInformation, .requestResponseInformation, .maximumQoS,
            .retainAvailable, .wildcardSubscriptionAvailable, .subscriptionIdentifierAvailable,
            .sharedSubscriptionAvailable:
            .byte
        case .serverKeepAlive, .receiveMaximum, .topicAliasMaximum, .topicAlias: .uint16
        case .messageExpiryInterval, .sessionExpiryInterval, .willDelayInterval, .maximumPacketSize: .uint32
        case .subscriptionIdentifier: .varInt
        case .contentType, .responseTopic, .assignedClientIdentifier, .authenticationMethod, .responseInformation,
            .serverReference, .reasonString:
            .string
        case .correlationData, .authenticationData: .binary
        case .userProperty: .stringPair
        }
    }
}

/// Iterates a raw property block (without its length). It checks the structure only: the block of a decoded packet
/// has had its values checked, see ``validateProperties(_:in:for:)``.
public struct PropertyReader: Sendable {
    @usableFromInline var offset: UInt32
    @usableFromInline var end: UInt32

    /// - Parameter block: as a decoder returned it; a block that is stored on its own is `ByteRange(count:)`.
    @inlinable
    public init(_ block: ByteRange) {
        offset = block.start
        end = block.end
    }

    /// Where in the body the next property starts.
    @inlinable public var position: Int { Int(offset) }

    /// The next property; nil at the end.
    /// - Parameter body: the packet body (or stored block) that the range refers to.
    /// - Throws: malformed packet, for an unknown identifier or a value that passes the end of the block.
    @inlinable
    public mutating func next(in body: RawSpan) throws(DecodeError) -> Property? {
        if offset >= end { return nil }
        var cursor = Cursor(ByteRange(start: offset, count: end &- offset), in: body)
        // Identifiers are variable byte integers, but all known ones fit into one byte and must not take two.
        guard let id = PropertyID(rawValue: try cursor.byte(body)) else {
            throw DecodeError(.malformedPacket, "§2.2.2.2", "A property identifier is unknown.")
        }
        var property = Property(id: id)
        switch id.kind {
        case .byte: property.number = UInt32(try cursor.byte(body))
        case .uint16: property.number = UInt32(try cursor.uint16(body))
        case .uint32: property.number = try cursor.uint32(body)
        case .varInt: property.number = UInt32(truncatingIfNeeded: try cursor.varInt(body))
        case .string, .binary: property.bytes = try cursor.binary(body)
        case .stringPair:
            property.bytes = try cursor.binary(body)
            property.pairValue = try cursor.binary(body)
        }
        offset = UInt32(truncatingIfNeeded: cursor.offset)
        return property
    }

    @inlinable
    public mutating func next(in body: UnsafeRawBufferPointer) throws(DecodeError) -> Property? {
        try next(in: body.bytes)
    }
}
