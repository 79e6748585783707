// SPDX-License-Identifier: Apache-2.0
import CReactor

/// What a thread of this process has had of the processor by some moment. Between two moments it shows who is to blame
/// for a thread that does not get on: what it does, or a core that others have, on this machine or on its host.
public struct ThreadTime: Sendable {
    /// Nanoseconds of processor time.
    public var used: UInt64
    /// Nanoseconds of the monotonic clock.
    public var at: UInt64

    public init(used: UInt64, at: UInt64) {
        (self.used, self.at) = (used, at)
    }

    /// - Parameter thread: the kernel's number of it.
    /// - Returns: nil when there is none.
    public init?(of thread: Int32) {
        let used = thread == 0 ? 0 : cr_thread_cpu_ns(thread)
        guard used > 0 else { return nil }
        self.init(used: used, at: cr_clock_ns())
    }

    /// It ran for less than half of the time since `before`: if it is ready all the same, it was kept from its core.
    public func wasKept(since before: ThreadTime) -> Bool {
        at >= before.at + Self.least && used >= before.used && used - before.used < (at - before.at) / 2
    }

    /// With less time in between nobody can tell.
    private static let least: UInt64 = 5_000_000

    /// Whether a thread of this process runs or waits for a core: the third field of its `stat`. False also when that
    /// cannot be read, as while clients have all descriptors.
    public static func isReady(_ thread: Int32) -> Bool {
        withStart(of: "/proc/self/task/\(thread)/stat", most: 128) { text in
            // The second field is a name in parentheses, which may hold anything.
            guard let name = text.lastIndex(of: UInt8(ascii: ")")), name + 2 < text.endIndex else { return false }
            return text[name + 2] == UInt8(ascii: "R")
        } ?? false
    }
}
