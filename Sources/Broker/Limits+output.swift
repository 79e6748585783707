// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import MQTTCodec
import Reactor

/// An output whose peer takes nothing, or so slowly that the kernel has not told of it.
struct BlockedOutput {
    /// Handle.
    var connection: UInt64
    /// Loop time of the last sign that the peer takes something, or of the moment when data began to wait.
    var since: UInt64
    /// Bytes in the kernel's buffer when it was looked at last.
    var inKernel: Int32
}

/// Clients that do not take what is sent to them. `listener.*.send_timeout`, `mqtt.max_output_buffer`
extension Shard {
    /// The kernel's buffer of this connection is full.
    func noteBlocked(_ c: ConnectionRef) {
        guard c.pointee.phase == .connected else { return }
        if !c.pointee.flags.contains(.outputWaits) {
            c.pointee.flags.insert(.outputWaits)
            blockedOutputs.append(BlockedOutput(connection: handle(c), since: now, inKernel: .max))
        }
        // What is read from it is answered, and there is no room for answers.
        if c.pointee.transport.pointee.pending > c.pointee.zone.pointee.outputLimit, !c.pointee.flags.contains(.choked)
        {
            c.pointee.flags.insert(.choked)
            counters.count(.clientsThrottled)
            pause(c.pointee.transport)
        }
    }

    func unchoke(_ c: ConnectionRef) {
        c.pointee.flags.remove(.choked)
        resumeIfFree(c)
    }

    /// Once a second: only those that were seen to be blocked are looked at.
    func sweepOutputs() {
        guard !blockedOutputs.isEmpty else { return }
        let entries = blockedOutputs
        blockedOutputs.removeAll(keepingCapacity: true)
        for var entry in entries {
            guard let c = connection(entry.connection), c.pointee.phase == .connected else { continue }
            guard c.pointee.transport.pointee.isBlocked else {
                c.pointee.flags.remove(.outputWaits)
                continue
            }
            noteProgress(&entry, c.pointee.transport)
            let timeout = listeners.with(c.pointee.listener) { $0.terms.sendTimeout }
            if timeout > 0 && now >= entry.since + timeout {
                giveUpOn(c)
            } else {
                blockedOutputs.append(entry)
            }
        }
    }

    /// The kernel asks for more only when a good part of its buffer is free: what leaves it before then counts too.
    private func noteProgress(_ entry: inout BlockedOutput, _ t: TransportRef) {
        entry.since = max(entry.since, t.pointee.lastProgress)
        let inKernel = cr_unacknowledged(t.pointee.fd)
        if inKernel >= 0 && inKernel < entry.inKernel && entry.inKernel != .max { entry.since = now }
        entry.inKernel = inKernel
    }

    /// No DISCONNECT would get through, and the kernel is not to keep its buffer for the client: a reset.
    private func giveUpOn(_ c: ConnectionRef) {
        listeners.with(c.pointee.listener) { $0.count("send_timeout") }
        var hard = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(
            c.pointee.transport.pointee.fd, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<Glibc.linger>.size))
        end(c, reason: .unspecifiedError, publishWill: true)
        close(c.pointee.transport)
        freeConnection(c)
    }
}
