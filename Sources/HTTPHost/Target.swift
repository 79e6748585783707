// SPDX-License-Identifier: Apache-2.0
import PluginHost

/// What a request asks for: its path level by level, decoded, and its query. RFC 3986 §3.3, §3.4
struct Target: Sendable, Equatable {
    /// As sent, without the query.
    let path: String
    /// As sent, without the "?".
    let query: String
    /// Decoded; a level may contain a slash that was sent as %2F.
    let levels: [String]
    let fields: [HTTPPair]

    static let maxLevels = 64
    static let maxFields = 256

    /// Nil when it is no path, has a broken escape or one that is not UTF-8, a control character, or a level `..`.
    init?(_ text: String) {
        guard text.utf8.first == UInt8(ascii: "/") else { return nil }
        let cut = text.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? text.endIndex
        path = String(text[..<cut])
        let rest = cut == text.endIndex ? "" : text[text.index(after: cut)...].prefix { $0 != "#" }
        query = text.utf8[safe: cut] == UInt8(ascii: "?") ? String(rest) : ""
        var levels: [String] = []
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            guard let level = decoded(part.utf8), level != "..", levels.count < Self.maxLevels else { return nil }
            if level != "." { levels.append(level) }
        }
        self.levels = levels
        guard let fields = Self.fields(query) else { return nil }
        self.fields = fields
    }

    private static func fields(_ query: String) -> [HTTPPair]? {
        let parts = query.split(separator: "&", omittingEmptySubsequences: true)
        guard parts.count <= maxFields else { return nil }
        var fields: [HTTPPair] = []
        for part in parts {
            let equals = part.firstIndex(of: "=") ?? part.endIndex
            let value = equals == part.endIndex ? "" : part[part.index(after: equals)...]
            guard let name = decoded(part[..<equals].utf8, isForm: true), let text = decoded(value.utf8, isForm: true)
            else { return nil }
            fields.append(HTTPPair(name, text))
        }
        return fields
    }
}

extension String.UTF8View {
    fileprivate subscript(safe index: Index) -> UInt8? { index < endIndex ? self[index] : nil }
}

/// Undoes %XX, and `+` for a space where a form is meant. Nil when an escape is broken, what comes out is not UTF-8, or
/// there is a control character in it: no name of anything has one.
func decoded(_ text: Substring.UTF8View, isForm: Bool = false) -> String? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var iterator = text.makeIterator()
    while let byte = iterator.next() {
        switch byte {
        case UInt8(ascii: "%"):
            guard let high = iterator.next().flatMap(hexValue), let low = iterator.next().flatMap(hexValue) else {
                return nil
            }
            bytes.append(high << 4 | low)
        case UInt8(ascii: "+") where isForm: bytes.append(UInt8(ascii: " "))
        default: bytes.append(byte)
        }
    }
    // A form's value may have lines in it; a path may not.
    guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || isForm && ($0 == 0x09 || $0 == 0x0A || $0 == 0x0D) })
    else { return nil }
    return String(validating: bytes, as: UTF8.self)
}

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
