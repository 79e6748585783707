// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Synchronization

/// A function of a plugin that waits to be called once.
struct PluginTask: @unchecked Sendable {
    let function: martlet_task
    let user: UnsafeMutableRawPointer?
}

/// Tasks of one plugin in the order they came, bounded by whoever puts them in.
final class TaskQueue: Sendable {
    private struct State {
        var waiting: [PluginTask] = []
        var head = 0
        var running = 0
    }

    private let state = Mutex(State())

    /// False when `limit` tasks wait already.
    func put(_ task: PluginTask, limit: Int) -> Bool {
        state.withLock { state in
            guard state.waiting.count - state.head < limit else { return false }
            state.waiting.append(task)
            return true
        }
    }

    /// The next task; `done` must follow when it has returned.
    func take() -> PluginTask? {
        state.withLock { state in
            guard state.head < state.waiting.count else { return nil }
            let task = state.waiting[state.head]
            state.head += 1
            state.running += 1
            if state.head == state.waiting.count {
                state.waiting.removeAll(keepingCapacity: state.head <= 64)
                state.head = 0
            } else if state.head >= 1024 {
                state.waiting.removeFirst(state.head)
                state.head = 0
            }
            return task
        }
    }

    func done() { state.withLock { $0.running -= 1 } }

    /// Nothing waits and nothing runs.
    var isIdle: Bool { state.withLock { $0.running == 0 && $0.head == $0.waiting.count } }
    var count: Int { state.withLock { $0.waiting.count - $0.head } }
}
