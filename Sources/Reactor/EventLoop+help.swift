// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// Who works with a loop's state.
enum Gate {
    static let free: UInt32 = 0
    /// The loop's own thread, or nobody for the moment in which it goes to sleep.
    static let own: UInt32 = 1
    /// Another thread, which looks into the inbox once more after it has let go.
    static let visitor: UInt32 = 2
}

/// A loop that sleeps lets go of its state. Who has put something into its inbox may take it up and do, on its own
/// thread, what the sleeper would do: that takes as long as the work does, while to wake a thread, and the core it slept
/// on, takes several times as long and costs both sides.
///
/// Nobody else notices. The gate hands the loop's state from thread to thread, the thread's words say which loop it is at
/// present, and a helper does not help further: what it has for other loops it rings for.
extension EventLoop {
    /// Looks into the inbox and writes what follows from it, if the loop sleeps. From another loop's thread, between its
    /// own packets.
    /// - Returns: false when it does not sleep: then ring for it. True when it is done, or a visitor will do it.
    public func help() -> Bool {
        while cr_load_seq_u32(sleeping) != 0 {
            if visit() { return true }
            switch cr_load_seq_u32(gate) {
            case Gate.visitor: return true
            case Gate.own: return false
            default: continue
            }
        }
        return false
    }

    /// Does this loop's work, if it sleeps and has no visitor.
    /// - Parameters:
    ///   - events: of its sockets.
    ///   - errands: where to note for which loops something was put into their inboxes. The caller sees to them. nil:
    ///     the loop tells them itself.
    func visit(
        _ events: UnsafeBufferPointer<cr_event> = .init(start: nil, count: 0),
        errands: UnsafeMutablePointer<UInt64>? = nil
    ) -> Bool {
        guard tryGate(Gate.visitor) else { return false }
        cr_store_relaxed_u32(visits, visits.pointee &+ 1)
        let (loop, object) = (cr_current_loop(), cr_current_object())
        let visitor = visitor(object)
        cr_set_current_loop(index)
        cr_set_current_object(Unmanaged.passUnretained(self).toOpaque())
        var turns = 0
        repeat {
            cr_store_relaxed_u32(visitorCell, visitor)
            isHelped = true
            self.errands = errands
            now = cr_clock_ms()
            unixMS = cr_unix_ms()
            if turns == 0 { take(events) }
            _ = takeInbox()
            finishTick()
            self.errands = nil
            isHelped = false
            turns += 1
        } while letGo(turns)
        cr_set_current_loop(loop)
        cr_set_current_object(object)
        return true
    }

    /// Handles events of this loop's sockets.
    func take(_ events: some Sequence<cr_event>) {
        for event in events {
            transportEvent(event.key, event.events)
            if gathered > Self.batch { endOfBatch() }
        }
    }

    /// The kernel's number of this thread, if it is a loop's.
    private func visitor(_ object: UnsafeMutableRawPointer?) -> UInt32 {
        guard let object else { return 0 }
        return Unmanaged<EventLoop>.fromOpaque(object)._withUnsafeGuaranteedRef { $0.threadCell.pointee }
    }

    /// The end of a visit.
    /// - Returns: true when something came meanwhile and the state is in hand again.
    private func letGo(_ turns: Int) -> Bool {
        // What only the loop itself can do: read again, take more, or wake up for a timer that was armed just now.
        let isDue = timers.untilNext(now: now).map { now + $0 < wakesAt } ?? false
        let hasMore = !again.isEmpty || hasInbox || isDue
        cr_store_relaxed_u32(visitorCell, 0)
        cr_store_seq_u32(gate, Gate.free)
        if hasMore {
            wake()
            return false
        }
        // Who came by and saw a visitor has gone away again.
        cr_fence()
        guard hasMail else { return false }
        if turns < Self.turnsOfVisit, tryGate(Gate.visitor) { return true }
        wakeIfSleeping()
        return false
    }

    /// Then the loop's own thread is worth waking.
    private static var turnsOfVisit: Int { 8 }

    /// The sleeper is back. A helper is done after a few messages, unless a plugin holds it up.
    func takeGate() {
        var tries = 0
        while !tryGate(Gate.own) {
            tries += 1
            if tries > 1000 { usleep(20) } else if tries > 50 { sched_yield() }
        }
    }

    private func tryGate(_ who: UInt32) -> Bool {
        var free = Gate.free
        return cr_cas_u32(gate, &free, who)
    }
}
