// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
public import Reactor
import Synchronization

/// One connection of a handler, accepted or outgoing. It stays on its loop; `send` and `close` come from any thread,
/// all else belongs to the loop.
public final class Stream: TransportOwner, @unchecked Sendable {
    public let loop: EventLoop
    public let limits: StreamLimits
    /// Names it on the plugin line.
    public internal(set) var handle: UInt64 = 0
    /// Outgoing connections may have a name, under which a successor of their handler finds them. Empty: none.
    public let name: String
    /// The handler's own.
    public var attachment: UnsafeMutableRawPointer?
    public internal(set) var listener: StreamListener?

    public internal(set) var handler: any StreamHandler
    var transport: TransportRef?
    var phase = Phase.connecting
    /// Told when it has ended, if nobody could be told then.
    var heldEnd: StreamEnd?
    var ending = StreamEnd.closed
    /// The handler has heard `opened`, or the end.
    private var isKnown = false
    private var isTold = false
    /// When the kernel began to take nothing although something waited; 0: it takes all.
    var stuckSince: UInt64 = 0
    private var heir: ((TransportRef, SocketAddress) -> Void)?
    /// What an outgoing connection is doing until it is up.
    var dialing: Dialing?

    private unowned let table: StreamTable
    let timer: UnsafeMutablePointer<TimerNode>
    private let ownerCell: Atomic<UInt32>
    private let gate = Atomic<UInt8>(Gate.notOpen.rawValue)
    /// Bytes the loop has taken and the kernel has not; written by the loop.
    private let inTransport = Atomic<Int>(0)
    /// Bytes of other threads on their way to the loop.
    private let inQueue = Atomic<Int>(0)
    private let wantsRoom = Atomic<Bool>(false)
    private let queue = Mutex<Queue>(Queue())
    private let peerCell: Mutex<SocketAddress?>

    enum Phase { case connecting, open, closing, over }
    /// What `send` and `close` may do.
    private enum Gate: UInt8 { case notOpen, open, shut }
    private struct Queue {
        var bytes: [UInt8] = []
        var isPosted = false
    }

    init(
        on loop: EventLoop, table: StreamTable, handler: any StreamHandler, limits: StreamLimits, name: String = "",
        peer: SocketAddress? = nil, listener: StreamListener? = nil
    ) {
        self.loop = loop
        self.table = table
        self.handler = handler
        self.limits = limits
        self.name = name
        self.listener = listener
        ownerCell = Atomic(handler.owner)
        peerCell = Mutex(peer)
        timer = .allocate(capacity: 1)
        timer.initialize(to: TimerNode())
        super.init()
        timer.pointee.context = Unmanaged.passUnretained(self).toOpaque()
        timer.pointee.fire = { Unmanaged<Stream>.fromOpaque($0).takeUnretainedValue().timeout() }
    }

    deinit { timer.deallocate() }

    // MARK: - From any thread

    /// Whose it is; 0 after the end.
    public var owner: UInt32 { ownerCell.load(ordering: .acquiring) }
    /// Nil while an outgoing connection does not know yet.
    public var peer: SocketAddress? { peerCell.withLock { $0 } }
    /// Bytes that wait to be sent.
    public var waiting: Int { inTransport.load(ordering: .relaxed) + inQueue.load(ordering: .relaxed) }

    public enum Sent { case taken, busy, notOpen, gone, tooLarge }

    /// Copies the bytes and sends them, after those of earlier calls. `busy`: more waits than the high-water mark and
    /// nothing was taken; `writable` follows.
    public func send(_ bytes: UnsafeRawBufferPointer) -> Sent {
        switch gate.load(ordering: .acquiring) {
        case Gate.notOpen.rawValue: return .notOpen
        case Gate.shut.rawValue: return .gone
        default: break
        }
        guard bytes.count <= StreamLimits.maxSend else { return .tooLarge }
        guard hasRoom() else { return .busy }
        guard bytes.count > 0 else { return .taken }
        if cr_current_loop() == loop.index { sendHere(bytes) } else { enqueue(bytes) }
        return .taken
    }

    /// Ends it: after everything sent before has been written, or `now`. Nothing but `closed` is called any more. False:
    /// somebody else was quicker.
    public func close(now: Bool) -> Bool {
        guard gate.exchange(Gate.shut.rawValue, ordering: .acquiringAndReleasing) != Gate.shut.rawValue
        else { return false }
        loop.post { self.closeHere(now: now) }
        return true
    }

    /// Whoever finds no room leaves word first and looks again, so that a loop that makes room meanwhile sees it.
    private func hasRoom() -> Bool {
        if waiting < limits.highWater { return true }
        wantsRoom.store(true, ordering: .sequentiallyConsistent)
        cr_fence()
        return waiting < limits.highWater
    }

