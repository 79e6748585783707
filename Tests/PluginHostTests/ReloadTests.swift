// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import PluginHost

extension PluginHostTests {
    @Suite(.serialized) struct Reload {
        @Test func stateNamesAndCountersGoOver() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("upgrade")
            rig.add("base")
            _ = rig.load("upgrade")
            _ = rig.load("base")
            #expect(rig.ctl("upgrade add") == "1.0.0\ncount=1\n")
            rig.broker.fire(9)
            rig.add("upgrade", as: "upgrade", "VERSION=\"2.0.0\"")
            #expect(rig.reload("upgrade") == nil)
            #expect(rig.logLines.contains("upgrade: taking over"))
            #expect(!rig.broker.events.withLock { $0 }.contains("copy"), "no loop could have answered")
            #expect(rig.ctl("upgrade add") == "2.0.0\ncount=3\n")
            rig.broker.fire(9)
            #expect(rig.ctl("upgrade") == "2.0.0\ncount=4\n")
            #expect(rig.main { rig.host.metrics() }.map(\.value) == [2], "the counter went on where it was")
            #expect(rig.running == ["upgrade", "base"], "it keeps its place in the load order")
            #expect(rig.main { rig.host.commands.commands.map(\.name) } == ["upgrade"])
            _ = rig.unload("upgrade")
            _ = rig.unload("base")
            #expect(mappings(of: rig.root) == 0)
        }

        @Test(arguments: [
            ("FAIL_START", "upgrade was not loaded: version 2.0.0 never starts."),
            ("REFUSE_IMPORT", "upgrade was not loaded: the old format is too old."),
        ]) func aNewImageThatFailsLeavesTheOldOne(_ define: String, _ sentence: String) {
            let rig = Rig()
            defer { rig.close() }
            rig.add("upgrade")
            _ = rig.load("upgrade")
            _ = rig.ctl("upgrade add")
            let before = mappings(of: rig.root)
            rig.add("upgrade", as: "upgrade", "VERSION=\"2.0.0\"", define)
            #expect(rig.reload("upgrade")?.sentence == sentence + " The old upgrade 1.0.0 keeps running.")
            rig.broker.fire(9)
            #expect(rig.ctl("upgrade add") == "1.0.0\ncount=3\n")
            #expect(rig.main { rig.host.metrics() }.map(\.value) == [2])
            #expect(mappings(of: rig.root) == before)
        }

        @Test func aFileThatIsNoPluginLeavesTheOldOne() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("upgrade")
            _ = rig.load("upgrade")
            rig.write("garbage", to: "plugins/upgrade.so")
            #expect(rig.reload("upgrade")?.kind == .badFile)
            #expect(rig.ctl("upgrade add") == "1.0.0\ncount=1\n")
        }

        @Test func withoutTheExtensionAReloadStartsFresh() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            _ = rig.load("base")
            rig.add("base", as: "base", "VERSION=\"2.0.0\"")
            #expect(rig.reload("base") == nil)
            let own = rig.logLines.filter { $0.hasPrefix("base: ") }
            #expect(own == ["base: start 1.0.0", "base: start 2.0.0", "base: stop 1.0.0", "base: destroy 1.0.0"])
            #expect(rig.main { rig.host.info("base").version } == "2.0.0")
        }

        @Test func onlyALoadedPluginCanBeReloaded() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            #expect(rig.reload("base")?.kind == .notStarted)
        }
    }
}
