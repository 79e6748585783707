// SPDX-License-Identifier: Apache-2.0

extension PropertyID {
    /// Whether the broker hands the property on unaltered with a message, from PUBLISH or will: payload format
    /// [MQTT-3.3.2-4], response topic [MQTT-3.3.2-15], correlation data [MQTT-3.3.2-16], user properties
    /// [MQTT-3.3.2-17], content type [MQTT-3.3.2-20].
    @inlinable public var passesThrough: Bool {
        switch self {
        case .payloadFormatIndicator, .contentType, .responseTopic, .correlationData, .userProperty: true
        default: false
        }
    }
}

/// Copies what a message hands on (``PropertyID/passesThrough``) in its order [MQTT-3.3.2-18], so that topic alias,
/// expiry, subscription identifiers and the will's delay stay behind.
/// - Parameters:
///   - block: a checked raw block, without its length.
///   - destination: room for `block.count` bytes.
/// - Returns: the bytes written; 0: nothing is to be handed on.
public func copyPassThroughProperties(
    from block: UnsafeRawBufferPointer, into destination: UnsafeMutableRawPointer
) -> Int {
    guard let source = block.baseAddress else { return 0 }
    var reader = PropertyReader(ByteRange(0, block.count))
    var sink = ByteSink(destination)
    var start = 0
    // A block that was checked does not throw; one that was not is copied up to where it breaks.
    while let property = try? reader.next(in: block) {
        if property.id.passesThrough {
            sink.bytes(UnsafeRawBufferPointer(start: source + start, count: reader.position - start))
        }
        start = reader.position
    }
    return sink.count
}

/// How many bytes ``copyPassThroughProperties(from:into:)`` writes for `block`.
public func passThroughSize(of block: UnsafeRawBufferPointer) -> Int {
    var reader = PropertyReader(ByteRange(0, block.count))
    var size = 0
    var start = 0
    while let property = try? reader.next(in: block) {
        if property.id.passesThrough { size += reader.position - start }
        start = reader.position
    }
    return size
}
