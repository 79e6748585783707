// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import WebSocket

/// The request of RFC 6455 §1.3, with a subprotocol of MQTT.
private let sample = [
    "GET /mqtt HTTP/1.1", "Host: server.example.com", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: mqtt", "Sec-WebSocket-Version: 13",
]

private func request(_ lines: [String]) -> [UInt8] { Array((lines + ["", ""]).joined(separator: "\r\n").utf8) }

/// Shown as its text, without the lines of the sample.
private struct Request: Sendable, CustomTestStringConvertible {
    var bytes: [UInt8]

    var testDescription: String {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map(String.init)
        return lines.filter { !sample.contains($0) }.joined(separator: " | ").debugDescription
    }
}

/// The sample without the lines that begin with a name of these, and with these lines instead.
private func changed(_ lines: String..., without: String...) -> [UInt8] {
    let gone = without + lines.map { String($0.prefix { $0 != ":" }) }
    return request(sample.filter { line in !gone.contains { line.hasPrefix($0 + ":") } } + lines)
}

private struct Answer: Equatable, CustomStringConvertible {
    /// "101 Switching Protocols", or nothing yet.
    var status = ""
    var reason = ""
    var body = ""
    var fields: [String: String] = [:]
    /// Bytes that are not the request's.
    var rest = 0
    var forwarded = ""

    var description: String { "\(status) \(reason) \(body) \(fields) \(rest) \(forwarded)" }
}

private func answer(_ bytes: [UInt8], _ terms: UpgradeTerms = UpgradeTerms(), cuts: [Int] = []) -> Answer {
    var upgrade = Upgrade(terms)
    var answer = Answer()
    var from = 0
    for to in cuts + [bytes.count] {
        let (count, outcome) = bytes[from..<to].withUnsafeBytes { upgrade.take($0) }
        from += count
        switch outcome {
        case .partial: continue
        case .accepted(let acceptance):
            parse(acceptance.answer, &answer)
            answer.forwarded = acceptance.forwarded.map { "\($0.address) \($0.port)" } ?? ""
        case .refused(let refusal):
            parse(refusal.answer, &answer)
            answer.reason = "\(refusal.reason)"
        }
        answer.rest = bytes.count - from
        break
    }
    return answer
}

