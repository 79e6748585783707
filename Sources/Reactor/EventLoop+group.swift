// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// Events of other loops' sockets that the first loop's wait brought, in order. Its thread serves them one loop after the
/// other; when it is held up meanwhile, another one takes what is left.
final class Guests {
    /// 0: all are taken. The first loop's thread.
    private(set) var count = 0
    /// The loops they are for and nobody has taken them yet, a bit each.
    private var loops: UInt64 = 0
    private let events: UnsafeMutablePointer<cr_event>
    private let picked: UnsafeMutablePointer<cr_event>
    /// 1: somebody takes or adds. Then `events` and `loops` are its.
    private let taking: UnsafeMutablePointer<UInt32>
    /// Loops with something in their inboxes that this thread will see to.
    let errands: UnsafeMutablePointer<UInt64>

    init() {
        events = .allocate(capacity: EventLoop.eventsAtOnce)
        picked = .allocate(capacity: EventLoop.eventsAtOnce)
        taking = .allocate(capacity: 1)
        taking.initialize(to: 0)
        errands = .allocate(capacity: 1)
        errands.initialize(to: 0)
    }

    func deallocate() {
        events.deallocate()
        picked.deallocate()
        taking.deallocate()
        errands.deallocate()
    }

    /// Notes those that `belong` to other loops. When all from the last time are served.
    func note(_ all: UnsafeBufferPointer<cr_event>, _ belong: (UInt64) -> Bool) {
        guard let first = all.firstIndex(where: { belong($0.key) }) else { return }
        withAll {
            for event in all[first...] where belong(event.key) {
                events[count] = event
                count += 1
                loops |= 1 << UInt64(EventLoop.loop(of: event.key))
            }
        }
    }

    /// The next loop and what is for it, valid until the next call; nil: that was all. The first loop's thread.
    func next() -> (loop: Int, events: UnsafeBufferPointer<cr_event>)? {
        var (loop, n) = (0, 0)
        withAll {
            guard loops != 0 else { return count = 0 }
            loop = loops.trailingZeroBitCount
            loops &= loops - 1
            for i in 0..<count where EventLoop.loop(of: events[i].key) == loop {
                picked[n] = events[i]
                n += 1
            }
            if loops == 0 { count = 0 }
        }
        return n > 0 ? (loop, UnsafeBufferPointer(start: picked, count: n)) : nil
    }

    /// What is left, for another thread.
    func takeRest() -> [cr_event] {
        var rest: [cr_event] = []
        withAll {
            guard loops != 0 else { return }
            for i in 0..<count where loops & 1 << UInt64(EventLoop.loop(of: events[i].key)) != 0 {
                rest.append(events[i])
            }
            loops = 0
        }
        return rest
    }

    /// Nobody is in here for more than a few dozen instructions.
    @inline(__always)
    private func withAll(_ body: () -> Void) {
        var nobody: UInt32 = 0
        while !cr_cas_u32(taking, &nobody, 1) {
            nobody = 0
            sched_yield()
        }
        body()
        cr_store_u32(taking, 0)
    }
}

/// Events that other threads have taken for a loop. One a socket at most after it has grown: a loop that is held up for
/// long hears of each segment that arrives meanwhile.
struct HandedEvents {
    private(set) var events: [cr_event] = []
    private var limit = least
    private static let least = 1024

    mutating func add(_ event: cr_event) {
        if events.count >= limit { merge() }
        events.append(event)
    }

    private mutating func merge() {
        var bits: [UInt64: UInt32] = [:]
        for event in events { bits[event.key, default: 0] |= event.events }
        events = bits.map { cr_event(events: $0.value, key: $0.key) }
        limit = max(Self.least, events.count * 2)
    }
}

/// A loop as one of a group.
extension EventLoop {
    static var eventsAtOnce: Int { 64 }

    static func loop(of key: UInt64) -> Int { Int(truncatingIfNeeded: key >> 56) & 63 }

    @inline(__always)
    func isOwn(_ key: UInt64) -> Bool { group == nil || Self.loop(of: key) == Int(index) }

    // MARK: - Where a socket's events are reported

    func epoll(of t: TransportRef) -> Int32 {
        guard t.pointee.isAway, let group else { return epoll }
        return group._withUnsafeGuaranteedRef { $0.epoll }
    }

