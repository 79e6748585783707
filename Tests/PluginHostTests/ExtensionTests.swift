// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Testing

@testable import PluginHost

extension PluginHostTests {
    /// One tiny C plugin per extension, seen from outside.
    @Suite(.serialized) struct Extensions {
        @Test func everyHookPointIsCalledAndFiltersHold() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hooks")
            #expect(rig.load("hooks") == nil)
            for hook in 0..<13 { rig.broker.fire(hook, topic: "a/b/c", on: hook % 2) }
            rig.broker.fire(9, topic: "a/b/d")
            #expect(rig.values("hooks") == ["points": 13, "publish": 2, "filtered": 1, "late": 0])
        }

        @Test func hooksComeAndGoWhileAPluginRuns() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hooks")
            _ = rig.load("hooks")
            #expect(rig.ctl("hooks add") == "")
            #expect(rig.broker.fire(9) == 1, "the late hook stops the chain")
            #expect(rig.values("hooks") == ["points": 0, "publish": 0, "filtered": 0, "late": 1])
            #expect(rig.ctl("hooks remove") == "")
            #expect(rig.broker.fire(9) == 0)
            #expect(rig.values("hooks")["publish"] == 1)
            #expect(rig.ctl("hooks remove").hasPrefix("!"), "its token is stale now")
            #expect(
                rig.values("hooks bad")
                    == ["hook": Int(statusInvalid), "filter": Int(statusInvalid), "null": Int(statusInvalid)])
        }

        @Test func chainsAreSortedByPriorityThenLoadOrder() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hooks", as: "second")
            rig.add("hooks", as: "first")
            for name in ["first", "second"] { _ = rig.load(name) }
            let lines = rig.main { rig.host.chainLines() }.filter { $0.chain == "message.publish" }
            #expect(lines.map(\.plugin) == ["first", "second", "first", "second"])
            #expect(lines.map(\.priority) == [20, 20, 10, 10])
            rig.broker.fire(9, topic: "a/x/c", on: 1)
            #expect(
                rig.main { rig.host.chainLines() }.filter { $0.chain == "message.publish" }.map(\.cost.calls) == [
                    1, 1, 1, 1,
                ])
        }

        @Test func aStructOfAnOlderPluginIsReadAsFarAsItReaches() {
            var result = martlet_auth_result()
            result.verdict = Int32(MARTLET_DENY)
            result.reason_string.len = 7
            let old = UInt32(MemoryLayout<martlet_auth_result>.offset(of: \.reason_string)!)
            for (size, length) in [(old - 1, nil), (old, 0), (old + 16, 7), (old + 64, 7)] as [(UInt32, Int?)] {
                result.size = size
                let read = readSized(&result, beforeGrowth: \.reason_string)
                #expect(read?.reason_string.len == length)
                if let read { #expect(read.verdict == Int32(MARTLET_DENY)) }
            }
        }

        @Test func keysAreFoundByPriorityWhileThePluginRuns() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("psk")
            #expect(rig.load("psk") == nil)
            #expect(rig.broker.key(of: "dev-1") == [UInt8](repeating: 0xA1, count: 32))
            #expect(rig.broker.key(of: "dev-2") == [])
            #expect(rig.values("psk") == ["room": Int(MARTLET_PSK_MAX_KEY), "null": Int(statusInvalid)])
            #expect(rig.ctl("psk wide") == "")
            #expect(rig.broker.key(of: "dev-1").count == 32, "the higher priority is asked first")
            #expect(rig.broker.key(of: "dev-22") == [6, 6, 6, 6])
            #expect(rig.broker.key(of: "long") == [4, 4, 4, 4])
            #expect(rig.unload("psk") == nil)
            #expect(rig.broker.key(of: "dev-1") == [])
        }

        @Test func messagesAreMadeReadAndKept() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("message")
            _ = rig.load("message")
            #expect(rig.ctl("message").hasPrefix("a/b hello me qos2 retain1\n"))
            #expect(
                rig.values("message") == [
                    "properties": 7, "expiry": 60, "has_time": 1, "has_id": 1, "small_topic": 3, "beyond": 0xEE,
                    "wildcard": 0, "qos3": 0, "cut_properties": 0, "null_payload": 0, "small_fields": 0,
                ])
        }

        @Test func aPluginReceivesWhatItSubscribed() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("pubsub")
            _ = rig.load("pubsub")
            #expect(rig.ctl("pubsub publish news/today") == "")
            #expect(rig.ctl("pubsub publish weather") == "")
            #expect(rig.eventually { rig.values("pubsub")["got"] == 1 })
            #expect(rig.ctl("pubsub") == "got=1\nfrom plugin\n")
            #expect(rig.ctl("pubsub publish a/#").hasPrefix("!"))
            _ = rig.ctl("pubsub unsubscribe")
            _ = rig.ctl("pubsub publish news/today")
            rig.broker.quiesce()
            #expect(rig.values("pubsub")["got"] == 1)
        }

        @Test func deferredAnswersAreTakenOnce() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("auth")
            _ = rig.load("auth")
            #expect(rig.broker.authenticate("anna") == 1)
            #expect(rig.broker.authenticate("bad") == 2)
            #expect(rig.broker.authenticate("") == 0)
            #expect(rig.broker.authenticate("twice") == 4)
            #expect(rig.eventually { rig.values("auth")["second"] == Int(statusStale) })
            #expect(
                rig.values("auth") == [
                    "first": 0, "second": Int(statusStale), "unknown": Int(statusStale), "verdict": Int(statusInvalid),
                ])
            #expect(rig.broker.authenticate("never") == 4)
            let owner = rig.main { rig.host.running[0].owner }
            #expect(rig.broker.openDeferrals(of: owner) == 1)
            _ = rig.unload("auth")
            #expect(rig.broker.openDeferrals(of: owner) == 0, "an unload answers what the plugin leaves open")
        }

        @Test func tasksTimersAndDescriptorsRunWhereTheyBelong() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("exec")
            #expect(rig.load("exec") == nil)
            #expect(rig.ctl("exec write") == "")
            #expect(
                rig.eventually {
                    let v = rig.values("exec")
                    return v["main"] == -1 && v["loop"] != -99 && v["polled"] == 1 && v["poll_where"] != -99
                        && v["once"] == 1 && v["ticks_main"]! > 2 && v["ticks_loop"]! > 2
                })
            let values = rig.values("exec")
            #expect(values["loop"] == 1)
            #expect(values["blocking"] == -2)
            #expect(values["once"] == 1)
            #expect(values["poll_where"] == 1)
            #expect(values["loops"] == 2)
            #expect(rig.values("exec cancel") == ["again": Int(statusStale)])
            let ticks = rig.values("exec")["ticks_main"]
            #expect(rig.eventually { rig.values("exec")["ticks_loop"]! > values["ticks_loop"]! + 3 })
            #expect(rig.values("exec")["ticks_main"] == ticks)
            let bad = Int(statusInvalid)
            #expect(rig.values("exec bad") == ["loop": bad, "where": bad, "file": bad, "closed": bad])
            #expect(rig.unloadReport("exec")?.resident == nil)
        }

        @Test func aTimerThatFiresAtOnceIsTakenAllTheSame() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("exec")
            _ = rig.load("exec")
            // Only now and then does the loop come to its timers before the control thread wakes up.
            for round in 1...4 {
                #expect(rig.values("exec soon") == ["refused": 0])
                #expect(rig.eventually { rig.values("exec")["once"] == 8000 * round + 1 })
            }
        }

        @Test func metricsAndAlarmsEndWithTheirPlugin() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("metrics")
            _ = rig.load("metrics")
            _ = rig.ctl("metrics count")
            _ = rig.ctl("metrics count")
            #expect(
                rig.main { rig.host.metrics() } == [
                    Metric(name: "metrics/counter", kind: .counter, help: "Counts", value: 10, plugin: "metrics"),
                    Metric(name: "metrics/gauge", kind: .gauge, help: "Measures", value: -3, plugin: "metrics"),
                ])
            #expect(rig.values("metrics twice") == ["twice": Int(statusExists)])
            _ = rig.ctl("metrics raise")
            let alarm = rig.host.alarms.list().first
            #expect(alarm?.title == "Too hot" && alarm?.severity == .error && alarm?.plugin == "metrics")
            #expect(rig.host.alarms.list().count == 1)
            _ = rig.ctl("metrics clear")
            #expect(rig.host.alarms.list().isEmpty)
            _ = rig.ctl("metrics raise")
            _ = rig.unload("metrics")
            #expect(rig.host.alarms.list().isEmpty)
            #expect(rig.main { rig.host.metrics().isEmpty })
        }

        @Test func commandsTellWhatWentWrong() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("ctl")
            _ = rig.load("ctl")
            rig.main { _ = rig.host.commands.register("plugins", []) { _ throws(CommandFailure) in } }
            #expect(rig.ctl("ctl echo one two") == "one|two|")
            #expect(rig.ctl("ctl fail") == "!sentence(\"the disk is on fire\")")
            #expect(
                rig.ctl("ctl mute") == "!sentence(\"ctl failed: it took too long.\")"
                    || rig.ctl("ctl mute").contains("timeout"))
            #expect(rig.ctl("ctl") == "!usage")
            #expect(rig.ctl("ctl taken").contains("the command plugins belongs to the broker"))
            let flooded = rig.main {
                let call = CommandCall([Array("ctl".utf8), Array("flood".utf8)], limit: 1 << 20)
                try? rig.host.commands.run(rig.host.commands.find("ctl")!, call)
                return (call.output.count, call.isCut)
            }
            #expect(flooded == (1 << 20, true))
        }

        @Test func aBorrowedServiceBlocksItsProvider() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("service", as: "http", "PROVIDE")
            rig.add("service", as: "dashboard")
            #expect(rig.load("dashboard")?.sentence == "dashboard was not loaded: nobody adds.")
            _ = rig.load("http")
            #expect(rig.load("dashboard") == nil)
            #expect(rig.values("dashboard") == ["sum": 5])
            #expect(rig.unload("http")?.sentence == "http is used by dashboard. Unload dashboard first.")
            #expect(rig.reload("http")?.kind == .inUse)
            #expect(rig.values("dashboard") == ["sum": 5])
            #expect(rig.unload("dashboard") == nil)
            #expect(rig.unload("http") == nil)
            _ = rig.load("http")
            _ = rig.load("dashboard")
            _ = rig.ctl("dashboard give_back")
            #expect(rig.unload("http") == nil, "given back, it no longer blocks")
        }

        @Test func aServiceSatisfiesANeed() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("service", as: "http", "PROVIDE")
            rig.add("base", as: "base", "NEEDS=\"adder/1\"")
            #expect(rig.load("base")?.kind == .badPlugin)
            _ = rig.load("http")
            #expect(rig.load("base") == nil)
        }

        @Test func dynamicCallsOfEveryType() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("dynamic", as: "offer", "OFFER")
            rig.add("dynamic", as: "user")
            #expect(rig.load("user") == nil, "joining a hook point that comes later is allowed")
            #expect(rig.values("user hook")["both"] == Int(statusNotFound))
            #expect(rig.load("offer") == nil)
            let bad = Int(statusInvalid)
            #expect(
                rig.values("user") == [
                    "mix": 1 + 20 + 5 + 1 + 1 + 4, "big": -5_000_000_000, "half": 25, "no": 0, "self": 1, "name": 7,
                    "nothing": 0, "signature": bad, "count": bad, "unknown": Int(statusNotFound), "letters": bad,
                    "taken": Int(statusExists),
                ])
            #expect(rig.ctl("user hook") == "both=2\nran=11\nstopped=1\nran=12\nunknown=-3\n")
            #expect(rig.unload("offer") == nil)
            #expect(rig.values("user")["mix"] == -1)
        }

        @Test func anUnknownExtensionIsNULL() {
            for id in extensionIDs { #expect(extensionTable(id) != nil) }
            for id in ["martlet.log/2", "martlet.net/9", "martlet.http/2", "", "martlet.log"] {
                #expect(extensionTable(id) == nil)
            }
        }
    }
}
