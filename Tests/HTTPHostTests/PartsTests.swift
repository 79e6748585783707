// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import Glibc
import PluginHost
import Testing

@testable import HTTPHost

@Suite struct CredentialsTests {
    private func read(_ value: String, _ schemes: Int = Int(MARTLET_HTTP_AUTH_ANY)) -> HTTPCredentials.Secret? {
        HTTPCredentials(value, accepting: UInt32(schemes))?.secret
    }

    @Test func basic() {
        #expect(read("Basic YW5uYTpzZTpjcmV0") == .basic(username: "anna", password: "se:cret"))
        #expect(read("bAsIc   OnA=") == .basic(username: "", password: "p"))
        #expect(read("Basic YTo") == .basic(username: "a", password: ""))
    }

    @Test func bearer() {
        #expect(read("Bearer a.b-c") == .bearer(token: "a.b-c"))
        #expect(read("Bearer a b") == nil)
    }

    @Test(arguments: [
        "", "Basic", "Basic ", "Basic ===", "Basic YQ", "Basic Y*Q=", "Basic gID/", "Digest x", "Basic Y",
    ])
    func whatIsNone(_ value: String) {
        #expect(read(value) == nil)
    }

    @Test func onlyTheSchemesOfTheRoute() {
        #expect(read("Bearer x", Int(MARTLET_HTTP_AUTH_BASIC)) == nil)
        #expect(read("Basic YTo=", Int(MARTLET_HTTP_AUTH_BEARER)) == nil)
    }
}

@Suite struct FailureTableTests {
    @Test func theTenthFailureWithinAMinuteShutsTheDoorUntilItIsOver() {
        let table = FailureTable()
        for second in 0..<10 {
            #expect(table.wait("a", now: UInt64(second) * 1000) == 0)
            table.failed("a", now: UInt64(second) * 1000)
        }
        #expect(table.wait("a", now: 10_000) == 50)
        #expect(table.wait("b", now: 10_000) == 0)
        #expect(table.wait("a", now: 59_999) == 1)
        #expect(table.wait("a", now: 60_000) == 0)
        #expect(table.totals == (10, 2))
    }

    @Test func aSuccessForgetsThem() {
        let table = FailureTable()
        for _ in 0..<9 { table.failed("a", now: 0) }
        table.succeeded("a")
        table.failed("a", now: 1)
        #expect(table.wait("a", now: 2) == 0)
    }

    @Test func theTableIsBounded() {
        let table = FailureTable(capacity: 3)
        for name in ["a", "b", "c"] { for _ in 0..<10 { table.failed(name, now: name == "a" ? 0 : 1) } }
        table.failed("d", now: 2)
        #expect(table.wait("a", now: 3) == 0, "the oldest made room")
        #expect(table.wait("b", now: 3) > 0)
    }

    @Test func ipv6IsCountedByNetwork() {
        let one: [UInt8] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]
        var two = one
        two[15] = 9
        var other = one
        other[7] = 2
        func key(_ bytes: [UInt8]) -> String {
            bytes.withUnsafeBytes { PeerAddress($0, port: 1) }.failureKey
        }
        #expect(key(one) == key(two))
        #expect(key(one) != key(other))
    }
}

@Suite struct EventStreamTests {
    @Test func fieldsAndLines() {
        var event = HTTPEvent()
        event.name = "tick"
        event.id = "7"
        event.retry = 100
        event.data = Array("a\r\nb\rc\n".utf8)
        #expect(
            String(decoding: event.encoded, as: UTF8.self)
                == "retry: 100\nid: 7\nevent: tick\ndata: a\ndata: b\ndata: c\ndata: \n\n")
    }

    @Test func emptyDataIsStillAnEvent() {
        #expect(String(decoding: HTTPEvent().encoded, as: UTF8.self) == "data: \n\n")
    }
}

@Suite struct FileTests {
    @Test(arguments: [
        ("bytes=0-0", ByteRanges.one(0..<1)), ("bytes=9-", .one(9..<10)), ("bytes=-3", .one(7..<10)),
        ("bytes=-30", .one(0..<10)), ("bytes=2-99", .one(2..<10)), ("bytes=10-", .unsatisfiable),
        ("bytes=-0", .unsatisfiable), ("Bytes=0-0", .one(0..<1)),
        ("bytes=2-99999999999999999999", .one(2..<10)), ("bytes=99999999999999999999-", .unsatisfiable),
        ("bytes=-99999999999999999999", .one(0..<10)),
    ])
    func ranges(_ text: String, _ expected: ByteRanges) {
        #expect(ByteRanges(text, size: 10) == expected)
    }

    @Test(arguments: [
        "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "bytes=1-2,3-4", "bytes=+1-2", "x=1-2",
    ])
    func rangesThatAreIgnored(_ text: String) {
        #expect(ByteRanges(text, size: 10) == nil)
    }

    @Test func dates() {
        #expect(httpDate(784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(httpSeconds("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
    }

    @Test(
        "[RFC 9110 §5.6.7] All three forms of a date are understood",
        arguments: [
            "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        ])
    func formsOfADate(_ text: String) {
        #expect(httpSeconds(text) == 784_111_777)
    }

    @Test func aYearOfTwoDigitsIsNear() {
        #expect(httpSeconds("Saturday, 01-Jan-00 00:00:00 GMT") == 946_684_800)
        let far = httpSeconds("Sunday, 06-Nov-99 08:49:37 GMT")
        #expect(far == 941_878_177 || far == 4_097_637_777)
    }

    @Test(arguments: [
        "", "yesterday", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 994 08:49:37 GMT",
        "Sun Nov 6 1994",
        "Sun, 06 Nov 1994 a:b:c GMT",
    ])
    func whatIsNoDate(_ text: String) {
        #expect(httpSeconds(text) == nil)
    }

    @Test func mediaTypes() {
        #expect(mediaType("/a/b.HTML") == "text/html; charset=utf-8")
        #expect(mediaType("/a.b/c") == "application/octet-stream")
        #expect(mediaType("app.min.js") == "text/javascript; charset=utf-8")
    }

    @Test func aFolderGivesNothingFromOutside() throws {
        let made = "/tmp/martlet-folder-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        mkdir(made, 0o700)
        mkdir(made + "/in", 0o700)
        defer { for path in ["/in/a.txt", "/in/link", "/in", "/b.txt", ""] { remove(made + path) } }
        for (name, text) in [("/in/a.txt", "inside"), ("/b.txt", "outside")] {
            let fd = open(made + name, O_WRONLY | O_CREAT, 0o600)
            _ = text.withCString { write(fd, $0, strlen($0)) }
            close(fd)
        }
        symlink(made + "/b.txt", made + "/in/link")
        let folder = HTTPFolder(path: made + "/in")
        func isFound(_ rest: String) -> Bool {
            if case .file = folder.find(rest, endsWithSlash: false) { true } else { false }
        }
        #expect(isFound("a.txt"))
        for rest in ["../b.txt", "link", "..", ".", "", "a.txt/", "./a.txt", "\0", "a.txt\0.html", "no"] {
            #expect(!isFound(rest) || rest == "a.txt/", "\(rest)")
        }
    }
}
