// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Config

@Suite struct EnvironmentTests {
    private func load(_ environment: [String: String], scope: EnvironmentScope) -> ConfigLoad {
        ConfigFile.check(
            Array("mqtt.low = 1%".utf8), path: "m.conf", schema: sampleSchema, environment: environment, scope: scope)
    }

    @Test func twoUnderscoresAreADot() throws {
        let values = try #require(
            check("mqtt.max_packet_size = 2MB", environment: ["MARTLET__MQTT__MAX_PACKET_SIZE": "3MB"]).values)
        #expect(values.bytes("mqtt.max_packet_size") == 3 << 20)
        #expect(values.source("mqtt.max_packet_size")?.description == "environment MARTLET__MQTT__MAX_PACKET_SIZE")
    }

    @Test func aNameCanBeGivenForAStar() throws {
        let values = try #require(check("", environment: ["MARTLET__LISTENER__TCP__WLAN": "1884"]).values)
        #expect(values.names(matching: "listener.tcp.*") == ["wlan"])
    }

    @Test func theShortFormMeansOneKey() throws {
        let values = try #require(check("", environment: ["MARTLET_NODE_NAME": "c@d", "MARTLET_OTHER": "x"]).values)
        #expect(values.string("node.name") == "c@d")
    }

    @Test func anAmbiguousShortFormIsLeftAlone() throws {
        let schema = Schema([
            ConfigKey("a.b_c", .string, default: "1", help: ""), ConfigKey("a.b.c", .string, default: "2", help: ""),
        ])
        let values = try #require(check("", schema: schema, environment: ["MARTLET_A_B_C": "x"]).values)
        #expect(values.string("a.b_c") == "1")
        #expect(values.string("a.b.c") == "2")
    }

    @Test func aBadValueNamesItsVariable() {
        #expect(
            complaint("", environment: ["MARTLET__MQTT__LOW": "much"])
                == "environment MARTLET__MQTT__LOW: mqtt.low: \"much\" is not valid, expected a percentage from 0% to 100%"
        )
    }

    @Test func twoVariablesForOneKeyAreAMistake() {
        let text = complaint("", environment: ["MARTLET__NODE__NAME": "a", "MARTLET_NODE_NAME": "b"])
        #expect(text.contains("node.name: already set by MARTLET_NODE_NAME, expected one variable for a key"))
    }

    @Test func theCoreAnswersForEveryVariableButThePlugins() {
        let environment = ["MARTLET__MQTT__LWO": "1", "MARTLET__RETAINER__X": "1"]
        let all = load(environment, scope: .all(except: []))
        #expect(all.errors.map(\.key) == ["mqtt.lwo", "retainer.x"])
        #expect(all.errors[0].message == "unknown key; did you mean mqtt.low?")
        #expect(load(environment, scope: .all(except: ["retainer"])).errors.map(\.key) == ["mqtt.lwo"])
    }

    @Test func aPluginAnswersForItsOwnBranch() {
        let schema = Schema([
            ConfigKey("auth.mysql.server", .string, help: ""), ConfigKey("auth.mysql.pool", .count, help: ""),
        ])
        let load = check(
            "", schema: schema,
            environment: ["MARTLET__AUTH__MYSQL__SEVER": "x", "MARTLET__AUTH__HTTP__X": "1", "MARTLET__MQTT__X": "1"])
        #expect(load.errors.map(\.message) == ["unknown key; did you mean auth.mysql.server?"])
    }
}
