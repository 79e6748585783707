// SPDX-License-Identifier: Apache-2.0
import Reactor

/// What a connection waits for, in one timer: to be up, to hear from its peer, to get rid of what it sends, to be gone.
/// On the loop.
extension Stream {
    func armConnectTimer() {
        guard limits.connectTimeout > 0 else { return }
        loop.timers.arm(timer, at: loop.now + limits.connectTimeout)
    }

    func armTimer() {
        guard let t = transport else { return }
        var deadline = UInt64.max
        if limits.idleTimeout > 0 { deadline = t.pointee.lastRead + limits.idleTimeout }
        if limits.sendTimeout > 0, stuckSince > 0 { deadline = min(deadline, stuckSince + limits.sendTimeout) }
        guard deadline != .max, !timer.pointee.isArmed || deadline < timer.pointee.deadline else { return }
        loop.timers.arm(timer, at: max(deadline, loop.now + 1))
    }

    func timeout() {
        switch phase {
        case .connecting:
            // A layer whose handshake takes too long has its own word for it.
            if let stack = transport?.pointee.stack, !stack.isReady { stack.expire() }
            abort(.connectTimeout)
        case .open: checkSilence()
        case .closing:
            if let t = transport { loop.close(t) }
            over(ending)
        case .over: break
        }
    }

    private func checkSilence() {
        guard let t = transport else { return }
        if limits.sendTimeout > 0, stuckSince > 0, loop.now >= stuckSince + limits.sendTimeout { return abort(.stuck) }
        if limits.idleTimeout > 0, loop.now >= t.pointee.lastRead + limits.idleTimeout {
            // While reading is paused the silence is ours.
            guard t.pointee.isPaused else { return abort(.idle) }
            loop.timers.arm(timer, at: loop.now + limits.idleTimeout)
            return
        }
        armTimer()
    }
}