    /// After an event: the next ones are reported where the group wants them.
    @inline(__always)
    func place(_ t: TransportRef, _ events: UInt32) {
        let isGathered = group!._withUnsafeGuaranteedRef { $0.isGathered }
        if t.pointee.isAway {
            if !isGathered { report(t, away: false) }
        } else if isGathered, index != 0, events & UInt32(CR_IN) != 0 {
            t.pointee.events += 1
            if t.pointee.events == Self.eventsBeforeMove { report(t, away: true) }
        }
    }

    /// One that comes, subscribes and waits never pays for it.
    private static var eventsBeforeMove: UInt32 { 16 }

    /// Edge-triggered as before; what is there already is reported anew, so no edge is lost.
    private func report(_ t: TransportRef, away: Bool) {
        // Who was there once goes there again with its next event.
        t.pointee.events = away ? 0 : Self.eventsBeforeMove - 1
        guard t.pointee.flags.contains(.open), !t.pointee.flags.contains(.owned), let group else { return }
        let first = group._withUnsafeGuaranteedRef { $0.epoll }
        let (from, to) = away ? (epoll, first) : (first, epoll)
        let what = Self.inputEvents | (t.pointee.flags.contains(.watchesOut) ? UInt32(CR_OUT) : 0)
        guard cr_epoll_add(to, t.pointee.fd, what, key(t)) == 0 else { return }
        cr_epoll_remove(from, t.pointee.fd)
        t.pointee.isAway = away
        group._withUnsafeGuaranteedRef { $0.countAway(away ? 1 : -1) }
    }

    // MARK: - Events that come by other threads

    /// An event of a socket of this loop. From any thread.
    func hand(_ event: cr_event) {
        handed.withLock { $0.add(event) }
        cr_store_seq_u32(handedCount, 1)
        wakeIfSleeping()
    }

    func takeHanded() {
        let batch = handed.withLock { waiting in
            cr_store_seq_u32(handedCount, 0)
            let batch = waiting.events
            waiting = HandedEvents()
            return batch
        }
        take(batch)
    }

    // MARK: - The first loop's tick

    func beginTick(_ group: LoopGroup) {
        errands = index == 0 && group.isGathered ? guests.errands : nil
    }

    /// Before the first loop's thread does anything that could hold it up.
    @inline(__always)
    func noteGuests(_ events: UnsafePointer<cr_event>, _ count: Int32) {
        guard index == 0, count > 0, group != nil else { return }
        guests.note(UnsafeBufferPointer(start: events, count: Int(count))) {
            $0 & Self.watchBit == 0 && Self.loop(of: $0) != 0
        }
    }

    /// Other loops' sockets had something.
    func serveGuests() {
        while guests.count > 0, let (i, events) = guests.next() {
            guard let group, i < group._withUnsafeGuaranteedRef({ $0.count }) else { continue }
            group._withUnsafeGuaranteedRef { group in
                group.loops[i]._withUnsafeGuaranteedRef { loop in
                    if errands != nil, loop.visit(events, errands: guests.errands) { return }
                    for event in events { loop.hand(event) }
                }
            }
        }
    }

    /// - Returns: true when this thread will see to `loop`, which has something in its inbox; else tell it.
    public func leaveErrand(for loop: Int) -> Bool {
        guard let errands else { return false }
        errands.pointee |= 1 << UInt64(loop)
        return true
    }

    /// `leaveErrand` will say true.
    public var runsErrands: Bool { errands != nil }

    func afterTick(_ group: LoopGroup) {
        if errands != nil {
            runErrands(group)
            errands = nil
        }
        group.look(at: now)
    }

    private func runErrands(_ group: LoopGroup) {
        let list = guests.errands
        // A message that makes further ones, and they others, would keep the rest waiting.
        var left = 4 * group.count
        while list.pointee != 0 {
            let i = list.pointee.trailingZeroBitCount
            list.pointee &= list.pointee - 1
            left -= 1
            if i == Int(index) {
                // Else it finds its inbox before it goes to sleep.
                guard left >= 0 else { continue }
                _ = takeInbox()
                finishTick()
            } else {
                group.loops[i]._withUnsafeGuaranteedRef { loop in
                    if left < 0 || !loop.visit(errands: list), !loop.help() { loop.wakeIfSleeping() }
                }
            }
        }
    }
}
