// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

/// The loops that share a broker's work. While there is little to do, the sockets that have something are gathered: the
/// first loop's thread waits for those of all and does their loops' work in turn, each behind its gate, as a visitor.
/// A message then wakes one thread, whoever its receivers belong to, and the other cores are left alone. With more to
/// do than one thread should, they are spread: each loop waits for its own.
///
/// A socket changes sides one at a time, after an event of its own, so neither change costs more than what is active.
public final class LoopGroup: @unchecked Sendable {
    let loops: UnsafeMutablePointer<Unmanaged<EventLoop>>
    let count: Int
    /// The first loop's.
    let epoll: Int32
    private let gathered: UnsafeMutablePointer<UInt32>
    private let spreadCount: UnsafeMutablePointer<UInt64>
    /// Sockets of other loops that are reported to the first.
    private let away: UnsafeMutablePointer<Int64>
    private let nextLook: UnsafeMutablePointer<UInt64>
    /// 1: somebody looks. Then `rule` and what follows are its.
    private let looking: UnsafeMutablePointer<UInt32>
    private var rule = GatherRule()
    private var lastLook = Look()
    private var strain = 0

    /// The loops, in the order of their indices, which begin with 0 and are below 64. They live as long as the group.
    /// - Returns: nil when there are not two of them at least.
    public init?(_ all: [EventLoop]) {
        guard all.count > 1, all.count < 64 else { return nil }
        loops = .allocate(capacity: all.count)
        count = all.count
        epoll = all[0].epoll
        gathered = .allocate(capacity: 16)
        gathered.initialize(repeating: 0, count: 16)
        gathered.pointee = 1
        spreadCount = .allocate(capacity: 8)
        spreadCount.initialize(repeating: 0, count: 8)
        nextLook = .allocate(capacity: 8)
        nextLook.initialize(repeating: 0, count: 8)
        away = .allocate(capacity: 8)
        away.initialize(repeating: 0, count: 8)
        looking = .allocate(capacity: 16)
        looking.initialize(repeating: 0, count: 16)
        for (i, loop) in all.enumerated() {
            precondition(loop.index == Int32(i))
            (loops + i).initialize(to: .passUnretained(loop))
            loop.group = .passUnretained(self)
        }
    }

    deinit {
        loops.deallocate()
        gathered.deallocate()
        spreadCount.deallocate()
        away.deallocate()
        nextLook.deallocate()
        looking.deallocate()
    }

    /// Sockets that have something belong at the first loop. From any thread.
    @inline(__always)
    public var isGathered: Bool { cr_load_relaxed_u32(gathered) != 0 }

    /// How often they were spread. From any thread.
    public var spreads: UInt64 { cr_load_relaxed_u64(spreadCount) }

    func countAway(_ change: Int64) { _ = cr_add_relaxed_i64(away, change) }

    var awayCount: Int { Int(cr_load_relaxed_i64(away)) }

    // MARK: - Gather or spread

    /// At the end of each tick; does something every few milliseconds.
    @inline(__always)
    func look(at now: UInt64) {
        if now >= cr_load_relaxed_u64(nextLook) { lookNow(now) }
    }

    @inline(never)
    private func lookNow(_ now: UInt64) {
        var nobody: UInt32 = 0
        guard cr_cas_u32(looking, &nobody, 1) else { return }
        cr_store_relaxed_u64(nextLook, now + rule.step)
        var load = GatherRule.Load()
        for i in 0..<count {
            loops[i]._withUnsafeGuaranteedRef {
                load.busy &+= $0.processorTime
                load.wakes &+= cr_load_relaxed_u64($0.wakes)
                load.events &+= cr_load_relaxed_u64($0.wakes + 1)
                load.packets &+= $0.packetsReceived
            }
        }
        publish(rule.gathers(load, at: now))
        cr_store_u32(looking, 0)
    }

    private func publish(_ isGathered: Bool) {
        cr_store_relaxed_u64(spreadCount, rule.spreads)
        cr_store_u32(gathered, isGathered ? 1 : 0)
    }

    /// Stays so from now on, whatever there is to do.
    func hold(gathered isGathered: Bool) {
        cr_store_relaxed_u64(nextLook, .max)
        cr_store_u32(gathered, isGathered ? 1 : 0)
    }

    // MARK: - When the first loop is held up

