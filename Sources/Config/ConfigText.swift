// SPDX-License-Identifier: Apache-2.0

/// The lines of a `key = value` file before anybody asks what the keys mean.
///
/// A line is blank, a comment (`#` first) or `key = value`. A comment never follows a bare value, because `#` is a
/// topic wildcard and may stand in a password; after a quoted value it may. CRLF and a byte order mark are tolerated.
public struct ConfigText: Sendable {
    public struct Entry: Sendable, Equatable {
        public let key: String
        public let value: String
        public let line: Int
    }

    public private(set) var entries: [Entry] = []
    public private(set) var diagnostics: [Diagnostic] = []

    public init(_ bytes: [UInt8], file: String) {
        var rest = bytes[...]
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        for (index, line) in rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated() {
            read(line: trimmed(line), number: index + 1, file: file)
        }
    }

    /// The last value of a key, for tools that need one word of a file they must not judge.
    public func last(_ key: String) -> String? {
        entries.last { $0.key == key }?.value
    }

    private mutating func read(line: ArraySlice<UInt8>, number: Int, file: String) {
        guard let first = line.first, first != UInt8(ascii: "#") else { return }
        func fail(_ message: String, key: String = "") -> Diagnostic {
            Diagnostic(.error, file: file, line: number, key: key, message: message)
        }
        guard let text = String(validating: line, as: UTF8.self), !line.contains(0) else {
            return diagnostics.append(fail("the line is not valid UTF-8 text"))
        }
        guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else {
            return diagnostics.append(fail("expected key = value, found \"\(clipped(text))\""))
        }
        let key = String(decoding: trimmed(line[..<equals]), as: UTF8.self)
        guard isKey(key) else {
            return diagnostics.append(fail("\"\(clipped(key))\" is not a key, expected names joined by dots"))
        }
        let raw = trimmed(line[(equals + 1)...])
        guard let value = raw.first == UInt8(ascii: "\"") ? unquoted(raw) : String(decoding: raw, as: UTF8.self) else {
            return diagnostics.append(fail("the quoted value does not end with \" alone on its line", key: key))
        }
        entries.append(Entry(key: key, value: value, line: number))
    }
}

/// `"a \"b\" \\"` → `a "b" \`; nil if the quote does not close or anything but a comment follows it.
private func unquoted(_ raw: ArraySlice<UInt8>) -> String? {
    var out: [UInt8] = []
    var index = raw.startIndex + 1
    while index < raw.endIndex, raw[index] != UInt8(ascii: "\"") {
        let next = index + 1
        let escapes = raw[index] == UInt8(ascii: "\\") && next < raw.endIndex
        if escapes, raw[next] == UInt8(ascii: "\"") || raw[next] == UInt8(ascii: "\\") { index = next }
        out.append(raw[index])
        index += 1
    }
    guard index < raw.endIndex else { return nil }
    let rest = trimmed(raw[(index + 1)...])
    guard rest.isEmpty || rest.first == UInt8(ascii: "#") else { return nil }
    return String(decoding: out, as: UTF8.self)
}

private func isKey(_ key: String) -> Bool {
    let levels = key.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return levels.allSatisfy { !$0.isEmpty && !$0.contains { $0 <= 0x20 || $0 == 0x7F } }
}

private func clipped(_ text: String) -> String {
    text.count <= 60 ? text : text.prefix(60) + "…"
}

func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }

func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard let first = bytes.firstIndex(where: { !isBlank($0) }) else { return bytes.prefix(0) }
    return bytes[first...bytes.lastIndex(where: { !isBlank($0) })!]
}

func trimmed(_ text: some StringProtocol) -> String {
    String(decoding: trimmed(Array(text.utf8)[...]), as: UTF8.self)
}
