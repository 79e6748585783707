// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Synchronization

/// One thread, one epoll, its sockets, timers and tasks. The data loops are subclasses that own MQTT state; the
/// control thread is a plain instance.
///
/// Everything but `post`, `wake` and `stop` belongs to the loop's own thread. A tick is: wait, receive, tasks, timers,
/// `endOfTick`, one write per connection that has something to say.
open class EventLoop: @unchecked Sendable {
    /// Index of a data loop, or -1 for the control thread.
    public let index: Int32
    /// Monotonic time of this tick, in milliseconds.
    public internal(set) var now: UInt64
    /// Wall-clock time of this tick, Unix milliseconds.
    public internal(set) var unixMS: Int64
    public var pool = BufferPool()
    public let timers: TimerWheel
    public internal(set) var transports = Slab<Transport>()
    public internal(set) var ticks: UInt64 = 0

    /// The kernel's number of the thread that does this loop's work: its own, once it runs, or a visitor; 0 before.
    public var threadID: Int32 {
        let visitor = cr_load_relaxed_u32(visitorCell)
        return Int32(bitPattern: visitor != 0 ? visitor : cr_load_relaxed_u32(threadCell))
    }
    /// Nanoseconds that its own thread has used.
    var processorTime: UInt64 {
        let thread = cr_load_relaxed_u32(threadCell)
        return thread == 0 ? 0 : cr_thread_cpu_ns(Int32(bitPattern: thread))
    }
    let visitorCell: UnsafeMutablePointer<UInt32>
    let threadCell: UnsafeMutablePointer<UInt32>
    let epoll: Int32
    let wakeFD: Int32
    var dirty: UInt32 = .max
    var again: [UInt32] = []
    var dead: [UInt32] = []
    var receive = ReceiveBuffer()
    /// Where the bytes lie that the owner is looking at, if it may refer to them instead of copying: a part of its
    /// connection's input, or of what another loop has received.
    public final var input: InputRef?
    /// What layers decode into; there when the first of them asks.
    var layerScratch: UnsafeMutableRawBufferPointer {
        if scratch.baseAddress == nil { scratch = .allocate(byteCount: 65536, alignment: 64) }
        return scratch
    }
    private var scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    let sleeping: UnsafeMutablePointer<UInt32>
    /// Who works with this loop's state: its own thread, except while that sleeps, or a visitor. A `Gate`.
    let gate: UnsafeMutablePointer<UInt32>
    /// When the thread that sleeps wakes up by itself; loop time.
    var wakesAt: UInt64 = 0
    /// Events of this tick.
    public private(set) var arrivals = 0
    /// Bytes received since the last were passed on.
    var gathered = 0
    var pacing = Pacing()
    /// Another loop's thread does this loop's work.
    public internal(set) var isHelped = false
    /// Those whose first loop's thread serves them all while there is little to do.
    var group: Unmanaged<LoopGroup>?
    /// While set, the thread at work here sees to other loops afterwards: to those whose bits are set. A word of its own.
    var errands: UnsafeMutablePointer<UInt64>?
    /// Who watches this loop rests there.
    let rest: Unmanaged<Rest>
    /// What this loop, as the first of its group, counts and remembers for the others.
    let guests = Guests()
    let wakes: UnsafeMutablePointer<UInt64>
    /// Counts visitors.
    let visits: UnsafeMutablePointer<UInt32>
    let handed = Mutex(HandedEvents())
    let handedCount: UnsafeMutablePointer<UInt32>
    private let tasks = Mutex<[@Sendable () -> Void]>([])
    private let taskCount: UnsafeMutablePointer<UInt32>
    private let stopping: UnsafeMutablePointer<UInt32>
    var watches: [UInt64: Watch] = [:]
    var nextWatch: UInt64 = 1
    var loopTimers: [UInt64: LoopTimer] = [:]
    var nextTimer: UInt64 = 1

    static let wakeKey = UInt64.max
    static let watchBit = UInt64(1) << 63
    /// What a connection is registered for from its beginning.
    static let inputEvents = UInt32(CR_IN | CR_RDHUP) | CR_EDGE

    /// What a loop needs of the system; nil: there are no descriptors left.
    public struct Descriptors: Sendable {
        let epoll: Int32
        let wake: Int32

        public init?() {
            epoll = cr_epoll_create()
            guard epoll >= 0 else { return nil }
            wake = cr_eventfd()
            guard wake < 0 else { return }
            Glibc.close(epoll)
            return nil
        }
    }

