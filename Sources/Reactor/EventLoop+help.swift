// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// A loop that sleeps lets go of its state. Who has put something into its inbox may take it up and do, on its own
/// thread, what the sleeper would do: that takes as long as the work does, while to wake a thread, and the core it slept
/// on, takes several times as long and costs both sides.
///
/// Nobody else notices. The gate hands the loop's state from thread to thread, the thread's words say which loop it is at
/// present, and a helper does not help further: what it has for other loops it rings for.
extension EventLoop {
    /// Looks into the inbox and writes what follows from it, if the loop sleeps. From another loop's thread, between its
    /// own packets.
    /// - Returns: false when it does not sleep or has a helper already: then ring for it.
    public func help() -> Bool {
        guard cr_load_seq_u32(sleeping) != 0, tryGate() else { return false }
        let (loop, object) = (cr_current_loop(), cr_current_object())
        cr_set_current_loop(index)
        cr_set_current_object(Unmanaged.passUnretained(self).toOpaque())
        isHelped = true
        now = cr_clock_ms()
        unixMS = cr_unix_ms()
        _ = takeInbox()
        endOfTick()
        flushDirty()
        endOfWrites()
        buryDead()
        isHelped = false
        cr_set_current_loop(loop)
        cr_set_current_object(object)
        // What only the loop itself can do: read again, take more, or wake up for a timer that was armed just now.
        let isDue = timers.untilNext(now: now).map { now + $0 < wakesAt } ?? false
        let hasMore = !again.isEmpty || hasInbox || isDue
        cr_store_seq_u32(gate, 0)
        if hasMore { wake() }
        return true
    }

    /// The sleeper is back. A helper is done after a few messages, unless a plugin holds it up.
    func takeGate() {
        var tries = 0
        while !tryGate() {
            tries += 1
            if tries > 1000 { usleep(20) } else if tries > 50 { sched_yield() }
        }
    }

    private func tryGate() -> Bool {
        var free: UInt32 = 0
        return cr_cas_u32(gate, &free, 1)
    }
}
