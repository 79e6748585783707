// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import HTTPClient

@Suite struct RequestTests {
    private func make(
        _ method: String = "GET", _ url: String = "http://h/", _ headers: [(String, String)] = [], body: Int = 0
    ) -> Result<HTTPRequest, HTTPRequest.Mistake> {
        let bytes = headers.map { (Array($0.utf8), Array($1.utf8)) }
        var borrowed: [(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)] = []
        for (name, value) in bytes { borrowed.append((copy(name), copy(value))) }
        let content = copy([UInt8](repeating: 1, count: body))
        defer {
            for (name, value) in borrowed {
                name.deallocate()
                value.deallocate()
            }
            content.deallocate()
        }
        return Result { () throws(HTTPRequest.Mistake) in
            try HTTPRequest(method: Array(method.utf8), url: Array(url.utf8), headers: borrowed, body: content)
        }
    }

    private func copy(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        memory.copyBytes(from: bytes)
        return UnsafeRawBufferPointer(memory)
    }

    private func lines(_ request: HTTPRequest) -> [String] {
        request.headerLines.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func anEmptyMethodIsGET() throws {
        #expect(try make("").get().method == "GET")
        #expect(try make("M-SEARCH").get().method == "M-SEARCH")
    }

    @Test(arguments: ["GE T", "GET\r", "G\u{0}", "GET:", String(repeating: "A", count: 33)])
    func aMethodIsAToken(_ method: String) { #expect(throws: HTTPRequest.Mistake.self) { try make(method).get() } }

    @Test(arguments: [
        "", "h", "ftp://h/", "file:///etc/passwd", "http://", "https://", "http://h/a b", "http://h/\r\nX: y",
        "http://h/\u{0}", "http:/h", "http://h/" + String(repeating: "a", count: 8192),
    ])
    func aURLIsOneWordOfHTTP(_ url: String) {
        #expect(throws: HTTPRequest.Mistake.self) { try make("GET", url).get() }
    }

    @Test func schemesAreReadInAnyCase() throws { #expect(try make("GET", "HTTPS://h/").get().url == "HTTPS://h/") }

    /// Nothing a header holds can begin another line. RFC 9110 §5.5.
    @Test(arguments: [
        ("content-LENGTH", "3"), ("Transfer-Encoding", "chunked"), ("A b", "c"), ("", "c"), ("A:", "c"),
        ("A", "b\r\nC: d"), ("A", "b\nc"), ("A", "b\u{0}c"), ("A\r\n", "b"),
    ])
    func aHeaderStaysOneLine(_ name: String, _ value: String) {
        #expect(throws: HTTPRequest.Mistake.self) { try make("GET", "http://h/", [(name, value)]).get() }
    }

    @Test func headersAreBounded() {
        let value = String(repeating: "v", count: 40_000)
        #expect(throws: Never.self) { try make("GET", "http://h/", [("A", value)]).get() }
        #expect(throws: HTTPRequest.Mistake.self) { try make("GET", "http://h/", [("A", value), ("B", value)]).get() }
    }

    @Test func whatLibcurlWouldAddIsTakenOutUnlessItIsGiven() throws {
        #expect(try lines(make().get()) == ["expect:", "content-type:"])
        #expect(
            try lines(make("GET", "http://h/", [("Content-Type", "a/b"), ("X", "")]).get())
                == ["Content-Type: a/b", "X;", "expect:"])
    }

    @Test func anOriginIsSchemeHostAndPort() {
        #expect(Origin.name(of: "http://Example.ORG:80/path?q#f") == "http://example.org:80")
        #expect(Origin.name(of: "https://user:pass@h/") == "https://h")
        #expect(Origin.name(of: "https://h?x@y") == "https://h")
        #expect(Origin.name(of: "http://[::1]:8080") == "http://[::1]:8080")
    }
}

@Suite struct RetryRuleTests {
    private func rule(_ method: String, mayArriveTwice: Bool = false) -> RetryRule {
        var request = try! HTTPRequest(
            method: Array(method.utf8), url: Array("http://h/".utf8), headers: [], body: .init(start: nil, count: 0))
        request.mayArriveTwice = mayArriveTwice
        return RetryRule(request)
    }

    /// RFC 9110 §9.2.2
    @Test func onlyIdempotentMethodsAreSentTwice() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
            #expect(rule(method).mayRepeat(after: .closed, wasSent: true, wasAnswered: false), "\(method)")
        }
        for method in ["POST", "PATCH", "CONNECT", "get", "LOCK"] {
            #expect(!rule(method).mayRepeat(after: .closed, wasSent: true, wasAnswered: false), "\(method)")
            #expect(
                rule(method, mayArriveTwice: true).mayRepeat(after: .closed, wasSent: true, wasAnswered: false))
        }
    }

    @Test func whatWasNeverSentMayBeSentAgain() {
        for failure in [HTTPFailure.resolve, .connect, .timeout] {
            #expect(rule("POST").mayRepeat(after: failure, wasSent: false, wasAnswered: false))
        }
    }

    @Test func anAnswerThatBeganIsTheAnswer() {
        for failure in HTTPFailure.allCases {
            #expect(!rule("GET").mayRepeat(after: failure, wasSent: true, wasAnswered: true))
        }
        for failure in [HTTPFailure.url, .tls, .tooLarge, .protocol, .internal] {
            #expect(!rule("GET").mayRepeat(after: failure, wasSent: false, wasAnswered: false))
        }
        #expect(!rule("GET").mayRepeat(after: .timeout, wasSent: true, wasAnswered: false))
    }

    @Test func pausesDoubleUpToASecond() {
        #expect((2...8).map { RetryRule.pause(before: $0, dice: 1) } == [50, 100, 200, 400, 800, 1000, 1000])
        #expect(RetryRule.pause(before: 2, dice: 0) == 25)
        #expect(RetryRule.pause(before: 10_000, dice: 1) == 1000)
    }
}
