// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// SASLprep (RFC 4013) as far as it needs no tables of the Unicode database: mapping and prohibited characters.
/// Not done, and said so in the README: normalization to NFKC, the check of bidirectional text, unassigned code points.
enum Prepare {
    /// The prepared form of a user name or password; nil when it is not UTF-8, has a character that is prohibited, or
    /// nothing is left of it. Never longer than `text`, so a password leaves no second copy behind.
    static func string(_ text: Bytes) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var at = 0
        while at < text.count {
            guard let (scalar, length) = scalar(text, at), !isProhibited(scalar) else {
                Crypto.wipe(&out)
                return nil
            }
            if isSpace(scalar) {
                out.append(UInt8(ascii: " "))
            } else if !vanishes(scalar) {
                for index in at..<at + length { out.append(text.at(index) ?? 0) }
            }
            at += length
        }
        return out.isEmpty ? nil : out
    }

    /// The character that begins at `at` and its length; nil when that is not UTF-8 (RFC 3629).
    private static func scalar(_ text: Bytes, _ at: Int) -> (UInt32, Int)? {
        guard let first = text.at(at) else { return nil }
        let length: Int
        switch first {
        case 0x00...0x7F: return (UInt32(first), 1)
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF: length = 3
        case 0xF0...0xF4: length = 4
        default: return nil
        }
        var value = UInt32(first) & (0x7F >> UInt32(length))
        for index in at + 1..<at + length {
            guard let next = text.at(index), next & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(next & 0x3F)
        }
        let smallest: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000
        guard value >= smallest, value <= 0x10FFFF, !(0xD800...0xDFFF).contains(value) else { return nil }
        return (value, length)
    }

    /// RFC 3454 table C.1.2: mapped to a space.
    private static func isSpace(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0xA0, 0x1680, 0x2000...0x200B, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// RFC 3454 table B.1: mapped to nothing.
    private static func vanishes(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0xAD, 0x34F, 0x1806, 0x180B...0x180D, 0x200C, 0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF: true
        default: false
        }
    }

    /// RFC 3454 tables C.2.1 to C.9, without what the mapping takes away.
    private static func isProhibited(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0...0x1F, 0x7F...0x9F, 0x6DD, 0x70F, 0x180E, 0x2028, 0x2029, 0x2061...0x2063, 0x206A...0x206F,
            0x1D173...0x1D17A:
            true  // C.2: control characters
        case 0xE000...0xF8FF, 0xF0000...0xFFFFD, 0x100000...0x10FFFD: true  // C.3: private use
        case 0xFDD0...0xFDEF: true  // C.4: no characters
        case 0xFFF9...0xFFFD: true  // C.6: not for plain text
        case 0x2FF0...0x2FFB: true  // C.7: not for canonical representation
        case 0x340, 0x341, 0x200E, 0x200F, 0x202A...0x202E: true  // C.8: change what is displayed
        case 0xE0001, 0xE0020...0xE007F: true  // C.9: tags
        default: scalar & 0xFFFE == 0xFFFE  // C.4
        }
    }
}
