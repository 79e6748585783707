// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// A timer that is fast while there is something to do and slow while there is nothing, so that an idle broker sleeps.
final class Pace {
    /// Milliseconds between two ticks: for this long what came may wait for the disc.
    static let fast: UInt32 = 50
    /// And when there was nothing to do for as long as this.
    static let slow: UInt32 = 1000

    private let exec: Exec
    private var timer: Registration?
    private var tick: () -> Void = {}
    private var quietTicks: UInt32 = 0
    private let isSlow = Atomic<Bool>(false)

    init(_ exec: Exec) { self.exec = exec }

    /// [main]
    func start(_ tick: @escaping () -> Void) throws(PluginError) {
        self.tick = tick
        timer = try exec.timer(first: Self.fast, every: Self.fast, tick)
    }

    /// [main] The host has ended the timer. What it called holds the plugin, which holds this.
    func end() {
        tick = {}
        timer = nil
    }

    /// [any] There is something to do. Costs a load unless the timer is slow. A tick that makes it slow at this very
    /// moment may have overlooked what was put down before; then the slow timer finds it.
    @inline(__always) func stir() {
        if isSlow.load(ordering: .sequentiallyConsistent) { quicken() }
    }

    @inline(never) private func quicken() {
        guard isSlow.exchange(false, ordering: .sequentiallyConsistent) else { return }
        if exec.onMain({ [self] in arm(every: Self.fast) }) != .ok {
            isSlow.store(true, ordering: .sequentiallyConsistent)
        }
    }

    /// [main] At the end of each tick.
    func note(isQuiet: Bool) {
        guard isQuiet else {
            quietTicks = 0
            return stir()
        }
        quietTicks += 1
        guard quietTicks * Self.fast >= Self.slow, !isSlow.load(ordering: .relaxed) else { return }
        arm(every: Self.slow)
        isSlow.store(true, ordering: .sequentiallyConsistent)
    }

    private func arm(every: UInt32) {
        quietTicks = 0
        guard let old = timer else { return }
        // While the plugin stops the host takes no timer: then the one there is goes on.
        guard let new = try? exec.timer(first: every, every: every, tick) else { return }
        timer = new
        exec.cancel(old)
    }
}
