// SPDX-License-Identifier: Apache-2.0
import Reactor

/// The loop all pools run on. No plugin code ever does.
final class HTTPThread: EventLoop, @unchecked Sendable {
    /// None of the data loops', the control thread's (-1) or that of a thread without a loop (-2).
    static let index: Int32 = -3
    private var due: [HTTPPool] = []

    /// Nil: clients have all descriptors.
    init?(_ descriptors: Descriptors? = Descriptors()) {
        guard let descriptors else { return nil }
        super.init(index: Self.index, descriptors)
    }

    func runSoon(_ pool: HTTPPool) {
        guard !pool.isDue else { return }
        pool.isDue = true
        due.append(pool)
    }

    override var hasInbox: Bool { !due.isEmpty }

    /// What becomes due meanwhile has to wait for the next tick, so that sockets get their turn.
    override func endOfTick() {
        for _ in 0..<4 where !due.isEmpty {
            let batch = due
            due = []
            for pool in batch {
                pool.isDue = false
                pool.timeout()
            }
        }
    }
}