    private func enqueue(_ bytes: UnsafeRawBufferPointer) {
        inQueue.add(bytes.count, ordering: .relaxed)
        let isFirst = queue.withLock { queue in
            queue.bytes.append(contentsOf: bytes)
            defer { queue.isPosted = true }
            return !queue.isPosted
        }
        if isFirst { loop.post { self.takeQueue() } }
    }

    // MARK: - On the loop: sending

    private func sendHere(_ bytes: UnsafeRawBufferPointer) {
        // What another thread sent before this call must leave before it.
        if inQueue.load(ordering: .acquiring) > 0 { takeQueue() }
        write(bytes)
    }

    private func write(_ bytes: UnsafeRawBufferPointer) {
        guard let t = transport, t.pointee.isOpen, bytes.count > 0 else { return }
        loop.reserve(t, bytes.count).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
        inTransport.store(t.pointee.pending, ordering: .relaxed)
    }

    private func takeQueue() {
        let bytes = queue.withLock { queue in
            defer { queue = Queue() }
            return queue.bytes
        }
        bytes.withUnsafeBytes { write($0) }
        inQueue.subtract(bytes.count, ordering: .relaxed)
    }

    override public func drained(_ t: TransportRef) {
        stuckSince = 0
        progressed(t)
        if heir != nil { loop.post { self.tryHandOver() } }
    }

    override public func blocked(_ t: TransportRef) {
        if stuckSince == 0 || t.pointee.lastProgress > stuckSince { stuckSince = loop.now }
        progressed(t)
        if limits.sendTimeout > 0 && phase == .open { armTimer() }
    }

    private func progressed(_ t: TransportRef) {
        inTransport.store(t.pointee.pending, ordering: .sequentiallyConsistent)
        cr_fence()
        guard wantsRoom.load(ordering: .sequentiallyConsistent), waiting <= limits.lowWater else { return }
        // Not from here: the loop is writing, and a handler that always has more would keep it at that.
        loop.post { self.offerRoom() }
    }

    private func offerRoom() {
        guard phase == .open, !isShut, !handler.isHeld, waiting <= limits.lowWater,
            wantsRoom.exchange(false, ordering: .sequentiallyConsistent)
        else { return }
        handler.writable(self)
    }

    // MARK: - On the loop: receiving

    private var isShut: Bool { gate.load(ordering: .relaxed) == Gate.shut.rawValue }

