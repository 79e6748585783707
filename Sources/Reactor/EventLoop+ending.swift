// SPDX-License-Identifier: Apache-2.0
import Glibc

extension EventLoop {
    /// Writes what waits, then half-closes and discards input until the peer closes too, so that the peer can read a
    /// last packet even while it is still sending. The owner bounds the time and calls `close`.
    /// - Parameter dismissed: the peer has said goodbye. Nothing more comes from it, and on a plain socket there is
    ///   nothing to wait for once everything is written.
    public func linger(_ t: TransportRef, dismissed: Bool = false) {
        guard t.pointee.flags.contains(.open), !t.pointee.flags.contains(.lingering) else { return }
        t.pointee.flags.insert(.lingering)
        if dismissed { t.pointee.flags.insert(.dismissed) }
        t.pointee.flags.remove(.paused)
        dropRest(t)
        markDirty(t)
        if t.pointee.flags.contains(.readable) { queueAgain(t) }
    }

    /// Closes at once; `closed` is not called.
    public func close(_ t: TransportRef) {
        guard t.pointee.flags.contains(.open) else { return }
        bury(t)
    }

    /// The peer will send nothing more. It may still read: our last words go out first.
    func peerEnded(_ t: TransportRef) {
        guard t.pointee.flags.contains(.lingering), !t.pointee.flags.contains(.halfClosed) else {
            return end(t, .peer)
        }
        t.pointee.flags.insert(.ended)
        markDirty(t)
    }

    /// The socket ended by itself.
    func end(_ t: TransportRef, _ reason: CloseReason) {
        guard t.pointee.flags.contains(.open) else { return }
        tellClosed(t, reason)
        if t.pointee.flags.contains(.open) { bury(t) }
    }

    /// Releases everything but the slot, which other code may still point to until the tick is over.
    func bury(_ t: TransportRef) {
        forgetOwner(t)
        t.pointee.flags.remove(.open)
        t.pointee.flags.remove(.again)
        if t.pointee.isAway, let group { group._withUnsafeGuaranteedRef { $0.countAway(-1) } }
        if t.pointee.fd >= 0 { Glibc.close(t.pointee.fd) }
        t.pointee.fd = -1
        dropRest(t)
        while let head = t.pointee.outHead {
            t.pointee.outHead = head.pointee.next
            pool.give(head)
        }
        t.pointee.outTail = nil
        if t.pointee.layers != nil { _ = detach(t)?.discard(pool: &pool) }
        t.pointee.pending = 0
        dead.append(t.pointee.slot)
    }

    /// Slots of connections that are gone, given back to the system. Between ticks only: not from `received`.
    public func trimTransports() {
        // A slot that is still strung in the list of writes must not go to another connection: the list would bite itself.
        guard dirty == .max && again.isEmpty else { return }
        buryDead()
        transports.trim()
    }

    func buryDead() {
        guard !dead.isEmpty else { return }
        for slot in dead { transports.give(slot) }
        dead.removeAll(keepingCapacity: true)
    }
}
