// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Base64 as RFC 5802 §5.1 wants it: the standard alphabet, padded, no line breaks.
enum Base64 {
    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count + 2) / 3 * 4)
        var at = 0
        while at < bytes.count {
            let left = bytes.count - at
            let group =
                UInt32(bytes[at]) << 16 | UInt32(left > 1 ? bytes[at + 1] : 0) << 8
                | UInt32(left > 2 ? bytes[at + 2] : 0)
            out.append(character(group >> 18))
            out.append(character(group >> 12))
            out.append(left > 1 ? character(group >> 6) : pad)
            out.append(left > 2 ? character(group) : pad)
            at += 3
        }
        return out
    }

    /// nil for anything `encode` does not write, so that one value has one text.
    static func decode(_ text: Bytes) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(text.count / 4 * 3)
        for start in stride(from: 0, to: text.count, by: 4) {
            var group: UInt32 = 0
            var padding = 0
            for index in start..<start + 4 {
                let character = text.at(index) ?? 0
                let isPad = character == pad && index > start + 1 && start + 4 == text.count
                if isPad { padding += 1 }
                guard isPad || padding == 0, let bits = isPad ? 0 : value(character) else { return nil }
                group = group << 6 | bits
            }
            let unused: UInt32 = padding == 2 ? 0xFFFF : padding == 1 ? 0xFF : 0
            guard group & unused == 0 else { return nil }
            for index in 0..<3 - padding { out.append(UInt8(truncatingIfNeeded: group >> (16 - 8 * UInt32(index)))) }
        }
        return out
    }

    private static var pad: UInt8 { UInt8(ascii: "=") }

    private static func character(_ bits: UInt32) -> UInt8 {
        let bits = UInt8(truncatingIfNeeded: bits & 63)
        return switch bits {
        case 0..<26: bits + UInt8(ascii: "A")
        case 26..<52: bits - 26 + UInt8(ascii: "a")
        case 52..<62: bits - 52 + UInt8(ascii: "0")
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    private static func value(_ character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a") + 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0") + 52)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
