// SPDX-License-Identifier: Apache-2.0

/// The header fields of a response, collected line by line. What a redirect or a `100 Continue` brought before is
/// forgotten when the next status line comes; fields of trailers join those of the head.
public struct ResponseHead: Sendable {
    public static let maxBytes = 64 << 10
    public static let maxFields = 256

    public struct Field: Sendable, Equatable {
        /// Ranges of `bytes`.
        public var name: Range<Int>
        public var value: Range<Int>
    }

    public private(set) var bytes: [UInt8] = []
    public private(set) var fields: [Field] = []

    public init() {}

    mutating func takeBytes() -> [UInt8] {
        defer { (bytes, fields) = ([], []) }
        return bytes
    }

    /// False when the head is longer than anybody needs.
    mutating func take(_ line: UnsafeRawBufferPointer) -> Bool {
        if line.starts(with: "HTTP/".utf8) {
            bytes.removeAll(keepingCapacity: true)
            fields.removeAll(keepingCapacity: true)
            return true
        }
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > 0 else { return true }
        let value = trimmed(line[(colon + 1)...])
        guard bytes.count + colon + value.count <= Self.maxBytes, fields.count < Self.maxFields else { return false }
        let start = bytes.count
        bytes += line[..<colon]
        bytes += value
        fields.append(Field(name: start..<start + colon, value: start + colon..<bytes.count))
        return true
    }

    /// RFC 9110 §5.5: white space around a value is not part of it.
    private func trimmed(_ value: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 9 || $0 == 10 || $0 == 13 }
        guard let first = value.firstIndex(where: { !isSpace($0) }), let last = value.lastIndex(where: { !isSpace($0) })
        else { return value[value.endIndex...] }
        return value[first...last]
    }
}