    override public func received(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int {
        if heir != nil { return 0 }
        if isShut { return bytes.count }
        if handler.isHeld {
            loop.pause(t)
            return 0
        }
        let consumed = handler.received(self, bytes)
        guard consumed >= 0, consumed <= bytes.count else {
            abort(.misread)
            return bytes.count
        }
        guard phase == .open, heir == nil else { return consumed }
        // A handler that pauses gets no more until it resumes: what has arrived by then may lie.
        let allowed = limits.maxInput + (t.pointee.isPaused ? 65536 : 0)
        if bytes.count - consumed > allowed {
            abort(.overflow)
            return bytes.count
        }
        return consumed
    }

    /// Takes no more input until `resume`; at most one receive is kept.
    public func pause() {
        guard phase == .open, let t = transport else { return }
        loop.pause(t)
    }

    public func resume() {
        guard phase == .open, heir == nil, let t = transport else { return }
        loop.resume(t)
    }

    public var counts: (bytesIn: UInt64, bytesOut: UInt64, silentMS: UInt64) {
        guard let t = transport else { return (0, 0, 0) }
        return (t.pointee.bytesIn, t.pointee.bytesOut, loop.now &- t.pointee.lastRead)
    }

    /// Our end of it.
    public var local: SocketAddress? { transport.flatMap { SocketAddress.of($0.pointee.fd) } }

    /// What the peer has proven to the layers.
    public func proof(_ what: PeerProof) -> [UInt8]? { transport?.pointee.stack?.proof(what) }

    // MARK: - On the loop: beginning

    /// The socket is connected; with layers the stream opens when their handshakes are over.
    func attach(_ fd: Int32, layers: LayerStack?) {
        guard let t = loop.adopt(fd: fd, layers: layers, owner: self) else {
            Glibc.close(fd)
            return over(.failed(errno: ENOMEM))
        }
        transport = t
        guard layers != nil else { return open() }
        if !timer.pointee.isArmed { armConnectTimer() }
    }

    override public func ready(_ t: TransportRef) { open() }

    private func open() {
        guard phase == .connecting else { return }
        dialing = nil
        phase = .open
        // A close that came first stands.
        _ = gate.compareExchange(
            expected: Gate.notOpen.rawValue, desired: Gate.open.rawValue, ordering: .acquiringAndReleasing)
        loop.timers.disarm(timer)
        armTimer()
        guard !isShut else { return }
        if !handler.isHeld { introduce() }
    }

    private func introduce() {
        isKnown = true
        handler.opened(self)
    }

    func learn(peer: SocketAddress) { peerCell.withLock { $0 = peer } }

    // MARK: - On the loop: ending

    override public func closed(_ t: TransportRef, _ reason: CloseReason) {
        let code = cr_errno()
        if phase == .closing { return over(ending) }
        switch reason {
        case .peer, .local: over(.peerClosed)
        case .error: over(.failed(errno: code))
        case .layer: over(.layer("layer_failed"))
        }
    }

    /// The layer has told the peer why; that still has to reach it.
    override public func layersFailed(_ t: TransportRef, _ reason: StaticString) {
        guard phase != .closing else { return }
        linger(.layer("\(reason)"))
    }

    /// Ends at once, for a reason of ours.
    func abort(_ end: StreamEnd) {
        guard phase == .connecting || phase == .open else { return }
        if let t = transport { loop.close(t) }
        over(end)
    }

    private func closeHere(now: Bool) {
        guard phase != .over, phase != .closing else { return }
        if phase == .connecting || now { return abort(.closed) }
        if inQueue.load(ordering: .acquiring) > 0 { takeQueue() }
        linger(.closed)
    }

    /// The handler is going away: it hears `closed`, and what was sent before is still written.
    func stop() {
        gate.store(Gate.shut.rawValue, ordering: .releasing)
        switch phase {
        case .connecting: abort(.stopped)
        case .open:
            if inQueue.load(ordering: .acquiring) > 0 { takeQueue() }
            linger(.stopped)
        case .closing, .over:
            tell(ending)
            table.remove(self)
        }
    }

    private func linger(_ end: StreamEnd) {
        guard let t = transport else { return over(end) }
        gate.store(Gate.shut.rawValue, ordering: .releasing)
        phase = .closing
        ending = end
        loop.timers.disarm(timer)
        loop.timers.arm(timer, at: loop.now + StreamLimits.lingerTimeout)
        loop.linger(t)
        tell(end)
        if isTold { table.remove(self) }
    }

    func over(_ end: StreamEnd) {
        guard phase != .over else { return }
        gate.store(Gate.shut.rawValue, ordering: .releasing)
        phase = .over
        ending = end
        dialing?.cancel(on: loop)
        dialing = nil
        loop.timers.disarm(timer)
        transport = nil
        heir = nil
        listener?.leave(end)
        tell(end)
        if isTold { table.remove(self) }
    }

    private func tell(_ end: StreamEnd) {
        guard !isTold else { return }
        if handler.isHeld {
            heldEnd = end
            return
        }
        isTold = true
        handler.closed(self, end)
    }

    // MARK: - On the loop: other hands

    /// Lets the connection go to `heir` once everything sent before has been written, with the input that is not
    /// consumed. For the handler it is over: `closed` comes with `.handedOver`. False: it is not open.
    public func handOver(to heir: @escaping (TransportRef, SocketAddress) -> Void) -> Bool {
        guard phase == .open, let t = transport,
            gate.exchange(Gate.shut.rawValue, ordering: .acquiringAndReleasing) == Gate.open.rawValue
        else { return false }
        self.heir = heir
        loop.pause(t)
        loop.post { self.tryHandOver() }
        return true
    }

    private func tryHandOver() {
        guard let heir, phase == .open, let t = transport else { return }
        takeQueue()
        loop.flush(t)
        guard phase == .open, t.pointee.pending == 0, let peer else { return }
        over(.handedOver)
        loop.disown(t)
        heir(t, peer)
    }

    /// Another handler works with it from now on. `change` is called if the old one knows of the stream: else the new
    /// one hears all there is to hear.
    func change(
        to new: any StreamHandler, listener: StreamListener?, _ change: (Stream, _ before: any StreamHandler) -> Void
    ) {
        let before = handler
        handler = new
        ownerCell.store(new.owner, ordering: .releasing)
        if listener !== self.listener {
            listener?.receive(from: self.listener)
            self.listener = listener
        }
        if isKnown && !isTold { change(self, before) } else if phase == .open && !isShut { introduce() }
        if let end = heldEnd {
            heldEnd = nil
            tell(end)
            table.remove(self)
        } else if phase == .open, let t = transport {
            loop.resume(t)
            progressed(t)
        }
    }
}
