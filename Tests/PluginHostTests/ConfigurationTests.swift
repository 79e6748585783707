// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import PluginHost

extension PluginHostTests {
    @Suite(.serialized) struct Configuration {
        @Test func withoutAFileTheDefaultsHold() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            #expect(rig.load("config") == nil)
            #expect(
                rig.values("config") == [
                    "config.flag": 1, "config.number": 7, "config.size": 65536, "config.time": 2000, "config.kind": 1,
                    "config.share": 60, "secret": Int(statusNotFound), "undeclared": Int(statusNotFound),
                ])
            #expect(rig.ctl("config").contains("\na, b\n\(rig.root)/etc/a.conf\n"))
        }

        @Test func theFileAndTheEnvironmentAreRead() {
            let rig = Rig { $0.environment = ["MARTLET__CONFIG__NUMBER": "42"] }
            defer { rig.close() }
            rig.add("config")
            rig.write(
                "## a comment\nconfig.flag = off\nconfig.number = 9\n"
                    + "config.user.2.name = zoe\nconfig.user.1.name = al\n",
                to: "etc/config.conf")
            #expect(rig.load("config") == nil)
            let values = rig.values("config")
            #expect(values["config.flag"] == 0 && values["config.number"] == 42)
            #expect(rig.ctl("config").contains("config.user.2.name -> zoe\nconfig.user.1.name -> al\n"))
        }

        @Test(arguments: [
            ("config.nmuber = 3", "etc/config.conf:1: config.nmuber: unknown key; did you mean config.number?"),
            (
                "\nconfig.number = 300",
                "etc/config.conf:2: config.number: \"300\" is not valid, expected a whole number from 0 to 100."
            ),
            (
                "config.flag = on\nconfig.flag = off",
                "etc/config.conf:2: config.flag: already set on line 1, expected once."
            ),
        ]) func aMistakeStopsTheLoad(_ text: String, _ sentence: String) {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            rig.write(text + "\n", to: "etc/config.conf")
            let error = rig.load("config")
            #expect(error?.kind == .badConfig)
            #expect(error?.sentence == "config was not loaded: \(rig.root)/\(sentence)")
            #expect(rig.running == [])
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func aLiveChangeIsAppliedOrRefusedAsAWhole() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            _ = rig.load("config")
            rig.write("config.number = 8\nconfig.kind = ram\n", to: "etc/config.conf")
            let report = rig.main { try? rig.host.reconfigure("config") }
            #expect(report?.waiting == ["config.kind"] && report?.changed == ["config.number"])
            #expect(
                report?.line == "config: config.number changed; config.file read again; "
                    + "config.kind waits for the next load")
            #expect(rig.values("config")["config.number"] == 8)
            #expect(rig.ctl("config").contains("config.number=8;config.file=\(rig.root)/etc/a.conf;\n"))

            rig.write("config.size = 1KB\nconfig.number = 13\n", to: "etc/config.conf")
            let error = rig.main { () -> PluginError? in
                do throws(PluginError) { _ = try rig.host.reconfigure("config"); return nil } catch { return error }
            }
            #expect(error?.sentence.hasSuffix("config.number: 13 brings bad luck.") == true)
            #expect(rig.values("config")["config.size"] == 65536)
            #expect(rig.ctl("config").contains("config.size=1KB;config.size=64KB;"), "what was accepted is taken back")
        }

        /// A plugin may keep the text of a key that cannot change; one that can lives until it has changed.
        @Test func aKeyThatCannotChangeKeepsItsValueAndItsText() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            _ = rig.load("config")
            _ = rig.values("config kept")
            rig.write("config.kind = ram\nconfig.number = 8\n", to: "etc/config.conf")
            #expect(rig.main { try? rig.host.reconfigure("config") }?.waiting == ["config.kind"])
            #expect(rig.values("config")["config.kind"] == 1, "still disc")
            #expect(rig.values("config kept") == ["kind": 1, "list": 1])
            rig.write("config.list = c\n", to: "etc/config.conf")
            #expect(rig.main { try? rig.host.reconfigure("config") }?.changed.contains("config.list") == true)
            #expect(rig.ctl("config").contains("\nc\n"))
            #expect(rig.reload("config") == nil)
            rig.write("config.kind = ram\n", to: "etc/config.conf")
            #expect(rig.reload("config") == nil)
            #expect(rig.values("config")["config.kind"] == 0, "the next load takes it")
        }

        @Test func aFileThatIsNoConfFileDoesNotFloodTheLog() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            rig.write(String(repeating: "nonsense\n", count: 5000), to: "etc/config.conf")
            #expect(rig.load("config")?.sentence.hasSuffix("(and 4999 more, see the log).") == true)
            #expect(rig.errorLines.count == 21 && rig.errorLines.last == "config: 4980 more mistakes are not shown")
        }

        @Test func anOldSentenceIsNotTheReasonOfARefusal() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            _ = rig.load("config")
            _ = rig.ctl("config err")
            rig.write("config.number = 12\n", to: "etc/config.conf")
            let error = rig.main { () -> PluginError? in
                do throws(PluginError) { _ = try rig.host.reconfigure("config"); return nil } catch { return error }
            }
            #expect(error?.sentence.hasSuffix("config.number: config refuses the new value.") == true)
        }

        @Test func showTellsWhatIsInForceAndWhereItCameFrom() throws {
            let rig = Rig { $0.environment = ["MARTLET__CONFIG__NUMBER": "42"] }
            defer { rig.close() }
            rig.add("config")
            rig.write("config.secret = xyzzy\nconfig.user.a.name = al\n", to: "etc/config.conf")
            #expect(rig.load("config") == nil)
            rig.write("config.secret = xyzzy\nconfig.kind = ram\n", to: "etc/config.conf")
            let before = try rig.shown("config")
            let file = "\(rig.root)/etc/config.conf"
            #expect(before["config.number"] == "42 (environment MARTLET__CONFIG__NUMBER)")
            #expect(before["config.secret"] == "****** (\(file):1)")
            #expect(before["config.user.a.name"] == "al (\(file):2)")
            #expect(before["config.size"] == "64KB (default)" && before["config.kind"] == "disc (default)")
            _ = rig.main { try? rig.host.reconfigure("config") }
            let after = try rig.shown("config")
            #expect(after["config.kind"] == "disc (default), at the next load ram (\(file):2)")
            #expect(after["config.user.a.name"] == nil)
        }

        @Test func everyPluginIsReconfiguredEvenIfOneRefuses() {
            let rig = Rig()
            defer { rig.close() }
            for name in ["config", "minimal"] {
                rig.add(name)
                _ = rig.load(name)
            }
            rig.write("config.number = 13\n", to: "etc/config.conf")
            rig.write("minimal.nmuber = 6\n", to: "etc/minimal.conf")
            rig.main { rig.host.reconfigureAll() }
            #expect(rig.values("config")["config.number"] == 7)
            rig.write("config.number = 14\n", to: "etc/config.conf")
            rig.main { rig.host.reconfigureAll() }
            #expect(rig.values("config")["config.number"] == 14, "the other one's mistake is not its own")
        }

        @Test func theConfFileIsMadeFromTheDeclarations() throws {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config")
            rig.write("this is no key\n", to: "etc/config.conf")
            let text = try rig.main { Result { () throws(PluginError) in try rig.host.defaultConf("config") } }.get()
            #expect(text.hasPrefix("## config: A plugin for a test.\n##\n"))
            #expect(text.contains("\n## A number.\n## Value: 0..100\n## config.number = 7\n"))
            #expect(
                text.contains("\n## Value: ram | disc | disc_only. Waits for the next load.\n## config.kind = disc\n"))
            #expect(text.contains("\n## A user.\n## Value: text\n## config.user.1.name = zoe\n"))
            #expect(text.contains("MARTLET__CONFIG__FLAG sets config.flag."))
            #expect(rig.running == [] && mappings(of: rig.root) == 0, "it was only a look")

            let live = text.split(separator: "\n").filter { $0.hasPrefix("## config.") && $0.contains(" = ") }
            #expect(live.count == 9)
            rig.write(live.map { $0.dropFirst(3) + "\n" }.joined(), to: "etc/config.conf")
            #expect(rig.load("config") == nil, "what it shows is what it takes")
        }

        @Test func keysOfAnOlderHeaderAreTaken() throws {
            let rig = Rig()
            defer { rig.close() }
            rig.add("config", as: nil, "OLD_KEYS")
            #expect(rig.load("config") == nil)
            #expect(rig.values("config")["config.number"] == 7)
        }
    }
}

extension Rig {
    /// The lines of `plugins show`.
    fileprivate func shown(_ name: String) throws -> [String: String] {
        let pairs = try main { Result { () throws(PluginError) in try self.host.show(name) } }.get()
        return Dictionary(pairs.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
}
