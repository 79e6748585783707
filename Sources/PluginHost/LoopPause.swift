// SPDX-License-Identifier: Apache-2.0
import CReactor
import Reactor
import Synchronization

/// Holds all loops between two of their tasks while a plugin hands its state to its successor, so that no event falls
/// between the export and the swap of the chains. The control thread's.
final class LoopPause {
    /// A loop goes on by itself after this, so that a plugin that waits for a loop while it is held costs time, not the
    /// broker.
    static let longestMS = 5000

    private let broker: any BrokerPort
    private let gates: [Gate]
    private(set) var startedAt: UInt64?

    private final class Gate: Sendable {
        let arrived = Semaphore()
        let leave = Semaphore()
        let gaveUp = Atomic<Bool>(false)
    }

    init(_ broker: any BrokerPort) {
        self.broker = broker
        gates = (0..<broker.loopCount).map { _ in Gate() }
    }

    var isHeld: Bool { startedAt != nil }

    /// Returns when every loop is held.
    func begin() {
        guard startedAt == nil else { return }
        for (index, gate) in gates.enumerated() {
            broker.loop(index).post {
                gate.arrived.signal()
                if !gate.leave.wait(milliseconds: Self.longestMS) { gate.gaveUp.store(true, ordering: .relaxed) }
            }
        }
        for gate in gates { gate.arrived.wait() }
        startedAt = cr_clock_ms()
    }

    /// Lets the loops go. Returns how long they were held, in ms, and whether one went on before; nil when none was.
    func end() -> (heldMS: UInt64, isBroken: Bool)? {
        guard let began = startedAt else { return nil }
        startedAt = nil
        for gate in gates { gate.leave.signal() }
        return (cr_clock_ms() - began, gates.contains { $0.gaveUp.load(ordering: .relaxed) })
    }
}
