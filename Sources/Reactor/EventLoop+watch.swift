// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// A file descriptor of somebody else's that a loop looks after.
struct Watch {
    var fd: Int32
    var fire: (UInt32) -> Void
}

final class LoopTimer {
    let node: UnsafeMutablePointer<TimerNode>
    let every: UInt64
    let fire: () -> Void
    unowned let loop: EventLoop
    let id: UInt64

    init(loop: EventLoop, id: UInt64, every: UInt64, fire: @escaping () -> Void) {
        self.loop = loop
        self.id = id
        self.every = every
        self.fire = fire
        node = .allocate(capacity: 1)
        node.initialize(to: TimerNode())
    }

    deinit { node.deallocate() }
}

extension EventLoop {
    /// Watches `fd`, level-triggered, for CR_IN and CR_OUT bits. On the loop's own thread (or before it runs).
    public func watch(fd: Int32, events: UInt32, _ fire: @escaping (UInt32) -> Void) -> UInt64? {
        let id = nextWatch
        guard cr_epoll_add(epoll, fd, events, id | Self.watchBit) == 0 else { return nil }
        nextWatch += 1
        watches[id] = Watch(fd: fd, fire: fire)
        return id
    }

    public func rewatch(_ id: UInt64, events: UInt32) {
        guard let watch = watches[id] else { return }
        cr_epoll_modify(epoll, watch.fd, events, id | Self.watchBit)
    }

    /// Before the descriptor is closed.
    public func unwatch(_ id: UInt64) {
        guard let watch = watches.removeValue(forKey: id) else { return }
        cr_epoll_remove(epoll, watch.fd)
    }

    func fireWatch(_ id: UInt64, _ events: UInt32) {
        watches[id]?.fire(events)
    }

    /// Calls `fire` after `first` ms and then each `every` ms (0: once). On the loop's own thread.
    public func after(_ first: UInt64, every: UInt64 = 0, _ fire: @escaping () -> Void) -> UInt64 {
        let timer = LoopTimer(loop: self, id: nextTimer, every: every, fire: fire)
        nextTimer += 1
        loopTimers[timer.id] = timer
        timer.node.pointee.context = Unmanaged.passUnretained(timer).toOpaque()
        timer.node.pointee.fire = { context in
            let timer = Unmanaged<LoopTimer>.fromOpaque(context).takeUnretainedValue()
            if timer.every > 0 {
                timer.loop.timers.arm(timer.node, at: timer.loop.now + timer.every)
            } else {
                timer.loop.loopTimers[timer.id] = nil
            }
            timer.fire()
        }
        timers.arm(timer.node, at: now + first)
        return timer.id
    }

    public func cancel(timer id: UInt64) {
        guard let timer = loopTimers.removeValue(forKey: id) else { return }
        timers.disarm(timer.node)
    }
}
