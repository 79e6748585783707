// SPDX-License-Identifier: Apache-2.0

/// The path of a route, level by level: `/api/v2/nodes/:node/clients/*rest`.
public struct HTTPPattern: Sendable, Equatable {
    public enum Level: Sendable, Equatable {
        case literal(String)
        /// One level, whatever it is.
        case parameter(String)
        /// Everything that follows, with its slashes; empty too. The last level.
        case rest(String)
    }

    public let text: String
    public let levels: [Level]

    /// Nil when the text is no pattern: it begins with a slash, names each parameter once, and `*` comes last.
    public init?(_ text: String) {
        guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= 1024 else { return nil }
        var levels: [Level] = []
        var names: Set<String> = []
        let parts = Self.levels(of: text)
        for (index, part) in parts.enumerated() {
            let name = String(part.dropFirst())
            switch part.utf8.first {
            case UInt8(ascii: ":"):
                guard Self.isName(name), names.insert(name).inserted else { return nil }
                levels.append(.parameter(name))
            case UInt8(ascii: "*"):
                guard index == parts.count - 1, Self.isName(name), names.insert(name).inserted else { return nil }
                levels.append(.rest(name))
            default: levels.append(.literal(String(part)))
            }
        }
        self.text = text
        self.levels = levels
    }

    /// `/a/b/` → ["a", "b"]: a slash at the end changes nothing.
    public static func levels(of path: String) -> [String] {
        path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
                    || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: "_")
            }
    }

    /// Two patterns of one shape fit the same paths.
    public var shape: String {
        levels.map { level in
            switch level {
            case .literal(let name): "/" + name
            case .parameter: "/:"
            case .rest: "/*"
            }
        }.joined()
    }
}
