// SPDX-License-Identifier: Apache-2.0

/// Builds a raw property block (without its length) in a buffer the caller lends. A property that does not fit is left
/// out and reported by the result, so that a required one cannot be lost unseen.
public struct PropertyWriter {
    @usableFromInline let buffer: UnsafeMutableRawBufferPointer
    @usableFromInline var used = 0

    /// - Parameter buffer: outlives the writer; its old content is overwritten.
    @inlinable
    public init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    /// The block so far; valid as long as the buffer is.
    @inlinable public var block: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[0..<used]) }

    @inlinable public var remaining: Int { buffer.count &- used }

    /// Appends a property of one of the four integer kinds; the kind follows from `id`.
    @discardableResult
    public mutating func append(_ id: PropertyID, _ value: UInt32) -> Bool {
        let size =
            switch id.kind {
            case .byte: 1
            case .uint16: 2
            case .uint32: 4
            case .varInt: varIntSize(Int(value))
            case .string, .binary, .stringPair: preconditionFailure("the property has no number")
            }
        guard var sink = sink(for: id, size) else { return false }
        switch id.kind {
        case .byte: sink.byte(UInt8(truncatingIfNeeded: value))
        case .uint16: sink.uint16(UInt16(truncatingIfNeeded: value))
        case .uint32: sink.uint32(value)
        default: sink.varInt(Int(value))
        }
        return true
    }

    @discardableResult
    public mutating func append(_ id: PropertyID, _ value: Bool) -> Bool { append(id, value ? 1 : 0) }

    /// Appends a string or binary data of at most 65,535 bytes; the caller vouches that a string is valid UTF-8.
    @discardableResult
    public mutating func append(_ id: PropertyID, _ value: UnsafeRawBufferPointer) -> Bool {
        precondition(id.kind == .string || id.kind == .binary)
        guard value.count <= 65_535, var sink = sink(for: id, 2 + value.count) else { return false }
        sink.prefixed(value)
        return true
    }

    /// Appends a text known at compile time.
    @discardableResult
    public mutating func append(_ id: PropertyID, _ value: StaticString) -> Bool {
        append(id, UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    @discardableResult
    public mutating func appendUserProperty(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        guard name.count <= 65_535, value.count <= 65_535,
            var sink = sink(for: .userProperty, 4 + name.count + value.count)
        else { return false }
        sink.prefixed(name)
        sink.prefixed(value)
        return true
    }

    /// Appends properties that are encoded already: all or none.
    @discardableResult
    public mutating func append(block: UnsafeRawBufferPointer) -> Bool {
        guard block.count <= remaining else { return false }
        guard block.count > 0, let base = buffer.baseAddress else { return true }
        var sink = ByteSink(base + used)
        sink.bytes(block)
        used += block.count
        return true
    }

    /// Reserves room for the identifier and `size` bytes of value, and writes the identifier.
    private mutating func sink(for id: PropertyID, _ size: Int) -> ByteSink? {
        guard size < remaining, let base = buffer.baseAddress else { return nil }
        var sink = ByteSink(base + used)
        sink.byte(id.rawValue)
        used += 1 + size
        return sink
    }
}

/// The properties of a packet the broker answers with, as raw blocks without a length. Those that only help people
/// are left out when the receiver's Maximum Packet Size does not allow them: first the reason string, then the user
/// properties [MQTT-3.2.2-19] [MQTT-3.2.2-20].
public struct OutgoingProperties {
    /// What the packet means; always sent.
    public var required: UnsafeRawBufferPointer
    /// The text, without identifier and length; empty: none.
    public var reasonString: UnsafeRawBufferPointer
    /// User properties only.
    public var userProperties: UnsafeRawBufferPointer

    @inlinable
    public init(
        required: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        reasonString: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
        userProperties: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.required = required
        self.reasonString = reasonString
        self.userProperties = userProperties
    }

    @inlinable public static var none: OutgoingProperties { OutgoingProperties() }

    /// In bytes, without the block's length.
    @inlinable var blockSize: Int {
        required.count &+ (reasonString.isEmpty ? 0 : 3 &+ reasonString.count) &+ userProperties.count
    }

    /// - Parameters:
    ///   - fixed: the bytes of the body that are no properties.
    ///   - maximum: the largest packet the receiver takes, fixed header included.
    func fitted(fixed: Int, maximum: Int) -> OutgoingProperties {
        var fitted = self
        if fitted.reasonString.count > 65_535 || fitted.packetSize(fixed: fixed) > maximum {
            fitted.reasonString = noBytes
        }
        if fitted.packetSize(fixed: fixed) > maximum { fitted.userProperties = noBytes }
        return fitted
    }

    func packetSize(fixed: Int) -> Int {
        let body = fixed + varIntSize(blockSize) + blockSize
        return 1 + varIntSize(body) + body
    }

    /// The block with its length.
    func write(into sink: inout ByteSink) {
        // 0 when there are none. [MQTT-2.2.2-1]
        sink.varInt(blockSize)
        sink.bytes(required)
        if !reasonString.isEmpty {
            sink.byte(PropertyID.reasonString.rawValue)
            sink.prefixed(reasonString)
        }
        sink.bytes(userProperties)
    }
}
