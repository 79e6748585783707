// SPDX-License-Identifier: Apache-2.0
@_exported public import CMartlet
public import CPluginKit

/// A run of bytes that belongs to somebody else: valid until the callback that received it returns.
///
/// Copy what you keep: `String(bytes)` or `[UInt8](bytes)`. `Bytes` is a pointer and a length; comparing and searching
/// allocate nothing.
public struct Bytes: Sequence {
    public let start: UnsafePointer<UInt8>?
    public let count: Int

    @inline(__always) public init(start: UnsafePointer<UInt8>?, count: Int) {
        self.start = start
        self.count = start == nil ? 0 : count
    }
    @inline(__always) public init(_ raw: martlet_bytes) { self.init(start: raw.ptr, count: raw.len) }
    /// The bytes of a literal: they live as long as the plugin.
    @inline(__always) public init(_ literal: StaticString) {
        self.init(start: literal.utf8Start, count: literal.utf8CodeUnitCount)
    }
    @inline(__always) public static var empty: Bytes { Bytes(start: nil, count: 0) }

    @inline(__always) public var isEmpty: Bool { count == 0 }
    @inline(__always) public var raw: martlet_bytes { martlet_bytes(ptr: start, len: count) }
    @inline(__always) public var buffer: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }
    @inline(__always) public func makeIterator() -> UnsafeBufferPointer<UInt8>.Iterator { buffer.makeIterator() }
    @inline(__always) public var underestimatedCount: Int { count }

    /// The byte at `index`, or nil past the end.
    @inline(__always) public func at(_ index: Int) -> UInt8? {
        guard let start, index >= 0, index < count else { return nil }
        return start[index]
    }
    /// The part from `lower` up to `upper`, cut to what there is.
    @inline(__always) public func slice(_ lower: Int, _ upper: Int = .max) -> Bytes {
        let from = Swift.min(Swift.max(lower, 0), count)
        let to = Swift.min(Swift.max(upper, from), count)
        guard let start else { return .empty }
        return Bytes(start: start + from, count: to - from)
    }
    public func index(of byte: UInt8, from: Int = 0) -> Int? {
        guard let start, from >= 0, from < count else { return nil }
        guard let hit = memchr(start + from, Int32(byte), count - from) else { return nil }
        return UnsafeRawPointer(hit) - UnsafeRawPointer(start)
    }
    public func hasPrefix(_ prefix: Bytes) -> Bool { count >= prefix.count && slice(0, prefix.count) == prefix }
    public func hasSuffix(_ suffix: Bytes) -> Bool { count >= suffix.count && slice(count - suffix.count) == suffix }
    @inline(__always) public func hasPrefix(_ prefix: StaticString) -> Bool { hasPrefix(Bytes(prefix)) }
    @inline(__always) public func hasSuffix(_ suffix: StaticString) -> Bool { hasSuffix(Bytes(suffix)) }

    /// The decimal number these bytes spell, nil when they spell none or it does not fit.
    public var integer: Int? {
        guard !isEmpty, count <= 20 else { return nil }
        let negative = at(0) == UInt8(ascii: "-")
        var value = 0
        if negative && count == 1 { return nil }
        for byte in slice(negative ? 1 : 0) {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (tenfold, over) = value.multipliedReportingOverflow(by: 10)
            let (next, over2) = tenfold.subtractingReportingOverflow(Int(byte &- UInt8(ascii: "0")))
            if over || over2 { return nil }
            value = next
        }
        if negative { return value }
        return value == .min ? nil : -value
    }
}

extension Bytes: Equatable {
    @inline(__always) public static func == (left: Bytes, right: Bytes) -> Bool {
        guard left.count == right.count else { return false }
        guard let a = left.start, let b = right.start, left.count > 0 else { return true }
        return a == b || memcmp(a, b, left.count) == 0
    }
    @inline(__always) public static func == (left: Bytes, right: StaticString) -> Bool { left == Bytes(right) }
    @inline(__always) public static func != (left: Bytes, right: StaticString) -> Bool { !(left == Bytes(right)) }
    public static func == (left: Bytes, right: [UInt8]) -> Bool { right.withBytes { left == $0 } }
}

extension String {
    /// A copy; bytes that are not UTF-8 become U+FFFD.
    public init(_ bytes: Bytes) { self = String(decoding: bytes.buffer, as: UTF8.self) }

    /// Lends the UTF-8 of this string for the length of the call.
    @inline(__always) public func withBytes<R: ~Copyable, E: Error>(_ body: (Bytes) throws(E) -> R) throws(E) -> R {
        try utf8.span.withUnsafeBufferPointer { (buffer) throws(E) in
            try body(Bytes(start: buffer.baseAddress, count: buffer.count))
        }
    }
}

extension [UInt8] {
    public init(_ bytes: Bytes) { self = Array(bytes.buffer) }

    /// Lends the elements for the length of the call.
    @inline(__always) public func withBytes<R: ~Copyable, E: Error>(_ body: (Bytes) throws(E) -> R) throws(E) -> R {
        try span.withUnsafeBufferPointer { (buffer) throws(E) in
            try body(Bytes(start: buffer.baseAddress, count: buffer.count))
        }
    }
}
