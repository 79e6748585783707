// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite struct LoadTests {
    @Test func valuesAreTypedAndKnowTheirLine() throws {
        let text = """
            node.name = a@b
            mqtt.max_packet_size = 64KB
            mqtt.client.idle_timeout = 1m
            mqtt.retain_available = off
            mqtt.low = 30%
            mqtt.strategy = round_robbin
            node.loops = auto
            listener.tcp.b = 1884
            listener.tcp.a = 127.0.0.1:1883
            listener.tcp.a.max_clients = 7
            listener.tcp.a.access.10 = deny all
            listener.tcp.a.access.2 = allow 10.0.0.0/8
            """
        let values = try #require(check(text).values)
        #expect(values.string("node.name") == "a@b")
        #expect(values.bytes("mqtt.max_packet_size") == 65_536)
        #expect(values.durationMS("mqtt.idle_timeout") == 60_000)
        #expect(values.bool("mqtt.retain_available") == false)
        #expect(values.percent("mqtt.low") == 30)
        #expect(values.string("mqtt.strategy") == "round_robin")
        #expect(values.value("mqtt.strategy")?.integer == 1)
        #expect(values.int("node.loops") == 0)
        #expect(values.names(matching: "listener.tcp.*") == ["b", "a"])
        #expect(values.address("listener.tcp.a").port == 1883)
        #expect(values.int("listener.tcp.a.max_connections") == 7)
        #expect(values.int("listener.tcp.b.max_connections") == 9)
        #expect(values.accessRules("listener.tcp.a.access").map(\.isAllowed) == [true, false])
        #expect(values.source("mqtt.idle_timeout") == .file(path: "m.conf", line: 3))
        #expect(values.source("data.dir") == .declaredDefault)
        #expect(values.path("data.dir") == "/opt/martlet/data")
    }

    @Test func aKeyInheritsWhereItIsNotSet() throws {
        let values = try #require(check("mqtt.session.max_inflight = 5\nzone.b.max_inflight = 6").values)
        #expect(values.int("zone.a.max_inflight") == 5)
        #expect(values.int("zone.b.max_inflight") == 6)
        #expect(values.isSet("zone.b.max_inflight"))
        #expect(!values.isSet("zone.a.max_inflight"))
        #expect(values.names(matching: "zone.*.*") == ["b"])
    }

    @Test func eachGivesTheSetKeysInTheOrderOfTheFile() throws {
        let values = try #require(check("mqtt.low = 1%\nnode.name = x\nmqtt.client.idle_timeout = 9s").values)
        #expect(values.each(prefix: "mqtt.").map(\.key) == ["mqtt.low", "mqtt.idle_timeout"])
        #expect(values.each(prefix: "mqtt.").map(\.value.text) == ["1%", "9s"])
    }

    @Test func aKeyWithoutDefaultHasNoValue() throws {
        let values = try #require(check("").values)
        #expect(values.value("auth.password") == nil)
        #expect(values.stringIfSet("auth.password") == nil)
    }

    @Test(arguments: [
        (
            "mqtt.max_paket_size = 1",
            "m.conf:1: mqtt.max_paket_size: unknown key; did you mean mqtt.max_packet_size?"
        ),
        ("frobnicate = 1", "m.conf:1: frobnicate: unknown key"),
        (
            "mqtt.max_packet_size = 1XB",
            "m.conf:1: mqtt.max_packet_size: \"1XB\" is not valid, expected a size such as 64KB or 1MB from 64 to 256MB"
        ),
        (
            "mqtt.session.max_inflight = 70000",
            "m.conf:1: mqtt.session.max_inflight: \"70000\" is not valid, expected a whole number from 0 to 65535"
        ),
        (
            "mqtt.idle_timeout = 1",
            ""
        ),
        (
            "mqtt.idle_timeout = soon",
            "m.conf:1: mqtt.idle_timeout: \"soon\" is not valid, expected a duration such as 100ms, 20s or 1h30m of at "
                + "least 100ms"
        ),
        (
            "mqtt.strategy = rondom",
            "m.conf:1: mqtt.strategy: \"rondom\" is not valid, expected one of random, round_robin; did you mean "
                + "random?"
        ),
        (
            "node.loops = all",
            "m.conf:1: node.loops: \"all\" is not valid, expected auto or a whole number from 0 to 256"
        ),
        ("mqtt.retain_available =", "m.conf:1: mqtt.retain_available: no value, expected on or off"),
        ("mqtt.low = 1%\nmqtt.low = 1%", "m.conf:2: mqtt.low: already set on line 1, expected once"),
        (
            "mqtt.idle_timeout = 1s\nmqtt.client.idle_timeout = 1s",
            "m.conf:2: mqtt.client.idle_timeout: already set as mqtt.idle_timeout on line 1, expected once"
        ),
        ("node.cookie = x", "m.conf:1: node.cookie: no effect here: there is no cookie"),
    ])
    func aMistakeIsOneSentence(_ text: String, _ expected: String) {
        #expect(complaint(text) == expected)
    }

    @Test func aSecretIsNeverShown() throws {
        #expect(!complaint("auth.rounds = hunter2").contains("hunter2"))
        let values = try #require(check("auth.password = hunter2").values)
        #expect(values.display("auth.password") == "******")
        #expect(values.display("node.name") == "n@h")
    }

    @Test func allMistakesAreReportedInTheOrderOfTheFile() {
        let load = check("nonsense\nmqtt.low = x\nwhat = 1\na. = 1\nmqtt.low = 2%")
        #expect(load.values == nil)
        #expect(load.errors.map(\.line) == [1, 2, 3, 4, 5])
    }

    @Test func aWarningDoesNotStopTheLoad() {
        let load = check("node.cookie = x")
        #expect(load.values != nil)
        #expect(load.warnings.count == 1)
        #expect(load.values?.isSet("node.cookie") == false)
    }

    @Test func aMissingFileIsAnErrorUnlessItIsOptional() {
        let path = "/nonexistent/m.conf"
        let load = ConfigFile.load(path: path, schema: sampleSchema)
        #expect(load.diagnostics.map(\.description) == ["\(path): cannot be read: No such file or directory"])
        #expect(load.values == nil)
        let optional = ConfigFile.load(path: path, schema: sampleSchema, optional: true)
        #expect(optional.values?.string("node.name") == "n@h")
    }

    @Test func aFolderOrAHugeFileIsRefused() throws {
        let folder = try TemporaryFolder()
        #expect(ConfigFile.load(path: folder.path, schema: sampleSchema).errors.count == 1)
        let path = try folder.write("big.conf", String(repeating: "#\n", count: 3 << 20))
        let load = ConfigFile.load(path: path, schema: sampleSchema)
        #expect(load.errors.map(\.message) == ["cannot be read: it is larger than 4MB"])
    }

    @Test func changesAreThoseOfTheValuesInForce() throws {
        let old = try #require(check("mqtt.low = 30%\nmqtt.client.idle_timeout = 60s\nnode.name = x").values)
        let new = try #require(check("\nmqtt.idle_timeout = 1m\nmqtt.low = 40%\nauth.password = p").values)
        let changes = new.changes(since: old)
        #expect(changes.map(\.key) == ["mqtt.low", "auth.password", "node.name"])
        #expect(changes.map(\.old?.text) == ["30%", nil, "x"])
        #expect(changes.map(\.new?.text) == ["40%", "p", "n@h"])
        #expect(new.changes(since: new) == [])
    }
}
