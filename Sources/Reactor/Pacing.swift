// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// Whether a loop pauses before it looks for more input. Pure: counts and time are parameters.
///
/// Where clients write each message on its own, a socket that is read as soon as one is there costs a receive a message,
/// and the kernel an acknowledgement, on either side. When more follows by itself, a pause no longer than waking up takes
/// lets it gather. Clients that wait for an answer before they send again never have two packets there: a loop that has
/// only such ones does not pause, nor does one to which little comes.
struct Pacing {
    /// Sums since the loop began.
    struct Input {
        /// Sockets found readable.
        var events: UInt64 = 0
        var packets: UInt64 = 0
    }

    /// Milliseconds from look to look.
    static let step: UInt64 = 4
    /// Events in a millisecond: below, the pause would be long beside what comes in it.
    static let leastEvents: UInt64 = 16
    /// Packets in two events.
    static let leastPackets: UInt64 = 3
    /// Microseconds, to which the system adds its timers' slack of 50.
    static let pause: UInt32 = 10

    private(set) var pauses = false
    private(set) var lookedAt: UInt64 = 0
    private var last = Input()

    /// - Parameter now: milliseconds.
    mutating func look(_ input: Input, at now: UInt64) {
        let events = input.events &- last.events
        let packets = input.packets &- last.packets
        pauses = events >= Self.leastEvents * (now - lookedAt) && 2 * packets >= Self.leastPackets * events
        (last, lookedAt) = (input, now)
    }
}

extension EventLoop {
    /// At each tick.
    @inline(__always)
    func lookAtPace() {
        if now >= pacing.lookedAt + Pacing.step { lookAtPaceNow() }
    }

    @inline(never)
    private func lookAtPaceNow() {
        let events = cr_load_relaxed_u64(wakes + 1)
        pacing.look(Pacing.Input(events: events, packets: packetsReceived), at: now)
    }

    /// Before it waits. Others see it at work, so they neither wake it nor do its work for it.
    @inline(never)
    func pauseForMore() {
        // One thread that serves all loops waits for what is rare.
        if let group, group._withUnsafeGuaranteedRef({ $0.isGathered }) { return }
        usleep(Pacing.pause)
        cr_count_u64(wakes + 2, 1)
    }

    /// How often it paused. From any thread.
    public var pauseCount: UInt64 { cr_load_relaxed_u64(wakes + 2) }
}
