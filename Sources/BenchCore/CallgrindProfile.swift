// SPDX-License-Identifier: Apache-2.0

/// The two things the guard wants of a callgrind output file: instructions in all, and how often a function was called.
/// Format: Valgrind manual, "Callgrind Format Specification".
public struct CallgrindProfile: Sendable {
    public private(set) var instructions: UInt64 = 0
    /// Calls by function name, of the functions asked for.
    public private(set) var calls: [String: UInt64] = [:]

    public init(_ text: String, counting wanted: Set<String>) {
        var wantedIDs: [Substring: String] = [:]
        var callee: String?
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let line = Substring(line)
            if line.hasPrefix("fn=") || line.hasPrefix("cfn=") {
                let name = Self.resolve(line[line.index(after: line.firstIndex(of: "=")!)...], wanted, &wantedIDs)
                if line.hasPrefix("cfn=") { callee = name }
            } else if let name = callee, line.hasPrefix("calls=") {
                calls[name, default: 0] += UInt64(line.dropFirst(6).prefix { $0 != " " }) ?? 0
                callee = nil
            } else if line.hasPrefix("totals:") || line.hasPrefix("summary:") {
                let total = UInt64(
                    line[line.index(after: line.firstIndex(of: ":")!)...].split(separator: " ").first ?? "")
                instructions = max(instructions, total ?? 0)
            }
        }
    }

    /// A name is written `(12) malloc` the first time and `(12)` from then on.
    private static func resolve(
        _ text: Substring, _ wanted: Set<String>, _ wantedIDs: inout [Substring: String]
    ) -> String? {
        guard text.hasPrefix("("), let end = text.firstIndex(of: ")") else { return plain(text, wanted) }
        let id = text[...end]
        let name = text[text.index(after: end)...].drop { $0 == " " }
        if !name.isEmpty, let found = plain(name, wanted) { wantedIDs[id] = found }
        return wantedIDs[id]
    }

    /// Without the mark of recursion (`'2`) and the symbol version (`@@GLIBC_2.2.5`).
    private static func plain(_ name: Substring, _ wanted: Set<String>) -> String? {
        let bare = String(name.prefix { $0 != "'" && $0 != "@" })
        return wanted.contains(bare) ? bare : nil
    }
}
