// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import PluginHost

/// One process has one current broker, so everything that loads plugins runs one test after the other.
@Suite(.serialized) struct PluginHostTests {}

extension PluginHostTests {
    @Suite(.serialized) struct LifeCycle {
        @Test func aPluginStartsStopsAndIsUnmapped() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            #expect(rig.load("base") == nil)
            #expect(rig.running == ["base"])
            #expect(mappings(of: rig.root) > 0)
            #expect(rig.unloadReport("base") == UnloadReport(name: "base"))
            #expect(rig.running == [])
            #expect(mappings(of: rig.root) == 0)
            let own = rig.logLines.filter { $0.hasPrefix("base: ") }
            #expect(own == ["base: start 1.0.0", "base: stop 1.0.0", "base: destroy 1.0.0"])
        }

        @Test func emqPrefixesAreDropped() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base", as: "retainer")
            for name in ["emqx_retainer", "emq_retainer", "emqttd_retainer"] {
                #expect(rig.load(name) == nil)
                #expect(rig.running == ["retainer"])
                #expect(rig.unload(name) == nil)
            }
        }

        @Test func aLoadedPluginIsAlreadyStarted() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            _ = rig.load("base")
            let error = rig.load("base")
            #expect(error?.kind == .alreadyStarted)
            #expect(error?.sentence.contains("already_started") == true)
            #expect(rig.running == ["base"])
        }

        @Test func theFileOnDiskMayBeReplacedWhileItRuns() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("ctl", as: "ctl")
            _ = rig.load("ctl")
            writeFile(rig.plugins + "/ctl.so", Array(repeating: 0, count: 64))
            #expect(rig.ctl("ctl echo a b") == "a|b|")
        }

        @Test func aStartThatFailsHalfWayLeavesNothing() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "HALFWAY")
            let error = rig.load("hostile")
            #expect(error?.sentence == "hostile was not loaded: the second half of the start failed.")
            #expect(rig.running == [])
            #expect(rig.main { rig.host.commands.find("hostile") == nil })
            #expect(rig.main { rig.host.metrics().isEmpty && rig.host.alarms.list().isEmpty })
            #expect(rig.main { rig.host.services.find("hostile/1") == nil })
            #expect(rig.main { rig.host.chainLines().isEmpty })
            #expect(mappings(of: rig.root) == 0)
            #expect(rig.read("data/loaded_plugins") == "")
        }

        @Test func whatAPluginForgetsIsTakenFromIt() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "FORGETS")
            #expect(rig.load("hostile") == nil)
            #expect(rig.main { rig.host.chainLines().count } == 4)
            #expect(rig.eventually { rig.values("hostile")["done", default: 0] >= 60 })
            #expect(rig.unloadReport("hostile")?.resident == nil)
            #expect(rig.main { rig.host.commands.find("hostile") == nil })
            #expect(rig.main { rig.host.metrics().isEmpty && rig.host.alarms.list().isEmpty })
            #expect(rig.main { rig.host.chainLines().isEmpty })
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func aPluginThatRestsLateIsWaitedFor() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "RESTS_LATE")
            _ = rig.load("hostile")
            #expect(rig.unloadReport("hostile") == UnloadReport(name: "hostile"))
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func aPluginThatNeverRestsIsLeftInMemory() {
            let rig = Rig { $0.restLimitMS = 60 }
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "NEVER_RESTS")
            _ = rig.load("hostile")
            let report = rig.unloadReport("hostile")
            #expect(report?.resident?.contains("did not come to rest within 60 ms") == true)
            #expect(mappings(of: rig.root) > 0)
            #expect(rig.main { rig.host.list() }.first?.line.hasSuffix("active=false) resident until restart") == true)
            #expect(rig.load("hostile") == nil, "a fresh copy of it can be loaded again")
        }

        @Test func aResidentPluginThatOutlivesItsEndMeetsStaleHandles() {
            let rig = Rig()
            defer { rig.close() }
            let (to, from) = (rig.root + "/to", rig.root + "/from")
            #expect(run(["mkfifo", to, from]).status == 0)
            rig.add("hostile", as: "hostile", "OUTLIVES", "IN_PIPE=\"\(to)\"", "OUT_PIPE=\"\(from)\"")
            _ = rig.load("hostile")
            #expect(rig.unloadReport("hostile")?.resident == "resident until restart: it asks for it")
            writeFile(to, [1])
            let results = readFile(from).map { Int(Int8(bitPattern: $0)) }
            #expect(results == Array(repeating: Int(statusStale), count: 5))
        }

        /// Unmapping an image that uses the Swift runtime breaks the process's next cast, so the host pins it.
        @Test(.enabled(if: swiftRuntime != nil)) func anImageWithTheSwiftRuntimeStaysResident() throws {
            let rig = Rig()
            defer { rig.close() }
            let built = run([
                "gcc", "-shared", "-fPIC", "-DID=\"base\"", "-I", includeFolder, abiFolder + "/base.c",
                "-Wl,--no-as-needed", try #require(swiftRuntime), "-o", rig.plugins + "/base.so",
            ])
            #expect(built.status == 0, "\(built.output)")
            chmod(rig.plugins + "/base.so", 0o755)
            #expect(
                rig.main { rig.host.list() }.map(\.line)
                    == ["Plugin(base, version=?, description=linked to libswiftCore, not looked into, active=false)"])
            #expect(mappings(of: rig.root) == 0, "looking into it would have pinned it")
            let report = rig.main { try? rig.host.load("base") }
            #expect(report?.notes == ["base is resident until restart: it is linked to libswiftCore."])
            #expect(
                rig.main { rig.host.list() }.map(\.line)
                    == [
                        "Plugin(base, version=1.0.0, description=A plugin for a test, active=true) "
                            + "resident until restart"
                    ])
            #expect(rig.unloadReport("base")?.resident == "resident until restart: it is linked to libswiftCore")
            #expect(mappings(of: rig.root) > 0)
            #expect(rig.load("base") == nil, "a second copy of it")
            #expect(rig.unload("base") == nil)
        }

        @Test func listShowsEveryFile() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("base")
            rig.add("ctl")
            rig.add("broken", as: "broken", "MAJOR=7")
            _ = rig.load("ctl")
            let lines = rig.main { rig.host.list() }.map(\.line)
            #expect(lines[0] == "Plugin(base, version=1.0.0, description=A plugin for a test, active=false)")
            #expect(lines[1].hasPrefix("Plugin(broken, version=?, description=") && lines[1].contains("ABI 7"))
            #expect(lines[2] == "Plugin(ctl, version=1.0.0, description=A plugin for a test, active=true)")
            #expect(mappings(of: rig.root) > 0)
            _ = rig.unload("ctl")
            #expect(mappings(of: rig.root) == 0, "looking into files leaves nothing mapped")
        }

        @Test func showTellsWhatAPluginDoes() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hooks")
            _ = rig.load("hooks")
            for _ in 0..<3 { rig.broker.fire(9, topic: "a/b/c") }
            let facts = rig.main { (try? rig.host.show("hooks")) ?? [] }
            #expect(facts.first { $0.key == "commands" }?.value == "hooks")
            let publish = facts.filter { $0.key == "message.publish" }.map(\.value)
            #expect(publish.count == 2 && publish[0].hasPrefix("priority=10, calls=3, errors=0"))
            #expect(publish[1].hasPrefix("priority=20, filter=a/+/c, calls=3"))
        }

        /// Built by pluginkit/build-plugin, as a stranger would.
        @Test func aPluginInCPlusPlusComesAndGoes() {
            let rig = Rig()
            defer { rig.close() }
            let tools = abiFolder + "/../../tools"
            #expect(run([tools + "/install-pluginkit", rig.root]).status == 0)
            let built = run([
                rig.root + "/pluginkit/build-plugin", "cplusplus", rig.plugins + "/cplusplus.so",
                abiFolder + "/cplusplus.cc",
            ])
            #expect(built.status == 0 && built.output == "", "\(built.output)")
            for _ in 0..<3 {
                #expect(rig.load("cplusplus") == nil)
                rig.broker.fire(9, topic: "a/b")
                #expect(rig.ctl("cplusplus") == "a/b 1\n")
                #expect(rig.reload("cplusplus") == nil)
                #expect(rig.ctl("cplusplus") == "")
                #expect(rig.unloadReport("cplusplus") == UnloadReport(name: "cplusplus"))
            }
            #expect(mappings(of: rig.root) == 0)
            let empty = run([rig.root + "/pluginkit/build-plugin"])
            #expect(empty.status == 1 && empty.output == "usage: build-plugin NAME OUT.so FILES...\n")
            let mixed = run([rig.root + "/pluginkit/build-plugin", "x", "x.so", "a.c", "b.cc"])
            #expect(mixed.status == 1 && mixed.output.contains("a.c and b.cc are of different languages"))
            let other = run([rig.root + "/pluginkit/build-plugin", "x", "x.so", "a.rs"])
            #expect(other.status == 1 && other.output.contains("a.rs is no .swift, .c, .cc, .cpp or .cxx file"))
        }
    }
}

/// Lines of /proc/self/maps below a folder.
func mappings(of folder: String) -> Int {
    String(decoding: readFile("/proc/self/maps"), as: UTF8.self).split(separator: "\n")
        .filter { $0.contains(folder) && $0.contains(".so") }.count
}

/// The libswiftCore.so of this process; nil when it is linked statically.
private let swiftRuntime = String(decoding: readFile("/proc/self/maps"), as: UTF8.self).split(separator: "\n")
    .first { $0.hasSuffix("/libswiftCore.so") }?.split(separator: " ").last.map(String.init)
