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
            let waiting = rig.main { (try? rig.host.reconfigure("config")) ?? ["it failed"] }
            #expect(waiting == ["config.kind"])
            #expect(rig.values("config")["config.number"] == 8)
            #expect(rig.ctl("config").contains("config.number=8;\n"))

            rig.write("config.size = 1KB\nconfig.number = 13\n", to: "etc/config.conf")
            let error = rig.main { () -> PluginError? in
                do throws(PluginError) { _ = try rig.host.reconfigure("config"); return nil } catch { return error }
            }
            #expect(error?.sentence.hasSuffix("config.number: 13 brings bad luck.") == true)
            #expect(rig.values("config")["config.size"] == 65536)
            #expect(rig.ctl("config").contains("config.size=1KB;config.size=64KB;"), "what was accepted is taken back")
        }
    }
}
