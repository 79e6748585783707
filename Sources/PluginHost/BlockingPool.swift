// SPDX-License-Identifier: Apache-2.0
import Reactor
import Synchronization

/// Threads that may block, for exec.blocking. Plugins take turns, one task each, so that one with a full queue does not
/// starve another. Threads start when there is more work than threads that wait for it. Where the system gives no more
/// of them, those that are there do the work; without any nothing is taken.
final class BlockingPool: Sendable {
    private struct State {
        /// Plugins with waiting tasks, each once.
        var turns: [PluginInstance] = []
        var waiting = 0
        var threads = 0
        var sleeping = 0
        var isClosed = false
    }

    private let state = Mutex(State())
    private let wake = Semaphore()
    private let limit: Int
    /// Called after each task, on the pool's thread.
    private let finished: @Sendable () -> Void
    typealias Start = @Sendable (_ body: @escaping @Sendable () -> Void) -> Bool
    private let start: Start

    /// - Parameter start: runs the body on a thread of its own; false: there is none to be had.
    init(
        threads: Int, start: @escaping Start = { startDetachedThread("blocking", $0) },
        finished: @escaping @Sendable () -> Void
    ) {
        limit = max(1, threads)
        self.start = start
        self.finished = finished
    }

    /// False when the plugin's share of the queue is full, or there is no thread.
    func submit(_ task: PluginTask, for instance: PluginInstance, limit queue: Int) -> Bool {
        // The first thread before the task: one that nobody runs could not be taken back.
        let hasNewThread = state.withLock { state in state.threads == 0 ? addThread(&state) : false }
        guard state.withLock({ $0.threads > 0 }), instance.blockingTasks.put(task, limit: queue) else { return false }
        state.withLock { state in
            if !state.turns.contains(where: { $0 === instance }) { state.turns.append(instance) }
            state.waiting += 1
            let needsThread = state.waiting > state.sleeping && state.threads < limit
            if needsThread && !hasNewThread { _ = addThread(&state) }
        }
        wake.signal()
        return true
    }

    private func addThread(_ state: inout State) -> Bool {
        guard start({ self.work() }) else { return false }
        state.threads += 1
        return true
    }

    /// Ends the threads; no task is left by then, because every plugin has been drained.
    func close() {
        let threads = state.withLock { state in
            state.isClosed = true
            return state.threads
        }
        for _ in 0..<threads { wake.signal() }
    }

    private func work() {
        while true {
            state.withLock { $0.sleeping += 1 }
            wake.wait()
            guard let (instance, task) = next() else {
                if state.withLock({ $0.isClosed }) { return }
                continue
            }
            task.function(task.user)
            instance.blockingTasks.done()
            finished()
        }
    }

    /// The next task of the plugin whose turn it is; the plugin goes to the end of the line if it has more.
    private func next() -> (PluginInstance, PluginTask)? {
        state.withLock { state in
            state.sleeping -= 1
            while !state.turns.isEmpty {
                let instance = state.turns.removeFirst()
                guard let task = instance.blockingTasks.take() else { continue }
                state.waiting -= 1
                if instance.blockingTasks.count > 0 { state.turns.append(instance) }
                return (instance, task)
            }
            return nil
        }
    }
}
