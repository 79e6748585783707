// SPDX-License-Identifier: Apache-2.0
import PluginHost

/// The routes of a moment as a tree of levels. Immutable: a change of routes is a new router.
struct Router: Sendable {
    private final class Node: @unchecked Sendable {
        var literals: [String: Node] = [:]
        var parameter: Node?
        /// Routes that end here.
        var ends: [HTTPRoute] = []
        /// Routes whose last level, `*rest`, stands here.
        var rests: [HTTPRoute] = []
    }

    struct Match: Sendable {
        let route: HTTPRoute
        let params: [HTTPPair]
    }

    enum Answer {
        case found(Match)
        /// The path is one, but not for this method; the methods it has.
        case otherMethods([String])
        case none
    }

    private let root = Node()
    let registry: HTTPRegistry

    init(_ registry: HTTPRegistry = HTTPRegistry()) {
        self.registry = registry
        for route in registry.routes { insert(route) }
    }

    private func insert(_ route: HTTPRoute) {
        var node = root
        for level in route.pattern.levels {
            switch level {
            case .literal(let name):
                let next = node.literals[name] ?? Node()
                node.literals[name] = next
                node = next
            case .parameter:
                let next = node.parameter ?? Node()
                node.parameter = next
                node = next
            case .rest:
                node.rests.append(route)
                return
            }
        }
        node.ends.append(route)
    }

    /// Of all routes that fit, the most literal one wins, level by level from the left; a path that has routes, but
    /// none for the method, falls through to a less literal one that has it.
    func find(_ method: String, _ target: Target, on listener: String) -> Answer {
        var methods: [String] = []
        var found: HTTPRoute?
        visit(root, target.levels[...]) { routes in
            let here = routes.filter { $0.isOn(listener) }
            found = Self.choose(here, method)
            methods += here.map(\.method)
            return found != nil
        }
        if let found { return .found(Match(route: found, params: Self.params(found.pattern, target.levels))) }
        guard !methods.isEmpty else { return .none }
        if methods.contains("GET") { methods.append("HEAD") }
        return .otherMethods(Array(Set(methods)).sorted())
    }

    private static func choose(_ routes: [HTTPRoute], _ method: String) -> HTTPRoute? {
        routes.first { $0.method == method }
            ?? (method == "HEAD" ? routes.first { $0.method == "GET" } : nil)
            ?? routes.first { $0.method == "*" }
    }

    /// Calls `body` with the routes that fit, the most literal first, until it answers true.
    @discardableResult private func visit(
        _ node: Node, _ levels: ArraySlice<String>, _ body: ([HTTPRoute]) -> Bool
    ) -> Bool {
        if let level = levels.first {
            let rest = levels.dropFirst()
            if let next = node.literals[level], visit(next, rest, body) { return true }
            if let next = node.parameter, visit(next, rest, body) { return true }
        } else if !node.ends.isEmpty, body(node.ends) {
            return true
        }
        return !node.rests.isEmpty && body(node.rests)
    }

    private static func params(_ pattern: HTTPPattern, _ levels: [String]) -> [HTTPPair] {
        pattern.levels.enumerated().compactMap { index, level in
            switch level {
            case .literal: nil
            case .parameter(let name): HTTPPair(name, levels[index])
            case .rest(let name): HTTPPair(name, levels.dropFirst(index).joined(separator: "/"))
            }
        }
    }
}
