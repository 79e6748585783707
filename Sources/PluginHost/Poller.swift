// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Reactor

/// A timer or a watched descriptor of a plugin, on the loop it asked for. Made, armed and cancelled by the control
/// thread.
final class Poller: @unchecked Sendable {
    enum Kind {
        case timer(first: UInt64, every: UInt64, task: martlet_task)
        case watch(fd: Int32, events: UInt32, function: martlet_poll_fn)
    }

    let kind: Kind
    let token: martlet_token
    private let loop: EventLoop
    private let user: UnsafeMutableRawPointer?
    private unowned let instance: PluginInstance
    /// The loop's number for it; written on that loop.
    private var id: UInt64?
    /// The control thread's view of it.
    private var isArmed = false

    init(
        _ kind: Kind, _ token: martlet_token, on loop: EventLoop, _ user: UnsafeMutableRawPointer?,
        of instance: PluginInstance
    ) {
        self.kind = kind
        self.token = token
        self.loop = loop
        self.user = user
        self.instance = instance
    }

    /// False when the descriptor cannot be watched.
    func arm() -> Bool {
        isArmed = true
        nonisolated(unsafe) var isWatched = false
        // Asked on the loop: a timer of 0 ms may have fired, and forgotten its number, before this goes on.
        loop.sync {
            self.armHere()
            isWatched = self.id != nil
        }
        return isWatched
    }

    /// When it returns, the function runs nowhere any more.
    func cancel() {
        guard isArmed else { return }
        isArmed = false
        loop.sync {
            guard let id = self.id else { return }
            self.id = nil
            if case .timer = self.kind { self.loop.cancel(timer: id) } else { self.loop.unwatch(id) }
        }
    }

    private func armHere() {
        switch kind {
        case .timer(let first, let every, let task):
            id = loop.after(first, every: every) { [self] in
                let instance = instance
                if every == 0 { id = nil }
                instance.watched("timer") { task(user) }
                if every == 0 { instance.forget(self) }
            }
        case .watch(let fd, let events, let function):
            id = loop.watch(fd: fd, events: Self.bits(of: events)) { [self] happened in
                instance.watched("poll_fd callback") { function(user, fd, Self.events(of: happened)) }
            }
        }
    }

    private static func bits(of events: UInt32) -> UInt32 {
        (events & UInt32(MARTLET_POLL_IN) != 0 ? UInt32(CR_IN) : 0)
            | (events & UInt32(MARTLET_POLL_OUT) != 0 ? UInt32(CR_OUT) : 0)
    }

    private static func events(of bits: UInt32) -> UInt32 {
        (bits & UInt32(CR_IN) != 0 ? UInt32(MARTLET_POLL_IN) : 0)
            | (bits & UInt32(CR_OUT) != 0 ? UInt32(MARTLET_POLL_OUT) : 0)
            | (bits & UInt32(CR_HUP | CR_ERR | CR_RDHUP) != 0 ? UInt32(MARTLET_POLL_HUP) : 0)
    }
}

extension PluginInstance {
    /// A timer that fired once is over; its token becomes stale.
    fileprivate func forget(_ poller: Poller) {
        host.control.post { self.pollers[poller.token] = nil }
    }
}
