// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import PluginHost

extension PluginHostTests {
    /// Loading and unloading leaves nothing: not a mapping, not a byte that grows.
    @Suite(.serialized) struct Churn {
        private func cycle(_ rig: Rig, _ times: Int) -> Bool {
            for _ in 0..<times where rig.load("hostile") != nil || rig.unloadReport("hostile")?.resident != nil {
                return false
            }
            // The tasks of the last cycle are still on the control loop's list.
            rig.main {}
            return true
        }

        /// Bytes that `body` leaves allocated. Other suites allocate at the same time: the least of three tries counts,
        /// since what leaks does so every time.
        private func left(_ body: () -> Void) -> Int {
            var least = Int.max
            for _ in 0..<3 where least >= 64 * 1024 {
                let before = allocated()
                body()
                least = min(least, allocated() - before)
            }
            return least
        }

        @Test func aThousandLoadsLeaveMemoryFlat() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hostile", as: "hostile", "FORGETS")
            #expect(cycle(rig, 100), "warm: allocators and tables reach their size")
            let mappedBefore = mappings(of: rig.root)
            let growth = left { #expect(cycle(rig, 1000)) }
            #expect(mappings(of: rig.root) == mappedBefore && mappedBefore == 0)
            #expect(growth < 64 * 1024, "1,000 cycles left \(growth) bytes")
        }

        @Test func aThousandReloadsOfChangingImagesLeaveMemoryFlat() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("upgrade", as: "upgrade", "VERSION=\"2.0.0\"")
            let second = readFile(rig.plugins + "/upgrade.so")
            rig.add("upgrade")
            let first = readFile(rig.plugins + "/upgrade.so")
            _ = rig.load("upgrade")
            func swap(_ times: Int) -> Bool {
                for turn in 0..<times {
                    writeFile(rig.plugins + "/upgrade.so", turn % 2 == 0 ? second : first)
                    guard rig.reload("upgrade") == nil else { return false }
                    rig.broker.fire(9)
                }
                return true
            }
            #expect(swap(200))
            var turns = 200
            let growth = left {
                #expect(swap(1000))
                turns += 1000
            }
            #expect(rig.values("upgrade")["count"] == turns, "no call was lost and no state")
            #expect(growth < 64 * 1024, "1,000 reloads left \(growth) bytes")
            _ = rig.unload("upgrade")
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func loopsCallThroughWhileImagesChange() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("hooks")
            rig.add("upgrade")
            _ = rig.load("upgrade")
            nonisolated(unsafe) var calls = 0
            nonisolated(unsafe) var isOver = false
            let done = rig.broker.loop(0)
            // A loop that is never idle: it posts itself again after each walk of the chain.
            @Sendable func spin() {
                rig.broker.walkHere(9)
                calls += 1
                if !isOver { done.post(spin) }
            }
            done.post(spin)
            for _ in 0..<100 {
                #expect(rig.load("hooks") == nil)
                #expect(rig.reload("upgrade") == nil)
                #expect(rig.unload("hooks") == nil)
            }
            rig.broker.onLoop(0) { isOver = true }
            rig.broker.onLoop(0) {}
            #expect(calls > 100)
            #expect(
                rig.values("upgrade")["count"] == calls, "every call reached one of both images and its state went over"
            )
        }
    }
}

/// Bytes in use by malloc in all arenas.
private func allocated() -> Int { meter() }

private let meter: @Sendable () -> Int = {
    let folder = scratchFolder()
    defer { removeTree(folder) }
    compile("meter", to: folder + "/meter.so", id: "meter", [])
    let symbol = dlsym(dlopen(folder + "/meter.so", RTLD_NOW)!, "allocated_bytes")!
    let function = unsafeBitCast(symbol, to: (@convention(c) () -> Int).self)
    return { function() }
}()
