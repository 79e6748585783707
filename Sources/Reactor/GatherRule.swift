// SPDX-License-Identifier: Apache-2.0

/// When the loops of a group are served by one thread. Pure: time and load are parameters.
///
/// What counts is its share of a core, and how much waits for it: that share times the events that it finds at once. An
/// even beat that keeps it half busy is well served; bursts, at a fifth of its time, are better shared. On a machine whose
/// host takes the cores away now and then a beat comes in twos and threes, and to wake four threads is no help there:
/// `GatherTrial` finds out.
struct GatherRule {
    /// Sums over the loops since they began.
    struct Load {
        /// Nanoseconds of processor time.
        var busy: UInt64 = 0
        /// Times they came out of waiting, and the events they had then.
        var wakes: UInt64 = 0
        var events: UInt64 = 0
        /// Received: what there was to do, in whatever heaps it came.
        var packets: UInt64 = 0
    }

    /// Milliseconds from look to look: soon enough to see a load begin, and long enough that a thread which had to wait
    /// for a core does not look like one.
    static let step: UInt64 = 20
    /// While they are spread, or one thread has shown that it is cheaper, there is no hurry: a stall, and what it leaves to
    /// catch up with, is no load.
    static let longStep: UInt64 = 100
    /// Above one of these the loops work side by side.
    static let tooMuch = (busy: 0.7, pressure: 2.0)
    /// Above that they do so even if one thread is cheaper.
    static let full = 0.95
    /// Below both, for as long as `patience`, one thread is enough.
    static let little = (busy: 0.5, pressure: 1.2)
    /// Milliseconds. Longer, up to the most, after each time that it was too short.
    static let leastPatience: UInt64 = 500
    static let mostPatience: UInt64 = 8_000

    private(set) var isGathered = true
    private(set) var patience = leastPatience
    /// How often they were spread.
    private(set) var spreads: UInt64 = 0
    var step: UInt64 { isGathered && !trial.isForOne ? Self.step : Self.longStep }
    private var last = Load()
    private var lastAt: UInt64?
    private var quietSince: UInt64?
    /// nil: they were from the beginning.
    private var gatheredAt: UInt64?
    private var trial = GatherTrial()

    /// - Parameter now: milliseconds.
    mutating func gathers(_ load: Load, at now: UInt64) -> Bool {
        guard let before = lastAt else {
            (last, lastAt) = (load, now)
            return isGathered
        }
        guard now >= before + step else { return isGathered }
        let (busy, pressure) = figures(load, over: now - before)
        (last, lastAt) = (load, now)
        if isGathered {
            lookGathered(load, busy, pressure, at: now)
        } else {
            lookSpread(load, busy, pressure, at: now)
        }
        return isGathered
    }

    /// They work side by side from now on, for whatever reason.
    mutating func spread(at now: UInt64) {
        if isGathered { spreads += 1 }
        if isGathered, !trial.isForOne {
            let wasShort = gatheredAt.map { now < $0 + 10 * patience } ?? false
            patience = wasShort ? min(patience * 2, Self.mostPatience) : Self.leastPatience
        }
        trial.interrupt(at: now)
        isGathered = false
        quietSince = nil
    }

    private mutating func lookGathered(_ load: Load, _ busy: Double, _ pressure: Double, at now: UInt64) {
        if trial.isForOne {
            if busy > Self.full { return spread(at: now) }
            if !trial.alone(load, at: now) {
                isGathered = false
                spreads += 1
            }
        } else if busy > Self.tooMuch.busy || pressure > Self.tooMuch.pressure {
            spread(at: now)
        }
    }

    private mutating func lookSpread(_ load: Load, _ busy: Double, _ pressure: Double, at now: UInt64) {
        if busy < Self.little.busy, pressure < Self.little.pressure {
            let since = quietSince ?? now
            quietSince = since
            guard now - since >= patience else { return }
            (isGathered, gatheredAt) = (true, now)
            // The next load is another.
            trial = GatherTrial()
        } else {
            quietSince = nil
            isGathered = trial.together(load, at: now)
        }
    }

    private func figures(_ load: Load, over milliseconds: UInt64) -> (busy: Double, pressure: Double) {
        let busy = Double(load.busy &- last.busy) / (Double(milliseconds) * 1_000_000)
        let wakes = max(1, load.wakes &- last.wakes)
        return (busy, busy * max(1, Double(load.events &- last.events) / Double(wakes)))
    }
}