    /// From a thread that is not one of the loops', every 10 ms or so: when the first loop has been at the same work
    /// since the last call, because a plugin holds it up, the others wait for their own sockets, beginning with what
    /// has been reported to the first by now. One that merely has much to do, or no core, has only that taken from it
    /// for the first hundredths of a second: it will be back, and is as cheap as before.
    ///
    /// - Parameters:
    ///   - time: what a thread has had of the processor.
    ///   - isReady: whether it runs or waits for a core.
    public func relieve(
        time: (Int32) -> ThreadTime? = ThreadTime.init(of:), isReady: (Int32) -> Bool = ThreadTime.isReady
    ) {
        let look = loops[0]._withUnsafeGuaranteedRef { Look($0, time) }
        let before = lastLook
        lastLook = look
        guard look.isStuck(since: before) else { return strain = max(0, strain - 1) }
        strain = min(strain + look.strain(since: before, isReady), Strain.tooMuch)
        let wasGathered = isGathered
        if strain == Strain.tooMuch, !spreadNow() { return }
        if wasGathered || awayCount > 0 { takeEvents() }
        takeWork()
    }

    /// What the calls of `relieve` that find the first loop at the same work add up to; the others take one away each.
    /// They are spread at once, 20 to 30 ms or 100 ms after the first, as the loop waits, works or would if it had a
    /// core; or for many short ones.
    private enum Strain {
        static let tooMuch = 101
        static let waits = tooMuch
        static let works = 40
        static let isKept = 10
    }

    /// - Returns: false when somebody else decides about that just now.
    private func spreadNow() -> Bool {
        var nobody: UInt32 = 0
        guard cr_cas_u32(looking, &nobody, 1) else { return false }
        // For as long as it lasts, however little there is to do: who waits here is not busy.
        rule.spread(at: cr_clock_ms())
        publish(false)
        cr_store_u32(looking, 0)
        return true
    }

    /// What the first loop is at: its own thread, or a visitor that its thread would have to wait for.
    private struct Look {
        var wakes: UInt64 = 0
        var visits: UInt32 = 0
        var isAtWork = false
        var thread: Int32 = 0
        var time: ThreadTime?

        init() {}

        func isStuck(since before: Look) -> Bool {
            isAtWork && before.isAtWork && wakes == before.wakes && visits == before.visits
        }

        func strain(since before: Look, _ isReady: (Int32) -> Bool) -> Int {
            guard thread == before.thread, let time, let last = before.time, isReady(thread) else {
                return Strain.waits
            }
            return time.wasKept(since: last) ? Strain.isKept : Strain.works
        }

        init(_ loop: EventLoop, _ time: (Int32) -> ThreadTime?) {
            wakes = cr_load_relaxed_u64(loop.wakes)
            visits = cr_load_relaxed_u32(loop.visits)
            isAtWork = cr_load_seq_u32(loop.sleeping) == 0 || cr_load_seq_u32(loop.gate) == Gate.visitor
            guard isAtWork else { return }
            thread = loop.threadID
            self.time = time(thread)
        }
    }

    /// What the first loop's thread has in hand, and what it has promised to see to.
    private func takeWork() {
        for event in loops[0]._withUnsafeGuaranteedRef({ $0.guests.takeRest() }) { hand(event) }
        for i in 1..<count {
            loops[i]._withUnsafeGuaranteedRef { if $0.hasMail { $0.wakeIfSleeping() } }
        }
    }

    private func hand(_ event: cr_event) {
        let loop = EventLoop.loop(of: event.key)
        if loop < count { loops[loop]._withUnsafeGuaranteedRef { $0.hand(event) } }
    }

    /// What would be reported to it next.
    private func takeEvents() {
        let most = EventLoop.eventsAtOnce
        withUnsafeTemporaryAllocation(of: cr_event.self, capacity: most) { events in
            for _ in 0..<64 {
                let n = Int(cr_epoll_wait(epoll, events.baseAddress!, Int32(most), 0))
                guard n > 0 else { return }
                for i in 0..<n {
                    let event = events[i]
                    // The others are reported again as long as they last.
                    guard event.key != EventLoop.wakeKey, event.key & EventLoop.watchBit == 0 else { continue }
                    hand(event)
                }
                if n < most { return }
            }
        }
    }
}