    /// - Parameter rest: where those rest who watch this loop; lives as long as the loop. nil: nobody does.
    public init(index: Int32, rest: Rest? = nil, _ descriptors: Descriptors? = Descriptors()) {
        guard let descriptors else { fatalError("an event loop needs epoll and eventfd: out of file descriptors") }
        self.index = index
        self.rest = .passRetained(rest ?? Rest())
        now = cr_clock_ms()
        unixMS = cr_unix_ms()
        timers = TimerWheel(now: now)
        epoll = descriptors.epoll
        wakeFD = descriptors.wake
        sleeping = Self.cell()
        gate = Self.cell()
        gate.pointee = Gate.own
        handedCount = Self.cell()
        wakes = .allocate(capacity: 16)
        wakes.initialize(repeating: 0, count: 16)
        visits = Self.cell()
        taskCount = Self.cell()
        stopping = Self.cell()
        threadCell = Self.cell()
        visitorCell = Self.cell()
        cr_epoll_add(epoll, wakeFD, UInt32(CR_IN), Self.wakeKey)
    }

    deinit {
        rest.release()
        pool.trim()
        receive.release()
        scratch.deallocate()
        Glibc.close(epoll)
        Glibc.close(wakeFD)
        sleeping.deallocate()
        gate.deallocate()
        handedCount.deallocate()
        wakes.deallocate()
        visits.deallocate()
        guests.deallocate()
        taskCount.deallocate()
        stopping.deallocate()
        threadCell.deallocate()
        visitorCell.deallocate()
    }

    private static func cell() -> UnsafeMutablePointer<UInt32> {
        let p = UnsafeMutablePointer<UInt32>.allocate(capacity: 16)
        p.initialize(repeating: 0, count: 16)
        return p
    }

    // MARK: - What a subclass does

