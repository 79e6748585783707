// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// The identities of one file with their keys. Not changed once it is made.
final class Keys {
    private let places: [[UInt8]: (start: Int, count: Int)]
    /// All keys behind each other.
    private let memory: SecretBytes

    static var longestIdentity: Int { 255 }
    static var longestKey: Int { Int(MARTLET_PSK_MAX_KEY) }

    private init(_ places: [[UInt8]: (start: Int, count: Int)], _ memory: SecretBytes) {
        self.places = places
        self.memory = memory
    }

    /// Not an initializer: Embedded Swift leaks the object of one that throws.
    static func read(_ file: String) throws(PluginError) -> Keys {
        var places: [[UInt8]: (start: Int, count: Int)] = [:]
        let memory = try File.readSecret(file) { (text) throws(PluginError) in
            // Two digits make a byte, so the keys of a file are never half as long as it.
            let memory = SecretBytes(room: text.count / 2)
            var number = 0
            var at = 0
            while at < text.count {
                number += 1
                let end = text.index(of: UInt8(ascii: "\n"), from: at) ?? text.count
                let line = trimmed(text.slice(at, end))
                at = end + 1
                guard !line.isEmpty, line.at(0) != UInt8(ascii: "#") else { continue }
                let (identity, place) = try Keys.parse(line, memory, "\(file):\(number): ")
                if places.updateValue(place, forKey: identity) != nil {
                    let name = String(decoding: identity, as: UTF8.self)
                    throw PluginError(.invalid, "\(file):\(number): \(name) has a key already.")
                }
            }
            return memory
        }
        return Keys(places, memory)
    }

    /// In byte order.
    var identities: [[UInt8]] { places.keys.sorted { $0.lexicographicallyPrecedes($1) } }

    /// [loop] The key's length, 0 when nobody has this identity.
    func copy(of identity: Bytes, to room: UnsafeMutableBufferPointer<UInt8>) -> Int {
        guard let place = places[[UInt8](identity)], place.count <= room.count, let target = room.baseAddress,
            let source = memory.bytes.slice(place.start, place.start + place.count).start
        else { return 0 }
        target.update(from: source, count: place.count)
        return place.count
    }

    // MARK: - The file

    /// The key is never repeated in a complaint.
    private static func parse(
        _ line: Bytes, _ memory: SecretBytes, _ place: String
    ) throws(PluginError) -> ([UInt8], (start: Int, count: Int)) {
        // The last colon: an identity may have some of its own.
        guard let colon = lastColon(line) else { throw PluginError(.invalid, place + "expected IDENTITY:HEXKEY.") }
        let identity = line.slice(0, colon)
        guard !identity.isEmpty, identity.count <= longestIdentity else {
            throw PluginError(.invalid, place + "an identity has 1 to \(longestIdentity) bytes.")
        }
        let digits = line.slice(colon + 1)
        let start = memory.count
        guard !digits.isEmpty, digits.count % 2 == 0, digits.count <= 2 * longestKey else {
            throw PluginError(.invalid, place + "a key has 2 to \(2 * longestKey) hexadecimal digits, an even number.")
        }
        for index in 0..<digits.count / 2 {
            guard let high = digit(digits.at(2 * index)), let low = digit(digits.at(2 * index + 1)) else {
                throw PluginError(.invalid, place + "a key is written in hexadecimal digits.")
            }
            memory.append(high << 4 | low)
        }
        return ([UInt8](identity), (start, memory.count - start))
    }

    private static func lastColon(_ line: Bytes) -> Int? {
        var found: Int?
        while let next = line.index(of: UInt8(ascii: ":"), from: found.map { $0 + 1 } ?? 0) { found = next }
        return found
    }

    private static func digit(_ byte: UInt8?) -> UInt8? {
        switch byte {
        case let byte? where byte >= 0x30 && byte <= 0x39: byte - 0x30
        case let byte? where byte >= 0x41 && byte <= 0x46: byte - 0x41 + 10
        case let byte? where byte >= 0x61 && byte <= 0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

private func trimmed(_ text: Bytes) -> Bytes {
    var from = 0
    var to = text.count
    func isSpace(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
    while from < to, isSpace(text.at(from)) { from += 1 }
    while to > from, isSpace(text.at(to - 1)) { to -= 1 }
    return text.slice(from, to)
}
