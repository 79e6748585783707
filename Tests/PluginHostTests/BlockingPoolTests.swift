// SPDX-License-Identifier: Apache-2.0
import Reactor
import Synchronization
import Testing

@testable import PluginHost

extension PluginHostTests {
    /// A system that gives no thread, or only one.
    @Suite(.serialized) struct BlockingPools {
        private final class System: Sendable {
            let left: Atomic<Int>
            init(_ threads: Int) { left = Atomic(threads) }

            func start(_ body: @escaping @Sendable () -> Void) -> Bool {
                guard left.subtract(1, ordering: .relaxed).newValue >= 0 else { return false }
                return startDetachedThread("blocking", body)
            }
        }

        private func submit(_ pool: BlockingPool, _ rig: Rig, _ done: Semaphore) -> Bool {
            let instance = rig.main { rig.host.running[0] }
            let task = PluginTask(
                function: { Unmanaged<Semaphore>.fromOpaque($0!).takeUnretainedValue().signal() },
                user: Unmanaged.passUnretained(done).toOpaque())
            return pool.submit(task, for: instance, limit: 100)
        }

        @Test func withoutAThreadNothingIsTaken() {
            let rig = Rig()
            defer { rig.close() }
            rig.add("minimal")
            #expect(rig.load("minimal") == nil)
            let system = System(0)
            let pool = BlockingPool(threads: 4, start: system.start) {}
            let done = Semaphore()
            #expect(!submit(pool, rig, done))
            #expect(rig.main { rig.host.running[0].blockingTasks.isIdle }, "it can be unloaded")
            system.left.store(1, ordering: .relaxed)
            for _ in 0..<20 { #expect(submit(pool, rig, done)) }
            for _ in 0..<20 { done.wait() }
            #expect(rig.eventually { rig.host.running[0].blockingTasks.isIdle })
            pool.close()
        }
    }
}
