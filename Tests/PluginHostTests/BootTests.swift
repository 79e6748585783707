// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import PluginHost

extension PluginHostTests {
    @Suite(.serialized) struct Boot {
        @Test func theFileIsKeptWithItsComments() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            rig.add("ctl")
            rig.write("%% plugins\n# mine\nctl.\n", to: "data/loaded_plugins")
            #expect(rig.main { rig.host.boot() }.loaded == ["ctl"])
            _ = rig.load("base")
            #expect(rig.read("data/loaded_plugins") == "%% plugins\n# mine\nctl.\nbase.\n")
            _ = rig.unload("ctl")
            #expect(rig.read("data/loaded_plugins") == "%% plugins\n# mine\nbase.\n")
            #expect(rig.main { rig.host.boot() }.loaded == [], "what runs is not started again")
        }

        @Test func emqNamesAndStrangeLines() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            rig.write("emq_base.\n\nnonsense here\n", to: "data/loaded_plugins")
            let report = rig.main { rig.host.boot() }
            #expect(report.loaded == ["base"])
            #expect(
                report.failures.map(\.sentence) == [
                    "\(rig.loadedFile):3: \"nonsense here\" is no plugin name followed by a dot."
                ])
            _ = rig.unload("base")
            #expect(rig.read("data/loaded_plugins") == "\nnonsense here\n")
        }

        @Test func whatIsRequiredStays() {
            let rig = Rig { $0.required = ["base", "absent"] }
            defer { rig.close() }
            rig.add("base")
            #expect(rig.main { rig.host.firstMissing() } == "base")
            _ = rig.load("base")
            #expect(rig.main { rig.host.firstMissing() } == "absent")
            #expect(
                rig.unload("base")?.sentence
                    == "base is in plugins.required of martlet.conf: the broker shall not run without it.")
            #expect(rig.reload("base") == nil)
            #expect(rig.running == ["base"])
        }

        @Test func aListThatCannotBeReadKeepsNobodyFromLoading() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            mkdir(rig.loadedFile, 0o755)
            #expect(rig.main { rig.host.boot() }.failures.count == 1)
            #expect(rig.load("base") == nil)
            #expect(rig.running == ["base"])
            #expect(rig.errorLines.last?.contains("cannot be read: Is a directory") == true)
        }

        @Test func pluginsStartAfterThoseTheyName() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base", as: "first")
            rig.add("base", as: "second", "AFTER=\"emq_first\"")
            rig.add("base", as: "third", "AFTER=\"second\",\"absent\"")
            rig.write("third.\nsecond.\nfirst.\n", to: "data/loaded_plugins")
            #expect(rig.main { rig.host.boot() }.loaded == ["first", "second", "third"])
        }

        @Test func aFailureIsToldAndDoesNotStopTheBoot() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base", as: "good")
            rig.add("base", as: "second", "AFTER=\"hostile\"")
            rig.add("hostile", as: "hostile", "HALFWAY")
            let text = "gone.\nhostile.\nsecond.\ngood.\n"
            rig.write(text, to: "data/loaded_plugins")
            let report = rig.main { rig.host.boot() }
            #expect(report.loaded == ["good"])
            #expect(report.failures.map(\.plugin) == ["gone", "hostile", "second"])
            #expect(
                report.failures[2].sentence.hasPrefix("second starts after hostile, which is enabled but does not run"))
            #expect(rig.read("data/loaded_plugins") == text, "a boot does not forget what failed")
            #expect(rig.errorLines.count >= 3)
        }

        @Test func circlesAreEntered() {
            let after = ["a": ["b"], "b": ["c"], "c": ["a"], "d": ["d"]]
            #expect(PluginHost.order(["a", "b", "c", "d"]) { after[$0] ?? [] } == ["c", "b", "a", "d"])
            #expect(PluginHost.order(["x", "y"]) { _ in [] } == ["x", "y"])
        }

        @Test func aFolderThatCannotBeWrittenIsANote() {
            let rig = Rig { $0.loadedFile = "/proc/loaded_plugins" }
            defer { rig.close() }
            rig.add("base")
            let report = rig.main { try? rig.host.load("base") }
            #expect(
                report?.notes.first?.hasPrefix("after a restart this will be forgotten: the list of loaded plugins")
                    == true)
            #expect(rig.running == ["base"])
        }
    }
}
