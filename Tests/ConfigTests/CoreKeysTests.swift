// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Config

@Suite struct CoreKeysTests {
    private func load(_ text: String, environment: [String: String] = [:]) throws -> ConfigLoad {
        let folder = try TemporaryFolder()
        let path = try folder.write("etc/martlet.conf", text)
        return CoreConfig.load(path: path, environment: environment, root: folder.path)
    }

    private func messages(_ text: String) throws -> [String] {
        try load(text).diagnostics.map { "\($0.line): \($0.key): \($0.message)" }
    }

    @Test func everyDefaultAndSampleFitsItsOwnType() {
        for key in CoreKeys.all where key.noEffect == nil {
            for text in [key.defaultText, key.sample.value].compactMap({ $0 }) {
                #expect(key.scalar(of: text) != nil, "\(key.name) = \(text)")
            }
            for (word, meaning) in key.words {
                #expect(key.scalar(of: word) != nil, "\(key.name): \(word) → \(meaning)")
            }
        }
    }

    @Test func everySpellingMeansOneKey() {
        var seen: Set<String> = []
        for key in CoreKeys.all {
            for name in [key.name] + key.aliases { #expect(seen.insert(name).inserted, "\(name) is declared twice") }
        }
    }

    @Test func everyInheritedKeyExistsAndHasTheSameType() throws {
        for key in CoreKeys.all {
            guard let from = key.inherits else { continue }
            #expect(CoreKeys.schema.match(from)?.type == key.type, "\(key.name)")
            #expect(key.defaultText == nil, "\(key.name) would never inherit")
        }
    }

    @Test func everyKeySaysInASentenceWhatItIsFor() {
        for key in CoreKeys.all where key.noEffect == nil {
            #expect(key.help.hasSuffix("."), "\(key.name)")
            #expect(!key.section.isEmpty, "\(key.name)")
        }
    }

    @Test func withoutAnyLineTheDecidedDefaultsHold() throws {
        let values = try #require(load("").values)
        #expect(values.string("mqtt.allow_anonymous") == "loopback")
        #expect(values.string("acl_nomatch") == "allow")
        #expect(values.bytes("mqtt.max_packet_size") == 2 << 20)
        #expect(values.int("zone.any.max_inflight") == 32)
        #expect(values.int("zone.any.max_mqueue_len") == 100_000)
        #expect(values.durationMS("zone.any.session_expiry_interval") == 7_200_000)
        #expect(values.decimal("zone.any.keepalive_backoff") == 0.75)
        #expect(values.string("zone.any.allow_anonymous") == "loopback")
        #expect(values.list("mqtt.mqueue.priority") == [])
        #expect(values.rateIfSet("zone.any.publish_limit") == .unlimited)
        #expect(values.path("ctl.socket").hasSuffix("/data/martlet.sock"))
        #expect(values.names(matching: "listener.tcp.*") == [])
    }

    @Test func theSpellingsOf23And30AreUnderstood() throws {
        let old = try #require(load("mqtt.allow_anonymous = false\nmqtt.cache_acl = false\nlog.console = both").values)
        let new = try #require(load("allow_anonymous = off\nenable_acl_cache = off\nlog.to = both").values)
        #expect(new.changes(since: old) == [])
        #expect(old.string("mqtt.allow_anonymous") == "false")
        #expect(
            try #require(load("broker.shared_subscription_strategy = round_robbin").values)
                .string("broker.shared_subscription_strategy") == "round_robin")
    }

    @Test func erlangKeysAreAWarning() throws {
        let found = try messages(
            "node.cookie = x\nrpc.send_timeout = 5000\ncluster.mcast.ttl = 255\nzone.a.force_gc_policy = 1000|1MB")
        #expect(found.count == 4)
        #expect(found.allSatisfy { $0.contains("no effect here: ") })
        #expect(found[0].hasPrefix("1: node.cookie: no effect here: it steers the Erlang virtual machine"))
    }

    @Test func aListenerOptionWithoutItsListenerIsAMistake() throws {
        let text = "listener.tcp.external = 1883\nlistener.tcp.extrenal.backlog = 5\nlistener.tcp.extrenal.nodelay = on"
        #expect(
            try messages(text) == [
                "2: listener.tcp.extrenal.backlog: there is no listener extrenal, expected listener.tcp.extrenal = "
                    + "ADDRESS:PORT beside it; did you mean listener.tcp.external?"
            ])
    }

    @Test func contradictingValuesAreAMistake() throws {
        #expect(
            try messages("mqtt.mqueue.high_watermark = 10%") == [
                "1: mqtt.mqueue.high_watermark: mqtt.mqueue.low_watermark is 20% and mqtt.mqueue.high_watermark is "
                    + "10%, "
                    + "expected mqtt.mqueue.low_watermark to be the smaller one"
            ])
        #expect(try messages("mqtt.output_high_water = 4MB").count == 1)
        #expect(try messages("mqtt.mqueue.priority = a=1,b").count == 1)
        #expect(try messages("zone.a.mqueue_priorities = a=256").count == 1)
        #expect(try messages("mqtt.mqueue.priority = a=1,b/#=255") == [])
    }

    @Test(arguments: [
        "node.name = a/#", "node.name = a+b", "node.name = \"\"", "node.name = a\u{1}b",
        "listener.tcp.x = 1883\nlistener.tcp.x.mountpoint = a/+/", "zone.z.mountpoint = %c/#",
        "zone.z.mountpoint = " + String(repeating: "x", count: 1025),
    ])
    func whatBecomesPartOfATopicHasNoWildcard(_ text: String) throws {
        let found = try messages(text)
        #expect(found.count == 1 && found[0].hasSuffix("without + and # and control characters"), "\(found)")
        #expect(try messages("node.name = martlet@10.0.0.1\nzone.z.mountpoint = tenants/%u/%c/") == [])
    }

    @Test func aVariableOfAPluginIsLeftToThePlugin() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("etc/martlet.conf", "")
        try folder.write("etc/plugins/auth_mysql.conf", "auth.mysql.server = x\n")
        try folder.write("etc/plugins/sn.conf", "## mqtt.sn.port = 1884\n")
        let environment = [
            "MARTLET__AUTH__MYSQL__POOL": "8", "MARTLET__MQTT__SN__PORT": "1885", "MARTLET__NO__SUCH": "1",
            "MARTLET_HOME": "/x",
        ]
        let load = CoreConfig.load(path: path, environment: environment, root: folder.path)
        #expect(load.diagnostics.map(\.description) == ["environment MARTLET__NO__SUCH: no.such: unknown key"])
    }

    @Test func prioritiesAreSplitAtTheirLastEqualsSign() throws {
        let item = try #require(CoreConfig.priority("a=b=7"))
        #expect(item.topic == "a=b")
        #expect(item.priority == 7)
    }
}
