// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Config

/// The size of a declared key before `example` was appended.
private let firstKeySize = MemoryLayout<martlet_cfg_key>.offset(of: \.example)!

/// What a plugin hands to config.declare, as ours. Plugins built before a member was appended declare shorter keys.
func declarations(_ keys: UnsafePointer<martlet_cfg_key>, _ count: Int) throws(RegistrationError) -> [ConfigKey] {
    guard (0...registrationLimit).contains(count) else {
        throw RegistrationError(statusInvalid, "more than \(registrationLimit) keys are too many")
    }
    let first = UnsafeRawPointer(keys)
    let stride = count == 0 ? 0 : Int(first.load(as: UInt32.self))
    guard count == 0 || (firstKeySize...4096).contains(stride) else {
        throw RegistrationError(statusInvalid, "a declared key has the wrong size")
    }
    var declared: [ConfigKey] = []
    for index in 0..<count {
        let key = readKey(first + index * stride, size: stride)
        var wrong = ""
        guard let made = configKey(key, wrong: &wrong) else { throw RegistrationError(statusInvalid, wrong) }
        declared.append(made)
    }
    return declared
}

/// The members that `size` does not reach are NULL.
private func readKey(_ start: UnsafeRawPointer, size: Int) -> martlet_cfg_key {
    let layout = MemoryLayout<martlet_cfg_key>.self
    return withUnsafeTemporaryAllocation(byteCount: layout.size, alignment: layout.alignment) { memory in
        memory.initializeMemory(as: UInt8.self, repeating: 0)
        memory.copyMemory(from: UnsafeRawBufferPointer(start: start, count: min(size, layout.size)))
        return memory.load(as: martlet_cfg_key.self)
    }
}

/// A declaration in C as one of ours; nil with the reason in `wrong`.
func configKey(_ key: martlet_cfg_key, wrong: inout String) -> ConfigKey? {
    guard let name = cText(key.key, limit: 256), !name.isEmpty, let help = cText(key.help, limit: 1024) else {
        wrong = "a declared key has no name or no help"
        return nil
    }
    let range = key.range_or_enum.flatMap { cText($0, limit: 1024) }
    guard let type = configType(key.type, range) else {
        wrong = "the declaration of \(name) has a type or range that does not exist"
        return nil
    }
    let made = ConfigKey(
        name, type, default: key.dflt.flatMap { cText($0, limit: 4096) }, flags: .init(rawValue: key.flags & 3),
        sample: .init(name: "1", value: key.example.flatMap { cText($0, limit: 4096) }), help: help)
    guard made.acceptsItsDefault else {
        wrong = "the default of \(name) does not fit its own type"
        return nil
    }
    return made
}

private func configType(_ type: Int32, _ range: String?) -> ConfigType? {
    let bounds = range.map(parseRange)
    if let bounds, bounds == nil, Int(type) != MARTLET_CFG_ENUM, Int(type) != MARTLET_CFG_STRING { return nil }
    switch Int(type) {
    case MARTLET_CFG_BOOL: return .bool
    case MARTLET_CFG_INT: return .int((bounds ?? nil) ?? Int.min...Int.max)
    case MARTLET_CFG_BYTES: return .bytes((bounds ?? nil) ?? 0...Int.max)
    case MARTLET_CFG_DURATION_MS: return .duration((bounds ?? nil) ?? 0...Int.max)
    case MARTLET_CFG_STRING: return .string
    case MARTLET_CFG_ENUM:
        let words = (range ?? "").split(separator: "|").map { $0.filter { $0 != " " } }
        return words.isEmpty ? nil : .enumeration(words)
    case MARTLET_CFG_LIST: return .list
    case MARTLET_CFG_PERCENT: return .percent
    case MARTLET_CFG_PATH: return .path
    default: return nil
    }
}

/// `0..65535`, `1..`, `..10`.
private func parseRange(_ text: String) -> ClosedRange<Int>? {
    guard let dots = text.range(of: "..") else { return nil }
    let low = text[..<dots.lowerBound].isEmpty ? Int.min : Int(text[..<dots.lowerBound])
    let high = text[dots.upperBound...].isEmpty ? Int.max : Int(text[dots.upperBound...])
    guard let low, let high, low <= high else { return nil }
    return low...high
}

extension String {
    /// The first place of a text, without Foundation.
    fileprivate func range(of part: String) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(part) { return at..<index(at, offsetBy: part.count) }
            at = index(after: at)
        }
        return nil
    }
}
