// SPDX-License-Identifier: Apache-2.0

extension ConfigType {
    /// The typed value of a text, or nil.
    func parse(_ text: String) -> ConfigScalar? {
        switch self {
        case .bool: parseBool(text).map { .bool($0) }
        case .int(let range): Int(text).flatMap { range.contains($0) ? .int($0) : nil }
        case .bytes(let range): parseBytes(text).flatMap { range.contains($0) ? .int($0) : nil }
        case .duration(let range): inRange(parseDuration(text, bareUnitMS: 1000), range)
        case .milliseconds(let range): inRange(parseDuration(text, bareUnitMS: 1), range)
        case .decimal(let range): Double(text).flatMap { range.contains($0) ? .decimal($0) : nil }
        case .percent: parsePercent(text).map { .int($0) }
        case .string: .text(text)
        case .path: text.isEmpty ? nil : .text(text)
        case .enumeration(let words): words.firstIndex(of: text).map { .word(text, $0) }
        case .list: parseList(text).map { .list($0) }
        case .address: parseAddress(text).map { .address($0) }
        case .accessRule: parseAccessRule(text).map { .accessRule($0) }
        case .byteRate: parseByteRate(text).map { .rate($0) }
        case .countRate: parseCountRate(text).map { .rate($0) }
        }
    }

    /// What a value must look like: completes "expected …".
    var expectation: String {
        switch self {
        case .bool: "on or off"
        case .int: "a whole number" + between
        case .bytes: "a size such as 64KB or 1MB" + between
        case .duration: "a duration such as 100ms, 20s or 1h30m" + between
        case .milliseconds: "a duration such as 240ms or 2s" + between
        case .decimal: "a number" + between
        case .percent: "a percentage from 0% to 100%"
        case .string: "a text"
        case .path: "a path"
        case .enumeration(let words): "one of " + words.joined(separator: ", ")
        case .list: "names separated by commas"
        case .address: "a port or a numeric address and a port, such as 1883, 0.0.0.0:1883 or [::]:1883"
        case .accessRule: "allow or deny, then all, an address or a network, such as deny 10.0.0.0/8"
        case .byteRate: "0, or RATE,BURST in bytes with a burst of at least the rate, such as 100KB,200KB"
        case .countRate: "0, COUNT or COUNT,TIME such as 10,1m"
        }
    }

    /// The allowed values in a short form, for the generated files.
    var rangeText: String {
        switch self {
        case .bool: "on | off"
        case .int(let range): rangeText(range) { "\($0)" } ?? "a whole number"
        case .bytes(let range): rangeText(range, formatBytes) ?? "bytes, KB, MB, GB"
        case .duration(let range), .milliseconds(let range): rangeText(range, formatDuration) ?? "ms, s, m, h, d, w"
        case .decimal(let range): "\(range.lowerBound)..\(range.upperBound)"
        case .percent: "0%..100%"
        case .string: "text"
        case .path: "path"
        case .enumeration(let words): words.joined(separator: " | ")
        case .list: "a, b, c"
        case .address: "PORT | ADDRESS:PORT"
        case .accessRule: "allow|deny all|ADDRESS|NETWORK"
        case .byteRate: "0 | RATE,BURST"
        case .countRate: "0 | COUNT | COUNT,TIME"
        }
    }

    private var between: String {
        switch self {
        case .int(let range): sentence(range) { "\($0)" }
        case .bytes(let range): sentence(range, formatBytes)
        case .duration(let range), .milliseconds(let range): sentence(range, formatDuration)
        case .decimal(let range): " from \(range.lowerBound) to \(range.upperBound)"
        default: ""
        }
    }

    private func sentence(_ range: ClosedRange<Int>, _ show: (Int) -> String) -> String {
        switch (range.lowerBound, range.upperBound) {
        case (Int.min, Int.max): ""
        case (let low, Int.max): low == 0 && !isInt ? "" : " of at least \(show(low))"
        case (Int.min, let high): " of at most \(show(high))"
        case (let low, let high): " from \(show(low)) to \(show(high))"
        }
    }

    private func rangeText(_ range: ClosedRange<Int>, _ show: (Int) -> String) -> String? {
        switch (range.lowerBound, range.upperBound) {
        case (Int.min, Int.max): nil
        case (let low, Int.max): low == 0 && !isInt ? nil : "\(show(low)).."
        case (Int.min, let high): "..\(show(high))"
        case (let low, let high): "\(show(low))..\(show(high))"
        }
    }

    private var isInt: Bool { if case .int = self { true } else { false } }
}

/// A hundred years, in milliseconds: longer means for ever. A time from now on, in nanoseconds too, then fits 64 bits.
let longestDuration = 3_155_760_000_000

private func inRange(_ value: Int?, _ range: ClosedRange<Int>) -> ConfigScalar? {
    value.flatMap { range.contains($0) ? .int(min($0, longestDuration)) : nil }
}

private func parseBool(_ text: String) -> Bool? {
    switch text.lowercased() {
    case "on", "true", "yes": true
    case "off", "false", "no": false
    default: nil
    }
}

private func parsePercent(_ text: String) -> Int? {
    let digits = text.hasSuffix("%") ? trimmed(text.dropLast()) : text
    return Int(digits).flatMap { (0...100).contains($0) ? $0 : nil }
}

/// An empty text is the empty list; an empty element between commas is a mistake.
private func parseList(_ text: String) -> [String]? {
    if text.isEmpty { return [] }
    let items = text.split(separator: ",", omittingEmptySubsequences: false).map { trimmed($0) }
    return items.contains("") ? nil : items
}

extension ConfigType {
    /// An integer-like type from a plugin's range text: `0..65535`, `1..`, `..9`, `64KB..1MB`; nil text means any
    /// value,
    /// a nil answer means the text is not a range.
    public static func ranged(
        _ make: (ClosedRange<Int>) -> ConfigType, _ text: String?, default range: ClosedRange<Int>
    ) -> ConfigType? {
        guard let text, !text.isEmpty else { return make(range) }
        let parts = splitRange(text)
        guard parts.count == 2 else { return nil }
        let read = make(Int.min...Int.max)
        func bound(_ part: String, _ open: Int) -> Int? {
            if part.isEmpty { return open }
            if case .int(let value)? = read.parse(part) { return value }
            return nil
        }
        guard let low = bound(parts[0], range.lowerBound), let high = bound(parts[1], range.upperBound), low <= high
        else { return nil }
        return make(low...high)
    }
}

private func splitRange(_ text: String) -> [String] {
    let bytes = Array(text.utf8)
    guard let dots = bytes.indices.dropLast().first(where: { bytes[$0] == 0x2E && bytes[$0 + 1] == 0x2E }) else {
        return []
    }
    return [bytes[..<dots], bytes[(dots + 2)...]].map { trimmed(String(decoding: $0, as: UTF8.self)) }
}
