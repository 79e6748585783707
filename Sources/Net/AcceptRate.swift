// SPDX-License-Identifier: Apache-2.0

/// `max_conn_rate`: at most so many connections in a second, which begins with its first connection. Time is a
/// parameter, in ms; the clocks of several loops may differ a little.
public struct AcceptRate: Sendable {
    let perSecond: Int
    private var begun: UInt64 = 0
    private var count = 0

    public init(perSecond: Int) { self.perSecond = perSecond }

    /// 0: one connection may be accepted. Otherwise milliseconds until there may be another.
    public mutating func take(now: UInt64) -> UInt64 {
        if count == 0 || now >= begun + 1000 {
            begun = now
            count = 0
        }
        guard count == perSecond else {
            count += 1
            return 0
        }
        return begun + 1000 - now
    }

    /// Milliseconds until a connection may be accepted; 0: now. Takes none.
    public func wait(now: UInt64) -> UInt64 {
        count < perSecond || now >= begun + 1000 ? 0 : begun + 1000 - now
    }

    /// There was nobody to accept after all.
    mutating func giveBack() { count = max(0, count - 1) }
}
