// SPDX-License-Identifier: Apache-2.0

private let byteUnits = [("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)]
private let timeUnits = [
    ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
]

/// `64KB` → 65536. Units in either case; nil when it is not a size or does not fit.
func parseBytes(_ text: String) -> Int? {
    let digits = text.utf8.prefix { isDigit($0) }
    guard let number = Int(Substring(digits)) else { return nil }
    let unit = trimmed(text.dropFirst(digits.count)).uppercased()
    if unit.isEmpty || unit == "B" { return number }
    guard let factor = byteUnits.first(where: { $0.0 == unit || String($0.0.prefix(1)) == unit })?.1 else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
}

/// `1h30m` → 5,400,000 milliseconds; a bare number counts `bareUnitMS`. Nil when it is not a duration or does not fit.
func parseDuration(_ text: String, bareUnitMS: Int) -> Int? {
    if let bare = Int(text) {
        let (product, overflow) = bare.multipliedReportingOverflow(by: bareUnitMS)
        return overflow || bare < 0 || text.first == "+" ? nil : product
    }
    var rest = text[...]
    var total = 0
    while !rest.isEmpty {
        let digits = rest.utf8.prefix { isDigit($0) }
        let unit = rest.utf8.dropFirst(digits.count).prefix { !isDigit($0) }
        let name = trimmed(Substring(unit)).lowercased()
        guard let number = Int(Substring(digits)), let factor = timeUnits.first(where: { $0.0 == name })?.1
        else { return nil }
        let (product, tooLong) = number.multipliedReportingOverflow(by: factor)
        let (sum, overflow) = total.addingReportingOverflow(product)
        guard !tooLong, !overflow else { return nil }
        total = sum
        rest = rest[unit.endIndex...]
    }
    return text.isEmpty ? nil : total
}

/// 65536 → `64KB`: the largest unit that divides it.
public func formatBytes(_ bytes: Int) -> String {
    for (name, factor) in byteUnits where bytes >= factor && bytes % factor == 0 { return "\(bytes / factor)\(name)" }
    return "\(bytes)"
}

/// 7200000 → `2h`: the largest unit that divides it.
public func formatDuration(_ milliseconds: Int) -> String {
    for (name, factor) in timeUnits where milliseconds >= factor && milliseconds % factor == 0 {
        return "\(milliseconds / factor)\(name)"
    }
    return "\(milliseconds)"
}

private func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
