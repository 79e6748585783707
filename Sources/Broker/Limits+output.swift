// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import MQTTCodec
import Reactor

/// Clients that do not take what is sent to them. `listener.*.send_timeout`, `mqtt.max_output_buffer`
extension Shard {
    /// The kernel's buffer of this connection is full.
    func noteBlocked(_ c: ConnectionRef) {
        guard c.pointee.phase == .connected else { return }
        if !c.pointee.flags.contains(.outputWaits) {
            c.pointee.flags.insert(.outputWaits)
            blockedOutputs.append((handle(c), now))
        }
        // What is read from it is answered, and there is no room for answers.
        if c.pointee.transport.pointee.pending > c.pointee.zone.pointee.outputLimit, !c.pointee.flags.contains(.choked) {
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
        for entry in entries {
            guard let c = connection(entry.connection), c.pointee.phase == .connected else { continue }
            guard c.pointee.transport.pointee.isBlocked else {
                c.pointee.flags.remove(.outputWaits)
                continue
            }
            let timeout = broker.listenerState(c.pointee.listener).terms.sendTimeout
            let idleSince = max(entry.since, c.pointee.transport.pointee.lastProgress)
            if timeout > 0 && now >= idleSince + timeout {
                giveUpOn(c)
            } else {
                blockedOutputs.append(entry)
            }
        }
    }

    /// No DISCONNECT would get through, and the kernel is not to keep its buffer for the client: a reset.
    private func giveUpOn(_ c: ConnectionRef) {
        broker.countShutdown(c.pointee.listener, "send_timeout")
        var hard = Glibc.linger(l_onoff: 1, l_linger: 0)
        setsockopt(c.pointee.transport.pointee.fd, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<Glibc.linger>.size))
        end(c, reason: .unspecifiedError, publishWill: true)
        close(c.pointee.transport)
        freeConnection(c)
    }
}