private func parse(_ bytes: [UInt8], _ answer: inout Answer) {
    let text = String(decoding: bytes, as: UTF8.self)
    var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    let status = lines.removeFirst()
    #expect(status.hasPrefix("HTTP/1.1 "))
    answer.status = String(status.dropFirst(9))
    let end = lines.firstIndex(of: "")!
    for line in lines[..<end] {
        let colon = line.firstIndex(of: ":")!
        answer.fields[line[..<colon].lowercased()] = String(line[colon...].dropFirst(2))
    }
    answer.body = lines[(end + 1)...].joined(separator: "\r\n")
    if let length = answer.fields["content-length"] { #expect(Int(length) == answer.body.utf8.count) }
}

@Suite("The opening handshake")
struct UpgradeTests {
    @Test("The key of RFC 6455 is answered with the proof of RFC 6455, and no extension with anything")
    func accepts() {
        let got = answer(changed("Sec-WebSocket-Extensions: permessage-deflate"))
        #expect(got.status == "101 Switching Protocols")
        #expect(got.fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(got.fields["upgrade"] == "websocket")
        #expect(got.fields["connection"] == "Upgrade")
        #expect(got.fields["sec-websocket-extensions"] == nil)
        #expect(got.body == "")
    }

    @Test(
        "What a client may say in another way",
        arguments: [
            changed("Connection: keep-alive, Upgrade"), changed("Connection: UPGRADE"),
            changed("Upgrade: h2c, WebSocket"), changed("upgrade:\twebsocket \t", without: "Upgrade"),
            changed("Connection: keep-alive", "Connection: upgrade"), changed("Host: [::1]:8083"),
            changed("Content-Length: 0"), changed("X-\u{e9}: x", without: "none").filter { $0 < 0x80 },
            request(["GET /mqtt?token=1 HTTP/1.1"] + sample.dropFirst()),
            request(["GET http://proxy/mqtt HTTP/1.1"] + sample.dropFirst()),
            // RFC 9112 §2.2
            Array("\r\n".utf8) + request(sample),
        ].map(Request.init))
    fileprivate func tolerates(_ request: Request) {
        #expect(answer(request.bytes).status == "101 Switching Protocols")
    }

    @Test(
        "What is no upgrade is a bad request",
        arguments: [
            request(["POST /mqtt HTTP/1.1"] + sample.dropFirst()), request(["get /mqtt HTTP/1.1"] + sample.dropFirst()),
            request(["GET /mqtt HTTP/1.0"] + sample.dropFirst()), request(["GET /mqtt"] + sample.dropFirst()),
            request(["GET  /mqtt HTTP/1.1"] + sample.dropFirst()),
            request(["GET /mqtt HTTP/1.1 "] + sample.dropFirst()),
            changed(without: "Host"), changed("Host: a", "Host: b"), changed(without: "Upgrade"),
            changed("Upgrade: websockets"), changed("Upgrade: h2c"), changed(without: "Connection"),
            changed("Connection: keep-alive"), changed("Connection: upgraded"), changed(without: "Sec-WebSocket-Key"),
            changed("Sec-WebSocket-Key: "), changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="),
            changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==="),
            changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"),
            changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQo*=="),
            changed("Sec-WebSocket-Key: dGhlIHNhbXBsZS*ub25jZQ=="),
            changed("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
            changed("Content-Length: 5"), changed("Transfer-Encoding: chunked"), changed("Bad Name: x"),
            changed("Name : x"), changed(": x"), changed("no colon"), changed("X: a\r\n folded"), changed(" X: y"),
            changed("X: a\nY: b"), changed("X: a\rb"), changed("X: a\0b"), [0x10], [0x16], [0x0D, 0x0D],
            Array("\r\n\r\n".utf8), Array("\r\n\r\n".utf8) + request(sample), Array("\n".utf8) + request(sample),
        ].map(Request.init))
    fileprivate func refuses(_ request: Request) {
        let got = answer(request.bytes)
        #expect(got.status == "400 Bad Request")
        #expect(got.reason == "ws_bad_request")
        #expect(got.body == "Bad Request")
        #expect(got.fields["connection"] == "close")
    }

    @Test("Another path is not found, whatever else is asked", arguments: ["/", "/mqtt/", "/mqttx", "/MQTT", "*"])
    func path(_ path: String) {
        let got = answer(request(["GET \(path) HTTP/1.1"] + sample.dropFirst()))
        #expect(got.status == "404 Not Found")
        #expect(got.reason == "ws_not_found")
        #expect(answer(request(["POST \(path) HTTP/1.0"])).status == "404 Not Found")
        var terms = UpgradeTerms()
        terms.path = path
        #expect(answer(request(["GET \(path) HTTP/1.1"] + sample.dropFirst()), terms).status.hasPrefix("101"))
    }

    @Test(
        "Another version is told the version there is",
        arguments: [
            changed("Sec-WebSocket-Version: 8"), changed(without: "Sec-WebSocket-Version"),
            changed("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"), changed("Sec-WebSocket-Version: 013"),
        ].map(Request.init))
    fileprivate func version(_ request: Request) {
        let got = answer(request.bytes)
        #expect(got.status == "426 Upgrade Required")
        #expect(got.reason == "ws_bad_version")
        #expect(got.fields["sec-websocket-version"] == "13")
        #expect(got.fields["upgrade"] == "websocket")
    }

    @Test(
        "[MQTT-6.0.0-3] [MQTT-6.0.0-4] The subprotocol is mqtt where it is offered, else an old name of it",
        arguments: [
            (["mqtt"], "mqtt"), (["mqttv3.1, mqtt"], "mqtt"), (["mqttv3.1", "chat , mqtt"], "mqtt"),
            (["mqttv3.1"], "mqttv3.1"), (["mqttv3.1, mqttv3.1.1"], "mqttv3.1.1"),
        ])
    func chooses(_ offered: [String], _ chosen: String) {
        let lines = offered.map { "Sec-WebSocket-Protocol: \($0)" }
        let got = answer(request(sample.filter { !$0.hasPrefix("Sec-WebSocket-Protocol") } + lines))
        #expect(got.fields["sec-websocket-protocol"] == chosen)
    }

    @Test(
        "[MQTT-6.0.0-3] Without one of them there is no agreement",
        arguments: [["chat"], [], ["MQTT"], ["mqttx"], [","]])
    func noAgreement(_ offered: [String]) {
        let lines = offered.map { "Sec-WebSocket-Protocol: \($0)" }
        let bytes = request(sample.filter { !$0.hasPrefix("Sec-WebSocket-Protocol") } + lines)
        let got = answer(bytes)
        #expect(got.status == "400 Bad Request")
        #expect(got.body == "Bad WebSocket Protocol")
        #expect(got.reason == "ws_bad_protocol")
        var terms = UpgradeTerms()
        terms.verifiesProtocol = false
        let lenient = answer(bytes, terms)
        #expect(lenient.status.hasPrefix("101"))
        #expect(lenient.fields["sec-websocket-protocol"] == offered.first { $0 != "," })
    }

    @Test("A client may say it in EMQ's field")
    func otherField() {
        let got = answer(changed("EMQ-WebSocket-Protocol: mqttv3.1", without: "Sec-WebSocket-Protocol"))
        #expect(got.status.hasPrefix("101"))
        #expect(got.fields["sec-websocket-protocol"] == nil)
        let bad = answer(changed("EMQ-WebSocket-Protocol: chat", without: "Sec-WebSocket-Protocol"))
        #expect(bad.body == "Bad WebSocket Protocol")
    }

    @Test("Where origins are named, a page must come from one of them, and a program from none")
    func origins() {
        var terms = UpgradeTerms()
        terms.origins = ["https://a.example", "https://b.example:8443"]
        #expect(answer(changed(without: "none"), terms).status.hasPrefix("101"))
        #expect(answer(changed("Origin: https://B.example:8443"), terms).status.hasPrefix("101"))
        #expect(answer(changed("Origin: https://c.example")).status.hasPrefix("101"))
        for origin in ["https://c.example", "null", "", "http://a.example"] {
            let got = answer(changed("Origin: \(origin)"), terms)
            #expect(got.status == "403 Forbidden")
            #expect(got.reason == "ws_bad_origin")
        }
    }

    @Test(
        "A proxy's fields name the client where they are believed",
        arguments: [
            (["X-Forwarded-For: 192.0.2.7"], "192.0.2.7 0"),
            (["X-Forwarded-For: 192.0.2.7, 10.0.0.1", "X-Forwarded-Port: 4711"], "192.0.2.7 4711"),
            (["X-FORWARDED-FOR: 192.0.2.7:99"], "192.0.2.7 99"),
            (["X-Forwarded-For: 2001:db8::7"], "2001:db8::7 0"),
            (["X-Forwarded-For: [2001:db8::7]:99", "X-Forwarded-For: 10.0.0.1"], "2001:db8::7 99"),
            (["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Port: 99999"], "192.0.2.7 0"),
            (["X-Forwarded-For: unknown"], ""), (["X-Forwarded-For: "], ""), (["Forwarded-For: 192.0.2.7"], ""),
        ])
    func forwarded(_ lines: [String], _ peer: String) {
        var terms = UpgradeTerms()
        let bytes = request(sample + lines)
        #expect(answer(bytes, terms).forwarded == "")
        terms.addressHeader = "X-Forwarded-For"
        terms.portHeader = "X-Forwarded-Port"
        #expect(answer(bytes, terms).forwarded == peer)
    }

    @Test("Wherever the request is cut, its answer is the same, and what follows it is left alone")
    func cuts() {
        let bytes = request(sample)
        let whole = answer(bytes)
        for cut in 0...bytes.count { #expect(answer(bytes, cuts: [cut]) == whole) }
        #expect(answer(bytes, cuts: Array(0...bytes.count)) == whole)
        #expect(answer(bytes + [0x82, 0x80, 0, 0]).rest == 4)
        for length in 0..<bytes.count { #expect(answer(Array(bytes[..<length])).status == "") }
    }

    @Test("A request may have 8192 bytes")
    func size() {
        let long = { (n: Int) in changed("X: " + String(repeating: "x", count: n)) }
        let most = 8192 - long(0).count
        #expect(answer(long(most)).status.hasPrefix("101"))
        for cuts in [[], [8192], [1, 100, 8000]] {
            let got = answer(long(most + 1), cuts: cuts)
            #expect(got.status == "431 Request Header Fields Too Large")
            #expect(got.reason == "ws_header_too_large")
        }
        #expect(answer(Array(repeating: 0x41, count: 100_000)).reason == "ws_header_too_large")
    }
}