    /// Bytes arrived. Returns how many were consumed; the rest is presented again, with more, later. Bytes are
    /// borrowed. May set `needed` when the length of the next packet is known.
    open func received(_ transport: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int { bytes.count }
    /// The connection is gone; the slot is reused after this tick.
    open func closed(_ transport: TransportRef, _ reason: CloseReason) {}
    /// The handshakes of all its layers are over.
    open func ready(_ transport: TransportRef) {}
    /// A layer gave up for this reason. An owner that wants the peer to hear why calls `linger`; else it ends at once.
    open func layersFailed(_ transport: TransportRef, _ reason: StaticString) {}
    /// Everything that waited for this connection has been written.
    open func drained(_ transport: TransportRef) {}
    /// The peer takes nothing for now and something waits. Called whenever a tick would have written.
    open func blocked(_ transport: TransportRef) {}
    /// Work of other threads that does not travel as tasks. True when there was any.
    open func takeInbox() -> Bool { false }
    /// All input of this tick is handled; writes follow.
    open func endOfTick() {}
    /// This tick's writes are done.
    open func endOfWrites() {}
    /// Packets since the loop began: what its input consists of.
    open var packetsReceived: UInt64 { 0 }

    // MARK: - From any thread

    /// Runs a task on this loop, after those posted before it.
    public func post(_ task: @escaping @Sendable () -> Void) {
        tasks.withLock { $0.append(task) }
        cr_store_seq_u32(taskCount, 1)
        wakeIfSleeping()
    }

    /// Runs a task on this loop and waits for it; at once when this is the loop's thread. Not for use on a data loop,
    /// where waiting for another is forbidden.
    public func sync(_ task: @escaping @Sendable () -> Void) {
        if cr_current_loop() == index { return task() }
        let done = Semaphore()
        post {
            task()
            done.signal()
        }
        done.wait()
    }

    /// After something was put where `takeInbox` looks: the loop notices now, not at its next timer.
    public func wakeIfSleeping() { bell.ringIfSleeping() }

    /// How to wake this loop, as a value: ringing it touches no reference count.
    public var bell: WakeBell { WakeBell(sleeping: sleeping, descriptor: wakeFD) }

    public func wake() { bell.ring() }

    /// `run` returns after the tick at hand.
    public func stop() {
        cr_store_seq_u32(stopping, 1)
        wake()
    }

    // MARK: - The loop

    public func run() {
        cr_set_current_loop(index)
        cr_store_seq_u32(threadCell, UInt32(bitPattern: cr_thread_id()))
        cr_set_current_object(Unmanaged.passUnretained(self).toOpaque())
        // Few messages cross the control thread.
        cr_messages_keep(index >= 0)
        defer { cr_messages_keep(false) }
        // What a tick collects is written at its end: with more connections a tick it would have left the cache by then.
        let capacity = Self.eventsAtOnce
        let events = UnsafeMutablePointer<cr_event>.allocate(capacity: capacity)
        defer { events.deallocate() }
        while cr_load_relaxed_u32(stopping) == 0 {
            tick(events, capacity)
        }
    }

    private func tick(_ events: UnsafeMutablePointer<cr_event>, _ capacity: Int) {
        let n = waitForEvents(events, capacity)
        now = cr_clock_ms()
        unixMS = cr_unix_ms()
        ticks &+= 1
        let count = max(0, Int(n))
        arrivals = count
        // One thread adds, others read.
        cr_count_u64(wakes, 1)
        cr_count_u64(wakes + 1, UInt64(count))
        if count > 0 { stir() }
        if let group { beginTick(group._withUnsafeGuaranteedRef { $0 }) }
        lookAtPace()
        for i in 0..<count {
            if i + 2 < count { prefetchTransport(events[i + 2].key) }
            dispatch(events[i])
            if gathered > Self.batch { endOfBatch() }
        }
        if guests.count > 0 { serveGuests() }
        if cr_load_relaxed_u32(handedCount) != 0 { takeHanded() }
        readAgain()
        runTasks()
        _ = takeInbox()
        timers.advance(to: now, limit: Self.timersAtOnce) { node in
            if let fire = node.pointee.fire, let context = node.pointee.context { fire(context) }
        }
        finishTick()
        if let group { afterTick(group._withUnsafeGuaranteedRef { $0 }) }
    }

    /// All input is handled: what follows from it goes out.
    func finishTick() {
        endOfBatch()
        buryDead()
    }

    /// Passes on what was received. In the midst of a tick if that is much: what is written then is still in the
    /// processor's cache, and the memory it was received into is used again at once.
    func endOfBatch() {
        endOfTick()
        flushDirty()
        endOfWrites()
        gathered = 0
    }

    /// Bytes that are received before they are passed on.
    static let batch = 262_144
    /// Timers that fire in one tick: a hundred thousand sessions may expire in the same millisecond, and other clients
    /// are not to wait for the last of them.
    static let timersAtOnce = 256

    private func waitForEvents(_ events: UnsafeMutablePointer<cr_event>, _ capacity: Int) -> Int32 {
        if !again.isEmpty { return lookForEvents(events, capacity) }
        if pacing.pauses { pauseForMore() }
        let timeout = timers.untilNext(now: now).map { Int32(min($0, 60_000)) } ?? 60_000
        cr_store_seq_u32(sleeping, 1)
        // Whoever adds work after this look sees `sleeping` and wakes us; whoever added it before is seen here.
        cr_fence()
        let idle =
            cr_load_seq_u32(taskCount) == 0 && cr_load_seq_u32(handedCount) == 0 && !hasInbox
            && cr_load_seq_u32(stopping) == 0
        guard idle else {
            cr_store_seq_u32(sleeping, 0)
            return lookForEvents(events, capacity)
        }
        wakesAt = now + UInt64(timeout)
        cr_store_seq_u32(gate, Gate.free)
        let n = cr_epoll_wait(epoll, events, Int32(capacity), timeout)
        noteGuests(events, n)
        takeGate()
        cr_store_seq_u32(sleeping, 0)
        return n
    }

    private func lookForEvents(_ events: UnsafeMutablePointer<cr_event>, _ capacity: Int) -> Int32 {
        let n = cr_epoll_wait(epoll, events, Int32(capacity), 0)
        noteGuests(events, n)
        return n
    }

    /// Whether `takeInbox` would find something; asked before the loop goes to sleep.
    open var hasInbox: Bool { false }
    /// Whether other threads put something there; asked by any thread.
    open var hasMail: Bool { false }

    private func dispatch(_ event: cr_event) {
        let key = event.key
        if key == Self.wakeKey {
            var drain: UInt64 = 0
            _ = Glibc.read(wakeFD, &drain, 8)
        } else if key & Self.watchBit != 0 {
            fireWatch(key & ~Self.watchBit, event.events)
        } else if isOwn(key) {
            transportEvent(key, event.events)
        }
    }

    private func runTasks() {
        guard cr_load_relaxed_u32(taskCount) != 0 else { return }
        let batch = tasks.withLock { waiting in
            cr_store_seq_u32(taskCount, 0)
            let batch = waiting
            waiting = []
            return batch
        }
        for task in batch { task() }
    }
}

/// Wakes a loop that sleeps; costs one load when it does not. Valid as long as the loop.
public struct WakeBell {
    let sleeping: UnsafeMutablePointer<UInt32>
    let descriptor: Int32

    public func ringIfSleeping() {
        cr_fence()
        if cr_load_seq_u32(sleeping) != 0 { ring() }
    }

    public func ring() {
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }
}
