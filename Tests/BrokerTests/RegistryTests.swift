// SPDX-License-Identifier: Apache-2.0
import Glibc
import Reactor
import Schedules
import Testing

@testable import Broker

/// The registry against a dictionary.
final class RegistryMachine: Machine {
    enum Command {
        case claim(Int, UInt64)
        case claimRun(Int, Int)
        case release(Int, UInt64)
        /// By whoever holds it.
        case releaseHolder(Int)
        case find(Int)
        case giveMemoryBack
    }

    private let registry = Registry(seed: 5)
    private var holders: [Int: UInt64] = [:]
    private let crowded: Bool

    init(_ dice: inout Dice) { crowded = dice.oneIn(2) }

    var setting: String { crowded ? "all keys in one stripe, eight places" : "keys as they come" }

    static func command(_ dice: inout Dice) -> Command {
        let id = dice.below(dice.oneIn(2) ? 20 : 400)
        switch dice.below(20) {
        case 0..<6: return .claim(id, UInt64(2 + dice.below(50)))
        case 6..<8: return .claimRun(id, dice.below(60))
        case 8..<10: return .release(id, UInt64(2 + dice.below(50)))
        case 10..<16: return .releaseHolder(id)
        case 19 where dice.oneIn(4): return .giveMemoryBack
        default: return .find(id)
        }
    }

    private func key(_ id: Int) -> Registry.Key {
        crowded
            ? Registry.Key(low: UInt64(id % 8), high: UInt64(id) << 6) : withBytes("client-\(id)") { registry.key($0) }
    }

    func run(_ command: Command) -> String? {
        let wrong: String? =
            switch command {
            case .claim(let id, let handle): claim(id, handle)
            case .claimRun(let id, let n): (0..<n).lazy.compactMap { self.claim(id + $0, 77) }.first
            case .release(let id, let handle): release(id, handle)
            case .releaseHolder(let id): release(id, holders[id] ?? 99)
            case .find(let id): find(id)
            case .giveMemoryBack: giveMemoryBack()
            }
        return wrong
            ?? (registry.sessions == holders.count ? nil : "\(registry.sessions) sessions, not \(holders.count)")
    }

    private func giveMemoryBack() -> String? {
        registry.giveMemoryBack()
        return nil
    }

    func finish() -> String? { (0..<480).lazy.compactMap { self.find($0) }.first }

    private func claim(_ id: Int, _ handle: UInt64) -> String? {
        let expected = holders[id] ?? handle
        holders[id] = expected
        let holder = registry.claim(key(id), handle)
        return holder == expected ? find(id) : "\(id) belongs to \(holder) and should to \(expected)"
    }

    private func release(_ id: Int, _ handle: UInt64) -> String? {
        registry.release(key(id), handle)
        if holders[id] == handle { holders[id] = nil }
        return find(id)
    }

    private func find(_ id: Int) -> String? {
        let holder = registry.find(key(id))
        return holder == holders[id] ?? 0 ? nil : "\(id) is found with \(holder) and should be with \(holders[id] ?? 0)"
    }
}

@Suite("Registry of client ids")
struct RegistryTests {
    @Test("Random schedules against a dictionary [MQTT-3.1.4-2]")
    func schedules() {
        let failure = firstFailure(RegistryMachine.self, seeds: 0..<60, commands: 150)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("Of many threads that claim an id exactly one gets it [MQTT-3.1.4-2]")
    func threads() {
        let registry = Registry(seed: 9)
        let ids = 300
        let threads = 4
        nonisolated(unsafe) let wins = UnsafeMutablePointer<Int>.allocate(capacity: ids * threads)
        wins.initialize(repeating: 0, count: ids * threads)
        defer { wins.deallocate() }
        let running = (0..<threads).map { thread in
            startThread("claims") {
                for round in 0..<20 {
                    for id in 0..<ids {
                        let key = withBytes("client-\(id)") { registry.key($0) }
                        let mine = UInt64(2 + thread)
                        guard registry.claim(key, mine) == mine else { continue }
                        if registry.find(key) != mine { wins[id * threads + thread] += 1_000_000 }
                        // In the last round whoever has it keeps it.
                        if round < 19 { registry.release(key, mine) } else { wins[id * threads + thread] += 1 }
                    }
                }
            }
        }
        for thread in running { pthread_join(thread, nil) }
        for id in 0..<ids {
            let winners = (0..<threads).map { wins[id * threads + $0] }
            #expect(winners.reduce(0, +) == 1, "client-\(id): \(winners)")
        }
        #expect(registry.sessions == ids)
    }

    @Test("Handles keep shard, generation and slot apart, and are never 0")
    func handles() {
        for (shard, generation, slot) in [(0, 1, 0), (62, 0xFF_FFFF, .max), (3, 0x1FF_FFFF, 77)]
            as [(Int32, UInt32, UInt32)]
        {
            let handle = Handle.make(shard: shard, generation: generation, slot: slot)
            #expect(handle != 0)
            #expect(Handle.shard(handle) == Int(shard))
            #expect(Handle.generation(handle) == generation & 0xFF_FFFF)
            #expect(Handle.slot(handle) == slot)
        }
    }
}
