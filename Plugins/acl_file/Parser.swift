// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Reads rules:
///
///     {allow | deny, all}.
///     {allow | deny, Who, subscribe | publish | pubsub, [Filter, ...]}.
///     Who    = all | {user, "name" | all} | {client, "id" | all} | {ipaddr, "192.168.1.0/24"}
///            | {'and', [Who, ...]} | {'or', [Who, ...]}
///     Filter = "a/+/#" | "sensor/%c/#" | "user/%u" | {eq, "#"}
struct Parser {
    private var lexer: Lexer
    private var token = Token.end
    private var out = RuleBuilder()

    /// Deciding walks the tree of conditions on the stack of an event loop.
    private static var deepest: Int { 16 }

    init(_ text: Bytes, path: String) { lexer = Lexer(text, path: path) }

    mutating func rules() throws(PluginError) -> Rules {
        try advance()
        while token != .end { try rule() }
        return Rules(out)
    }

    private mutating func advance() throws(PluginError) { token = try lexer.next() }

    private func expected(_ what: String) -> PluginError {
        lexer.error("expected \(what), found \(token.text).")
    }
    private mutating func take(_ wanted: Token) throws(PluginError) {
        guard token == wanted else { throw expected(wanted.text) }
        try advance()
    }
    /// The next token, if it is one of these atoms; its index.
    private mutating func takeAtom(_ names: [StaticString], _ what: String) throws(PluginError) -> Int {
        guard case .atom(let name) = token, let index = names.firstIndex(where: { Bytes($0) == name }) else {
            throw expected(what)
        }
        try advance()
        return index
    }
    private mutating func takeString(_ what: String) throws(PluginError) -> [UInt8] {
        guard case .string(let value) = token else { throw expected(what) }
        try advance()
        return value
    }

    private mutating func rule() throws(PluginError) {
        try take(.open)
        let allows = try takeAtom(["allow", "deny"], "allow or deny") == 0
        try take(.comma)
        let condition = Int32(out.conditions.count)
        let isEveryone = token == .atom(Array("all".utf8))
        try who(depth: 1)
        if isEveryone && token == .close {
            out.rules.append(
                Rule(
                    allows: allows, publish: true, subscribe: true, anyTopic: true, condition: condition,
                    firstFilter: 0, filters: 0))
        } else {
            try take(.comma)
            let action = try takeAtom(["publish", "subscribe", "pubsub"], "subscribe, publish or pubsub")
            try take(.comma)
            let firstFilter = Int32(out.filters.count)
            try list { (parser) throws(PluginError) in try parser.filter() }
            out.rules.append(
                Rule(
                    allows: allows, publish: action != 1, subscribe: action != 0,
                    anyTopic: out.coversEverything(from: Int(firstFilter)),
                    condition: condition, firstFilter: firstFilter,
                    filters: Int32(out.filters.count) - firstFilter))
        }
        try take(.close)
        guard token == .dot else { throw expected("a full stop after the rule") }
        try advance()
    }

    private mutating func list(_ item: (inout Parser) throws(PluginError) -> Void) throws(PluginError) {
        try take(.openList)
        if token != .closeList {
            try item(&self)
            while token == .comma {
                try advance()
                try item(&self)
            }
        }
        guard token == .closeList else { throw expected("a comma or ]") }
        try advance()
    }
}

// Whom the rule is about.
extension Parser {
    private mutating func who(depth: Int) throws(PluginError) {
        if case .atom = token {
            _ = try takeAtom(["all"], "all or {")
            out.conditions.append(Condition(kind: .everyone))
            return
        }
        guard token == .open else { throw expected("all or {") }
        try advance()
        let kind = try takeAtom(["user", "client", "ipaddr", "and", "or"], "user, client, ipaddr, 'and' or 'or'")
        try take(.comma)
        switch kind {
        case 0: try name(.user)
        case 1: try name(.client)
        case 2: try network()
        default: try several(kind == 3 ? .all : .any, depth)
        }
        try take(.close)
    }
    private mutating func name(_ kind: Condition.Kind) throws(PluginError) {
        if case .atom = token {
            _ = try takeAtom(["all"], "a text in double quotes or all")
            out.conditions.append(Condition(kind: .everyone))
            return
        }
        let value = try takeString("a text in double quotes or all")
        out.conditions.append(Condition(kind: kind, first: out.keep(value), second: Int32(value.count)))
    }
    private mutating func network() throws(PluginError) {
        guard case .string(let value) = token, let network = value.withBytes({ IPNetwork($0) }) else {
            throw expected("an address such as \"192.168.1.0/24\" or \"2001:db8::/32\"")
        }
        out.conditions.append(Condition(kind: .network, first: Int32(out.networks.count)))
        out.networks.append(network)
        try advance()
    }
    private mutating func several(_ kind: Condition.Kind, _ depth: Int) throws(PluginError) {
        guard depth < Self.deepest else {
            throw lexer.error("conditions may stand at most \(Self.deepest) deep in one another.")
        }
        let place = out.conditions.count
        out.conditions.append(Condition(kind: kind))
        try list { (parser) throws(PluginError) in try parser.who(depth: depth + 1) }
        out.conditions[place].second = Int32(out.conditions.count)
    }
}

// Topic filters.
extension Parser {
    private mutating func filter() throws(PluginError) {
        if token == .open {
            try advance()
            _ = try takeAtom(["eq"], "eq")
            try take(.comma)
            let value = try takeString("a topic filter in double quotes")
            out.filters.append(Filter(isExact: true, first: out.keep(value), count: Int32(value.count)))
            try take(.close)
            return
        }
        guard case .string(let value) = token else {
            throw expected("a topic filter in double quotes or {eq, \"...\"}")
        }
        let first = Int32(out.levels.count)
        let parts = value.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            out.levels.append(try level(Array(part), isLast: index == parts.count - 1))
        }
        out.filters.append(Filter(isExact: false, first: first, count: Int32(parts.count)))
        try advance()
    }
    /// `%c` and `%u` are placeholders only when they are a whole level.
    private mutating func level(_ text: [UInt8], isLast: Bool) throws(PluginError) -> Level {
        let special = text.withBytes { text -> Level.Kind? in
            if text == "+" { return .one }
            if text == "#" { return .rest }
            if text == "%c" { return .clientID }
            return text == "%u" ? .username : nil
        }
        if special == .rest && !isLast { throw lexer.error("# must be the last level in \(token.text).") }
        if let special { return Level(kind: special) }
        if text.contains(UInt8(ascii: "+")) || text.contains(UInt8(ascii: "#")) {
            throw lexer.error("+ and # must be a level of their own in \(token.text).")
        }
        return Level(kind: .literal, first: out.keep(text), count: Int32(text.count))
    }
}
