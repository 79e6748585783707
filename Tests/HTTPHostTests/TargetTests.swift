// SPDX-License-Identifier: Apache-2.0
import PluginHost
import Testing

@testable import HTTPHost

@Suite struct TargetTests {
    @Test func pathAndQueryAreTakenApartAndDecoded() throws {
        let target = try #require(Target("/a/J%C3%B6rg%20x/b%2Fc/?q=1+2&empty&%26=%3D#part"))
        #expect(target.levels == ["a", "Jörg x", "b/c"])
        #expect(target.path == "/a/J%C3%B6rg%20x/b%2Fc/")
        #expect(target.query == "q=1+2&empty&%26=%3D")
        #expect(target.fields == [HTTPPair("q", "1 2"), HTTPPair("empty", ""), HTTPPair("&", "=")])
    }

    @Test func theRootAndSlashesInARow() throws {
        #expect(try #require(Target("/")).levels.isEmpty)
        #expect(try #require(Target("//a///b//")).levels == ["a", "b"])
        #expect(try #require(Target("/a/./b")).levels == ["a", "b"])
        #expect(try #require(Target("/?")).fields.isEmpty)
    }

    @Test(arguments: [
        "", "a", "*", "http://host/a", "/..", "/a/../b", "/%2e%2e/a", "/a%", "/a%4", "/a%zz", "/a%00", "/a%0a", "/%ff",
        "/%c3%28", "/?a=%f", "/?%00=1", "/" + String(repeating: "a/", count: 65),
        "/?" + String(repeating: "a&", count: 257),
    ])
    func whatIsNoPathIsRefused(_ text: String) {
        #expect(Target(text) == nil)
    }
}

@Suite struct RouterTests {
    private func route(
        _ token: UInt64, _ method: String, _ pattern: String, on listeners: [String] = ["management"]
    ) -> HTTPRoute {
        HTTPRoute(
            token, owner: 1, plugin: "p", method: method, pattern: HTTPPattern(pattern)!, listeners: listeners)
    }

    private func router(_ routes: HTTPRoute...) -> Router {
        var registry = HTTPRegistry()
        registry.routes = routes
        return Router(registry)
    }

    private func found(_ router: Router, _ method: String, _ path: String, on listener: String = "management")
        -> (token: UInt64, params: [HTTPPair])?
    {
        guard case .found(let match) = router.find(method, Target(path)!, on: listener) else { return nil }
        return (match.route.token, match.params)
    }

    @Test func parametersAndTheRest() throws {
        let router = router(route(1, "GET", "/nodes/:node/clients/*rest"), route(2, "GET", "/nodes/:node"))
        let long = try #require(found(router, "GET", "/nodes/a%2Fb/clients/x/y"))
        #expect(long.token == 1)
        #expect(long.params == [HTTPPair("node", "a/b"), HTTPPair("rest", "x/y")])
        #expect(found(router, "GET", "/nodes/n/clients")?.params == [HTTPPair("node", "n"), HTTPPair("rest", "")])
        #expect(found(router, "GET", "/nodes/n")?.token == 2)
        #expect(found(router, "GET", "/nodes") == nil)
        #expect(found(router, "GET", "/nodes/n/other") == nil)
    }

    @Test func theMoreLiteralRouteWins() {
        let router = router(
            route(1, "GET", "/*all"), route(2, "GET", "/a/:b/c"), route(3, "GET", "/a/b/:c"), route(4, "GET", "/a/b/c"),
            route(5, "GET", "/:a"))
        #expect(found(router, "GET", "/a/b/c")?.token == 4)
        #expect(found(router, "GET", "/a/b/x")?.token == 3)
        #expect(found(router, "GET", "/a/x/c")?.token == 2)
        #expect(found(router, "GET", "/a/x/y")?.token == 1)
        #expect(found(router, "GET", "/x")?.token == 5)
        #expect(found(router, "GET", "/")?.token == 1)
    }

    @Test func aMethodThatALiteralRouteHasNotMayBeALessLiteralOnes() {
        let router = router(route(1, "GET", "/a/b"), route(2, "POST", "/a/:x"), route(3, "*", "/any"))
        #expect(found(router, "POST", "/a/b")?.token == 2)
        #expect(found(router, "PURGE", "/any")?.token == 3)
        guard case .otherMethods(let methods) = router.find("DELETE", Target("/a/b")!, on: "management") else {
            Issue.record("there are other methods")
            return
        }
        #expect(methods == ["GET", "HEAD", "POST"])
    }

    @Test func getServesHeadUnlessHeadHasItsOwn() {
        let router = router(route(1, "GET", "/a"), route(2, "GET", "/b"), route(3, "HEAD", "/b"))
        #expect(found(router, "HEAD", "/a")?.token == 1)
        #expect(found(router, "HEAD", "/b")?.token == 3)
    }

    @Test func aRouteIsOnItsListenersOnly() {
        let router = router(route(1, "GET", "/a", on: ["dashboard"]), route(2, "GET", "/b", on: ["*"]))
        #expect(found(router, "GET", "/a") == nil)
        #expect(found(router, "GET", "/a", on: "dashboard")?.token == 1)
        #expect(found(router, "GET", "/b", on: "whatever")?.token == 2)
    }

    @Test(arguments: ["a", "", "/:", "/*", "/*a/b", "/:a/:a", "/:a-b", "/:a/*a"])
    func patternsThatAreNone(_ text: String) {
        #expect(HTTPPattern(text) == nil)
    }

    @Test func shapesTellWhichPatternsFitTheSame() {
        #expect(HTTPPattern("/a/:b/*c")?.shape == HTTPPattern("/a/:x/*y/")?.shape)
        #expect(HTTPPattern("/a/:b")?.shape != HTTPPattern("/a/b")?.shape)
    }
}
