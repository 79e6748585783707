// SPDX-License-Identifier: Apache-2.0

/// Whether it is worth its price that the loops work side by side. Pure: time and load are parameters.
///
/// What four threads cost more than one depends on the machine and on the load: where waking a core is dear, a packet may
/// cost half as much again, and its latency be no better. So the same load is served side by side for a while and then by
/// one thread, and the prices of a packet are compared. Who loses is not tried again for a time that doubles with each
/// defeat.
struct GatherTrial {
    /// Milliseconds that each side is measured, one thread not from its beginning: the sockets change sides one by one.
    static let length: UInt64 = 500
    static let settling: UInt64 = 100
    /// Together, in cores: with less there is nothing to save, with more no way for one thread.
    static let worthTrying = 0.3...1.5
    /// One thread wins if it is not busier than that, passes on this share of what they did (clients that wait for answers
    /// send less to one who is late),
    static let oneThread = (cores: 0.85, share: 0.95)
    /// and they would take so many cores more, and so many times as much; more times where it is so busy that messages
    /// which come by chance would often wait for each other.
    static let waste = (cores: 0.08, times: 1.1)
    static let wasteWhenBusy = (cores: 0.65, times: 1.25)
    /// Packets, or the prices mean little.
    static let leastPackets: UInt64 = 1_000
    /// Milliseconds that a verdict holds, for them together and for one thread.
    static let leastRest = (together: UInt64(2_000), alone: UInt64(8_000))
    static let mostRest: UInt64 = 128_000

    private enum State {
        case none
        /// They work side by side, and are measured.
        case together
        /// One thread tries. What they did before; measured from when the sockets have changed sides.
        case alone(Figures, from: UInt64)
        /// One thread has won, for so long.
        case won(until: UInt64)
    }

    private struct Figures {
        var cores = 0.0
        var packets: UInt64 = 0
        /// Packets in a millisecond.
        var rate = 0.0
        /// Nanoseconds a packet.
        var price = 0.0
    }

    private var state = State.none
    private var start = (load: GatherRule.Load(), at: UInt64(0))
    private var rest = leastRest
    private var restsUntil: UInt64 = 0
    /// One thread tries or has won: what waits for it is no reason to wake others.
    var isForOne: Bool {
        switch state {
        case .none, .together: false
        case .alone, .won: true
        }
    }

    /// They work side by side, for reasons that are not the trial's.
    mutating func interrupt(at now: UInt64) {
        switch state {
        case .none, .together: state = .none
        case .alone: defeat(at: now)
        case .won: (state, restsUntil) = (.none, now + rest.together)
        }
    }

    /// While they work side by side.
    /// - Returns: true when one thread shall try.
    mutating func together(_ load: GatherRule.Load, at now: UInt64) -> Bool {
        guard case .together = state else {
            (state, start) = (.together, (load, now))
            return false
        }
        guard now >= start.at + Self.length, now >= restsUntil else { return false }
        let figures = figures(load, at: now)
        start = (load, now)
        guard figures.packets >= Self.leastPackets, Self.worthTrying.contains(figures.cores) else { return false }
        state = .alone(figures, from: now + Self.settling)
        return true
    }

    /// While `isForOne`.
    /// - Returns: false when they shall work side by side again.
    mutating func alone(_ load: GatherRule.Load, at now: UInt64) -> Bool {
        switch state {
        case .alone(_, let from) where now <= from: start = (load, now)
        case .alone(let before, _) where now >= start.at + Self.length:
            guard isBetter(figures(load, at: now), than: before) else {
                defeat(at: now)
                return false
            }
            state = .won(until: now + rest.alone)
            rest = (Self.leastRest.together, min(rest.alone * 2, Self.mostRest))
        case .won(let until) where now >= until: state = .none
        default: break
        }
        return true
    }

    /// Of one thread.
    private mutating func defeat(at now: UInt64) {
        (state, restsUntil) = (.none, now + rest.together)
        rest = (min(rest.together * 2, Self.mostRest), Self.leastRest.alone)
    }

    private func isBetter(_ alone: Figures, than before: Figures) -> Bool {
        let times = alone.cores > Self.wasteWhenBusy.cores ? Self.wasteWhenBusy.times : Self.waste.times
        return alone.packets >= Self.leastPackets && alone.cores <= Self.oneThread.cores
            && alone.rate >= before.rate * Self.oneThread.share && before.price >= alone.price * times
            && alone.cores * (before.price / alone.price - 1) >= Self.waste.cores
    }

    private func figures(_ load: GatherRule.Load, at now: UInt64) -> Figures {
        let (busy, time) = (Double(load.busy &- start.load.busy), Double(now - start.at))
        let packets = load.packets &- start.load.packets
        let count = Double(max(1, packets))
        return Figures(cores: busy / (time * 1_000_000), packets: packets, rate: count / time, price: busy / count)
    }
}
