// SPDX-License-Identifier: Apache-2.0

/// The declared keys of one file.
public struct Schema: Sendable {
    public let keys: [ConfigKey]
    /// Levels of every spelling (canonical and alias) with the key it means.
    private let spellings: [Spelling]
    private let exact: [String: Int]
    private let starred: [Int]

    struct Spelling: Sendable {
        let name: String
        let levels: [String]
        let key: Int
    }

    /// A key found by one of its spellings.
    struct Match {
        let key: ConfigKey
        /// The canonical name with its stars filled in.
        let name: String
    }

    public init(_ keys: [ConfigKey]) {
        self.keys = keys
        var spellings: [Spelling] = []
        var exact: [String: Int] = [:]
        for (index, key) in keys.enumerated() {
            for name in [key.name] + key.aliases {
                spellings.append(Spelling(name: name, levels: levelsOf(name), key: index))
                if !name.utf8.contains(UInt8(ascii: "*")) { exact[name] = spellings.count - 1 }
            }
        }
        self.spellings = spellings
        self.exact = exact
        starred = spellings.indices.filter { spellings[$0].levels.contains("*") }
    }

    /// The declaration a name (canonical or alias, stars filled in or not) belongs to.
    public func match(_ name: String) -> ConfigKey? { resolve(name)?.key }

    /// The canonical spelling of a name: `mqtt.client.idle_timeout` → `mqtt.idle_timeout`.
    public func canonical(_ name: String) -> String? { resolve(name)?.name }

    func resolve(_ name: String) -> Match? {
        if let index = exact[name] {
            let key = keys[spellings[index].key]
            return Match(key: key, name: key.name)
        }
        let levels = levelsOf(name)
        for index in starred {
            if let names = bind(spellings[index].levels, levels) {
                let key = keys[spellings[index].key]
                return Match(key: key, name: fill(key.name, with: names))
            }
        }
        return nil
    }

    /// The declared spelling nearest to an unknown name, with the name's own words where the declaration has a star.
    public func nearest(_ name: String) -> String? {
        let levels = levelsOf(name)
        let candidates = spellings.filter { keys[$0.key].noEffect == nil }.map { concrete($0.levels, like: levels) }
        if let near = Config.nearest(to: name, in: candidates) { return near }
        let sameEnd = candidates.filter { levelsOf($0).last == levels.last }
        return sameEnd.count == 1 ? sameEnd[0] : nil
    }

    /// The canonical key that a short environment variable (`NODE_NAME`) names, if it names exactly one.
    func shortVariable(_ name: String) -> String? {
        var found: Set<String> = []
        for spelling in spellings where !spelling.levels.contains("*") {
            if spelling.levels.joined(separator: "_").uppercased() == name { found.insert(keys[spelling.key].name) }
        }
        return found.count == 1 ? found.first : nil
    }

    /// The levels all keys begin with, at most all but the last one: what belongs to this file and to no other.
    var commonPrefix: [String] {
        guard var common = spellings.first.map({ Array($0.levels.dropLast()) }) else { return [] }
        for spelling in spellings {
            common = zip(common, spelling.levels.dropLast()).prefix { $0 == $1 }.map(\.0)
        }
        return Array(common.prefix { $0 != "*" })
    }
}

func levelsOf(_ name: String) -> [String] {
    name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
}

/// What the stars of a pattern stand for in a name, or nil when the name does not fit it.
func bind(_ pattern: [String], _ levels: [String]) -> [String]? {
    guard pattern.count == levels.count else { return nil }
    var names: [String] = []
    for (expected, level) in zip(pattern, levels) {
        if expected == "*" { names.append(level) } else if expected != level { return nil }
    }
    return names
}

private func fill(_ pattern: String, with names: [String]) -> String {
    var names = names[...]
    return levelsOf(pattern).map { $0 == "*" ? names.popFirst() ?? $0 : $0 }.joined(separator: ".")
}

private func concrete(_ pattern: [String], like levels: [String]) -> String {
    pattern.enumerated().map { $1 == "*" && $0 < levels.count ? levels[$0] : $1 }.joined(separator: ".")
}
