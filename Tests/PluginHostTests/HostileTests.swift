// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import PluginHost

extension PluginHostTests {
    /// What a plugin does wrong becomes an error code and a line that names it.
    @Suite(.serialized) struct Hostile {
        @Test func callsOnTheWrongThreadAreRefused() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "WRONG_THREAD")
            #expect(rig.load("hostile") == nil)
            #expect(rig.eventually { rig.values("hostile")["done"] == 2 })
            let results = rig.ctl("hostile").split(separator: "\n").dropFirst().map {
                Int($0.split(separator: "=")[1])!
            }
            let refused = Int(statusThread)
            // hooks.add, config.get_int and exec.timer belong to the control thread; kv is refused on a loop only.
            #expect(results == [refused, refused, refused, refused, refused, refused, refused, 0])
            let line = rig.errorLines.first { $0.contains("but it belongs to") }
            #expect(line?.hasPrefix("hostile: called ") == true)
            #expect(line?.contains("on loop 0") == true || line?.contains("on a thread of its own") == true)
        }

        @Test func aTaskThatBlocksALoopIsNamed() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "BLOCKS")
            _ = rig.load("hostile")
            _ = rig.ctl("hostile block")
            #expect(rig.eventually { rig.errorLines.contains { $0.hasPrefix("hostile: blocked loop 0 for ") } })
            let facts = rig.main { (try? rig.host.show("hostile")) ?? [] }
            #expect(facts.first { $0.key == "slow_callbacks" }?.value == "1")
        }

        @Test func keptBytesArePoisoned() {
            #if DEBUG
                var seen: UnsafePointer<UInt8>?
                var bytes: [UInt8] = [1, 2, 3]
                lend(&bytes) { seen = $0.ptr }
                #expect(seen != nil && bytes == [poison, poison, poison])
            #endif
        }

        @Test func aTokenOfAnotherPluginIsNone() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("exec")
            rig.add("hooks")
            _ = rig.load("exec")
            _ = rig.load("hooks")
            let token = rig.main { rig.host.running[0].pollers.keys.min()! }
            let status = rig.main { removeFromChain(UnsafePointer(rig.host.running[1].abi), "hooks.remove", token) }
            #expect(status == statusStale)
            #expect(rig.main { rig.host.running[0].pollers[token] != nil })
        }

        @Test func errorSentencesAreOneLine() {
            #expect(oneLine(Array("a\nb\u{1B}[31mc".utf8)) == "a b [31mc")
            #expect(oneLine(Array(repeating: 0x61, count: 20), limit: 5) == "aaaaa...")
        }
    }
}
