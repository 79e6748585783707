// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc
import Synchronization

/// One thread with one epoll: it owns its clients, and everything it touches per message is its own.
///
/// A tick: wait, read every ready socket once (replies pile up per client), let the schedule make messages due, then
/// write to every client with something to send, once. Other threads reach it through `post` and read its `counters`.
final class Loop: @unchecked Sendable {
    typealias ClientPointer = UnsafeMutablePointer<Client>
    static let wakeToken = UInt64.max
    static let receiveSize = 128 * 1024
    static let scratchSize = 256 * 1024
    static let eventLimit = 512

    let index: Int
    let traffic: Traffic
    let address: SocketAddress
    let progress: Progress
    let counters = Counters()
    let latency = Histogram()
    /// Time from due to written, of messages that the broker did not hold back: the generator's own lateness.
    let lag = Histogram()
    let connectTime = Histogram()
    let ackTime = Histogram()

    let epoll: Int32
    private let wakeFD: Int32
    private let sleeping: UnsafeMutablePointer<UInt64>
    private let inbox = Mutex<[@Sendable (Loop) -> Void]>([])

    var specs: [ClientSpec] = []
    var clients: [ClientPointer] = []
    /// By number of the publisher; nil for those of other loops.
    var publisherClients: [ClientPointer?]
    var ownPublishers: [ClientPointer] = []
    var receivers: [ClientPointer] = []
    var dirty: [ClientPointer] = []
    /// Sockets whose last read filled the whole buffer.
    var more: [ClientPointer] = []
    var connectQueue: [Int] = []
    var connectQueueHead = 0
    var nextConnectAt: UInt64 = 0

    let receiveBuffer: UnsafeMutablePointer<UInt8>
    let receiveCapacity: Int
    let scratch: UnsafeMutablePointer<UInt8>
    let scratchCapacity: Int
    /// Over TLS: what all clients of this loop share.
    let tlsContext: OpaquePointer?
    var random: UInt64

    /// Set by the crew when all loops exist.
    var peers: [Loop] = []
    var nudgePeer: [Bool] = []
    var touched: [Bool]
    var anyTouched = false
    var strangers = StrangerStreams()
    private var lastNudge: UInt64 = 0

    var isPublishing = false
    var schedule = Schedule()
    private var stopping = false
    private var lastHousekeeping: UInt64 = 0
    var bytesThisTick = 0
    var lastComplaint: String?

    init(index: Int, traffic: Traffic, address: SocketAddress, progress: Progress) throws {
        self.index = index
        self.traffic = traffic
        self.address = address
        self.progress = progress
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wakeFD = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        guard epoll >= 0 && wakeFD >= 0 else { throw BenchError("cannot create an event loop: \(errorText())") }
        sleeping = .allocate(capacity: 8)
        sleeping.initialize(repeating: 0, count: 8)
        let packet = traffic.size + 66_000
        receiveCapacity = Self.receiveSize + packet
        receiveBuffer = .allocate(capacity: receiveCapacity)
        scratchCapacity = Self.scratchSize + 2 * packet
        scratch = .allocate(capacity: scratchCapacity)
        tlsContext = traffic.transport.isTLS ? try Self.makeTLSContext() : nil
        random = UInt64(traffic.run) << 8 | UInt64(index + 1)
        publisherClients = Array(repeating: nil, count: traffic.publisherCount)
        touched = Array(repeating: false, count: traffic.publisherCount)
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u64 = Self.wakeToken
        epoll_ctl(epoll, EPOLL_CTL_ADD, wakeFD, &event)
    }

    deinit {
        dropTLSContext()
        close(epoll)
        close(wakeFD)
        sleeping.deallocate()
        receiveBuffer.deallocate()
        scratch.deallocate()
    }

    // MARK: From other threads

    /// Runs `action` on the loop's thread, soon.
    func post(_ action: @escaping @Sendable (Loop) -> Void) {
        inbox.withLock { $0.append(action) }
        wake()
    }

    func wake() {
        if bench_swap(sleeping, 0) == 1 { eventfd_write(wakeFD, 1) }
    }

    // MARK: On the loop's thread

    func stop() { stopping = true }

