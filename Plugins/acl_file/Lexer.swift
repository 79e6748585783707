// SPDX-License-Identifier: Apache-2.0
import PluginKit

enum Token: Equatable {
    case open, close, openList, closeList, comma, dot, end
    case atom([UInt8])
    case string([UInt8])

    /// As an error message shows it.
    var text: String {
        switch self {
        case .open: "{"
        case .close: "}"
        case .openList: "["
        case .closeList: "]"
        case .comma: "a comma"
        case .dot: "."
        case .end: "the end of the file"
        case .atom(let name): String(decoding: name, as: UTF8.self)
        case .string(let value): "\"\(String(decoding: value, as: UTF8.self))\""
        }
    }
}

/// The words of an Erlang term file: {} [] , . atoms, "strings", <<"binaries">>, and % comments.
struct Lexer {
    private let text: Bytes
    private let path: String
    private var position = 0
    /// The line of the token that `next` gave last.
    private(set) var line = 1

    init(_ text: Bytes, path: String) {
        self.text = text
        self.path = path
    }

    func error(_ sentence: String) -> PluginError { PluginError(.invalid, "\(path):\(line): \(sentence)") }

    mutating func next() throws(PluginError) -> Token {
        skipSpace()
        guard let character = text.at(position) else { return .end }
        switch character {
        case UInt8(ascii: "{"): return single(.open)
        case UInt8(ascii: "}"): return single(.close)
        case UInt8(ascii: "["): return single(.openList)
        case UInt8(ascii: "]"): return single(.closeList)
        case UInt8(ascii: ","): return single(.comma)
        case UInt8(ascii: "."): return single(.dot)
        case UInt8(ascii: "\""): return .string(try quoted(by: character))
        case UInt8(ascii: "'"): return .atom(try quoted(by: character))
        case UInt8(ascii: "<"): return try binary()
        case UInt8(ascii: "a")...UInt8(ascii: "z"): return .atom(word())
        default:
            let shown =
                character > 32 && character < 127 ? "'\(String(UnicodeScalar(character)))'" : "byte \(character)"
            throw error("unexpected \(shown).")
        }
    }

    private mutating func single(_ token: Token) -> Token {
        position += 1
        return token
    }
    private mutating func skipSpace() {
        while let character = text.at(position) {
            if character == UInt8(ascii: "%") {
                position = text.index(of: UInt8(ascii: "\n"), from: position) ?? text.count
            } else if character == UInt8(ascii: "\n") {
                line += 1
                position += 1
            } else if character <= 32 {
                position += 1
            } else {
                return
            }
        }
    }
    private mutating func word() -> [UInt8] {
        let start = position
        while let character = text.at(position), isWord(character) { position += 1 }
        return [UInt8](text.slice(start, position))
    }
    private func isWord(_ character: UInt8) -> Bool {
        switch character {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "@"):
            true
        default: false
        }
    }
    /// What stands in the quotes; a backslash may protect a quote or another backslash.
    private mutating func quoted(by quote: UInt8) throws(PluginError) -> [UInt8] {
        var value: [UInt8] = []
        position += 1
        while let character = text.at(position), character != UInt8(ascii: "\n") {
            position += 1
            if character == quote { return value }
            if character != UInt8(ascii: "\\") {
                value.append(character)
                continue
            }
            guard let protected = text.at(position), protected == quote || protected == UInt8(ascii: "\\") else {
                throw error("a backslash may only stand before a quote or a backslash.")
            }
            value.append(protected)
            position += 1
        }
        throw error("the closing \(String(UnicodeScalar(quote))) is missing.")
    }
    /// <<"text">> is the same as "text".
    private mutating func binary() throws(PluginError) -> Token {
        guard text.slice(position, position + 3) == "<<\"" else { throw error("expected <<\"text\">> after <.") }
        position += 2
        let value = try quoted(by: UInt8(ascii: "\""))
        guard text.slice(position, position + 2) == ">>" else { throw error("expected >> after the text.") }
        position += 2
        return .string(value)
    }
}
