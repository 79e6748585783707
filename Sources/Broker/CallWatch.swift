// SPDX-License-Identifier: Apache-2.0
import Reactor

/// Whether a plugin call has blocked one loop: it is still the same one at a third look, and the thread was not kept from
/// its core since the second; if it was, the next look decides. Pure: what is seen is a parameter; looks come every `step`.
public struct CallWatch: Sendable {
    /// Milliseconds from look to look.
    public static let step: UInt64 = 10

    private enum State {
        /// Seen once.
        case new
        /// Seen again. What the thread had had by then; nil: nobody knows.
        case seen(ThreadTime?)
        case told
    }

    /// As `Broker.runningCall`; 0: none.
    public private(set) var call: UInt64 = 0
    private var state = State.new

    public init() {}

    /// True once for each call.
    /// - Parameters:
    ///   - time: what the loop's thread has had; nil: that cannot be found out now.
    ///   - isReady: whether it runs or waits for a core.
    public mutating func look(_ call: UInt64, time: () -> ThreadTime?, isReady: () -> Bool) -> Bool {
        guard call != 0, call == self.call else {
            (self.call, state) = (call, .new)
            return false
        }
        switch state {
        case .told: return false
        case .new:
            state = .seen(time())
            return false
        case .seen(let before):
            if let before, let now = time(), now.wasKept(since: before), isReady() {
                state = .seen(now)
                return false
            }
            state = .told
            return true
        }
    }
}