    func run() {
        bench_exact_timers()
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventLimit)
        defer { events.deallocate() }
        while !stopping {
            let count = wait(events)
            bytesThisTick = 0
            for i in 0..<Int(count) { handle(events[i]) }
            finishTick()
            if traffic.nap > 0 && count > 0 && more.isEmpty && bytesThisTick < Self.receiveSize && isPublishing {
                nap()
            }
        }
        for client in clients { discard(client) }
        clients = []
    }

    private func wait(_ events: UnsafeMutablePointer<epoll_event>) -> Int32 {
        var timeout: Int64 = 0
        if more.isEmpty && dirty.isEmpty {
            timeout = timeUntilDue()
            if timeout != 0 { timeout = prepareToSleep(timeout) }
        }
        let count = bench_wait(epoll, events, Int32(Self.eventLimit), timeout)
        bench_store(sleeping, 0)
        return max(0, count)
    }

    /// Says that a wake-up is needed from here on, and looks once more for what came in just before.
    private func prepareToSleep(_ timeout: Int64) -> Int64 {
        _ = bench_swap(sleeping, 1)
        let isQuiet = inbox.withLock { $0.isEmpty } && bench_load_sc(progress.nudge(of: index)) == lastNudge
        return isQuiet ? timeout : 0
    }

    private func nap() {
        var time = timespec(tv_sec: 0, tv_nsec: Int(traffic.nap))
        nanosleep(&time, nil)
    }

    /// Nanoseconds to the next scheduled message or connect, at most 200 ms (housekeeping).
    private func timeUntilDue() -> Int64 {
        var due = lastHousekeeping + 200_000_000
        if isPublishing && schedule.isActive { due = min(due, schedule.nextDue) }
        if mayConnect && traffic.connectRate != nil { due = min(due, nextConnectAt) }
        let now = bench_now()
        return due <= now ? 0 : Int64(due - now)
    }

    private func handle(_ event: epoll_event) {
        let data = event.data.u64
        if data == Self.wakeToken {
            var value: eventfd_t = 0
            eventfd_read(wakeFD, &value)
            return
        }
        let client = clients[Int(data & 0xFFFF_FFFF)]
        guard client.pointee.generation == UInt32(data >> 32) && client.pointee.fd >= 0 else { return }
        if client.pointee.state == .connecting && !finishConnect(client) { return }
        if event.events & EPOLLOUT.rawValue != 0 && client.pointee.isBlocked {
            client.pointee.isBlocked = false
            markDirty(client)
        }
        if event.events & ~EPOLLOUT.rawValue != 0 { receive(client) }
    }

    private func finishTick() {
        runPosted()
        let again = more
        more.removeAll(keepingCapacity: true)
        for client in again where client.pointee.fd >= 0 { receive(client) }
        if anyTouched { publishLowest() }
        nudgePeers()
        let now = bench_now()
        if isPublishing && schedule.isActive { schedule.advance(to: now, owe) }
        takeRemoteProgress()
        startConnects(now)
        if now - lastHousekeeping >= 200_000_000 {
            lastHousekeeping = now
            housekeeping(now)
        }
        flushDirty()
    }

    private func runPosted() {
        let actions = inbox.withLock { inbox in
            defer { inbox.removeAll() }
            return inbox
        }
        for action in actions { action(self) }
    }

    private func nudgePeers() {
        for i in 0..<nudgePeer.count where nudgePeer[i] {
            nudgePeer[i] = false
            _ = bench_add(progress.nudge(of: i), 1)
            peers[i].wake()
        }
    }

    private func takeRemoteProgress() {
        let nudge = bench_load_sc(progress.nudge(of: index))
        guard nudge != lastNudge else { return }
        lastNudge = nudge
        for client in ownPublishers { markDirty(client) }
    }

    @inline(__always)
    func markDirty(_ client: ClientPointer) {
        guard !client.pointee.isDirty else { return }
        client.pointee.isDirty = true
        dirty.append(client)
    }

    /// Keep-alive, connections that take too long.
    private func housekeeping(_ now: UInt64) {
        let quiet = UInt64(traffic.keepAlive) * 750_000_000
        for client in clients {
            switch client.pointee.state {
            case .ready where quiet > 0 && now > client.pointee.lastSend + quiet:
                client.pointee.lastSend = now
                client.pointee.output.append(Packet.pingRequest)
                markDirty(client)
            case .connecting, .shaking, .upgrading, .awaitingConnack, .awaitingSuback:
                if now > client.pointee.startedAt + 60_000_000_000 { fail(client, "no answer to CONNECT within 60 s") }
            case .closing:
                if now > client.pointee.startedAt + 60_000_000_000 { closed(client) }
            default: break
            }
        }
    }
}
