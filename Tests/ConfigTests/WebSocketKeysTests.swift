// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite("Keys of WebSocket listeners")
struct WebSocketKeysTests {
    private func load(_ lines: [String]) throws -> (values: ConfigFile?, messages: [String]) {
        let folder = try TemporaryFolder()
        let text = (["listener.ws.a = 8083", "listener.wss.b = 8084"] + lines).joined(separator: "\n")
        let path = try folder.write("etc/martlet.conf", text)
        let load = CoreConfig.load(path: path, environment: [:], root: folder.path)
        return (load.values, load.diagnostics.map { "\($0.line): \($0.key): \($0.message)" })
    }

    @Test(
        "The switch of EMQ 2.3 holds for listeners that have none of their own",
        arguments: [
            ([], true, true), (["mqtt.websocket_protocol_header = off"], false, false),
            (["mqtt.websocket_protocol_header = off", "listener.wss.b.verify_protocol_header = on"], false, true),
            (["listener.ws.a.websocket_protocol_header = off"], false, true),
        ])
    func protocolHeader(_ lines: [String], _ ws: Bool, _ wss: Bool) throws {
        let values = try #require(try load(lines).values)
        #expect(values.bool("listener.ws.a.verify_protocol_header") == ws)
        #expect(values.bool("listener.wss.b.verify_protocol_header") == wss)
    }

    @Test("A path that nobody could ask for is a mistake")
    func paths() throws {
        #expect(try load(["listener.ws.a.mqtt_path = /a/b"]).messages == [])
        for path in ["mqtt", "/mqtt?x", "/mqtt#x", "/a b"] {
            #expect(
                try load(["listener.wss.b.mqtt_path = \(path)"]).messages == [
                    "3: listener.wss.b.mqtt_path: \"\(path)\" is no path, expected one like /mqtt, without a query"
                ])
        }
    }

    @Test("An origin that no browser sends is a mistake")
    func origins() throws {
        let good = "https://example.com, http://127.0.0.1:8080, null"
        #expect(try load(["listener.ws.a.allowed_origins = \(good)"]).messages == [])
        for origin in ["example.com", "https://example.com/", "://x", "*"] {
            #expect(
                try load(["listener.ws.a.allowed_origins = \(good), \(origin)"]).messages == [
                    "3: listener.ws.a.allowed_origins: \"\(origin)\" is no origin, expected one like "
                        + "https://example.com, without a path"
                ])
        }
    }
}
