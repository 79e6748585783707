// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// One data loop with everything it owns: connections, sessions, routes. Nobody else touches these, so nothing here
/// is locked. Split over files by protocol action: `Shard+connect`, `Shard+publish`, `Shard+subscribe` …
final class Shard: EventLoop, @unchecked Sendable {
    unowned(unsafe) let broker: Broker
    let number: Int
    // What the data path needs of the broker, without going through it: a reference loaded from an unowned field is
    // retained and released, and an atomic count that all loops share is what they would wait for.
    let chainCell: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    let inboxLimit: Int64
    /// Inboxes of all shards, set when all exist.
    var peers: UnsafeMutablePointer<Inbox>
    private let bells = UnsafeMutablePointer<WakeBell>.allocate(capacity: 64)
    private let shards = UnsafeMutablePointer<Unmanaged<Shard>>.allocate(capacity: 64)
    var peerCount = 0
    let table: FilterTable
    let registry: Registry
    let listeners: ListenerTable
    let counters = Counters()
    let inbox = Inbox()
    var connections = Slab<Connection>()
    var sessions = Slab<Session>()
    var routes = RouteCache()
    var patterns = RoutePatterns()
    var builder = RouteBuilder()
    var nodes = NodeList()
    /// Epochs of this shard's own subscriptions, laid out as the table's.
    let ownEpochs: UnsafeMutablePointer<UInt64>
    /// The chunk being filled for each other shard.
    let outgoing: UnsafeMutablePointer<UnsafeMutablePointer<Chunk>?>
    var chunkPool = ChunkPool()
    /// Room for one encoded PUBLISH without its payload, or a topic being rewritten.
    var scratch: UnsafeMutableRawPointer
    var scratchRoom = 4096
    /// Backs the filter that `withFilter` lends: the message of a hook that leads there may lie in `scratch`.
    private(set) lazy var filterRoom = UnsafeMutableRawPointer.allocate(byteCount: 65536, alignment: 16)
    private var templates: InlineArray<2, UnsafeMutableRawBufferPointer> = InlineArray(
        repeating: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    var aclCache: ACLCache
    let aclEpochs: ACLEpochs
    /// Owned; by the connection's slot: the user name that its certificate gives it, empty without a certificate. Where
    /// there is none its CONNECT says it.
    var certifiedNames: [UInt32: Bytes] = [:]
    var onlineCount = 0
    var offlineCount = 0
    /// Sessions with a feed that may go on.
    var feeding: [(slot: UInt32, generation: UInt32)] = []
    /// A plugin's feed is being asked for its next message.
    var isAskingFeed = false
    /// Sessions that hold publishers back, and the publishers they hold.
    var congested: [(session: UInt64, publisher: UInt64)] = []
    var blockedOutputs: [BlockedOutput] = []
    var held: [(connection: UInt64, until: UInt64)] = []
    var random: UInt64
    /// Of the last message; begins with the time, so that ids ascend over restarts.
    var messageSerial = UInt64(cr_unix_ms()) << 22
    var ahead = TopicAhead()
    /// The timeout of the deferral opened last.
    var deferralTimer: UInt64 = 0
    /// Backs the bytes `field` returned last.
    var keptField = noBytes
    /// Who runs on this loop: owner of the plugin call under way and its number, 0 outside; read by the watchdog.
    let runningCell: UnsafeMutablePointer<UInt64>

    init(broker: Broker, number: Int) {
        self.broker = broker
        self.number = number
        chainCell = broker.chainCell
        inboxLimit = Int64(broker.settings.inboxLimit)
        peers = .allocate(capacity: 64)
        table = broker.table
        registry = broker.registry
        listeners = broker.listeners
        ownEpochs = .allocate(capacity: FilterTable.epochCount)
        ownEpochs.initialize(repeating: 0, count: FilterTable.epochCount)
        outgoing = .allocate(capacity: 64)
        outgoing.initialize(repeating: nil, count: 64)
        scratch = .allocate(byteCount: 4096, alignment: 16)
        aclCache = ACLCache(limit: broker.settings.aclCacheSize)
        aclEpochs = broker.aclEpochs
        runningCell = .allocate(capacity: 8)
        runningCell.initialize(repeating: 0, count: 8)
        random = table.seed ^ (UInt64(number) &* 0x9E37_79B9_7F4A_7C15) | 1
        super.init(index: Int32(number), rest: broker.rest)
    }

    // MARK: - Reactor

    override func received(_ t: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int {
        guard let owner = t.pointee.owner else { return bytes.count }
        let c = owner.assumingMemoryBound(to: Connection.self)
        askAhead(c)
        if let limits = c.pointee.limits { return processLimited(c, limits, bytes) }
        return process(c, bytes)
    }

    /// Asks for what the next message looks at if its topic is that of the last one.
    @inline(__always)
    private func askAhead(_ c: ConnectionRef) {
        guard let s = c.pointee.session else { return }
        prefetch(s)
        let hash = c.pointee.lastHash
        guard hash != 0 else { return }
        if c.pointee.flags.contains(.topicsDiffer) { patterns.prefetch(handle(c)) } else { routes.prefetch(hash) }
        let isForAnyTopic = c.pointee.flags.contains(.aclForAnyTopic)
        aclCache.prefetch(connection: handle(c), hash: isForAnyTopic ? ACLCache.anyTopic : hash)
    }

    override func closed(_ t: TransportRef, _ reason: CloseReason) {
        guard let owner = t.pointee.owner else { return }
        let c = owner.assumingMemoryBound(to: Connection.self)
        if c.pointee.phase == .closing {
            freeConnection(c)
        } else {
            listeners.with(c.pointee.listener) { $0.count(reason == .error ? "socket_error" : "closed") }
            end(c, reason: .unspecifiedError, publishWill: true)
            freeConnection(c)
        }
    }

    override func ready(_ t: TransportRef) {
        guard let c = t.pointee.owner?.assumingMemoryBound(to: Connection.self),
            c.pointee.phase == .waitingForConnect
        else { return }
        timers.arm(&c.pointee.timer, at: now + patience(c))
    }

    override func layersFailed(_ t: TransportRef, _ reason: StaticString) {
        guard let owner = t.pointee.owner else { return }
        closeSilently(owner.assumingMemoryBound(to: Connection.self), counted: reason)
    }

    override func drained(_ t: TransportRef) {
        guard let owner = t.pointee.owner else { return }
        let c = owner.assumingMemoryBound(to: Connection.self)
        guard let s = c.pointee.session, c.pointee.phase == .connected else { return }
        if s.pointee.congestedSince != 0 { noteCaughtUp(s) }
        if s.pointee.flags.contains(.feeding) { wantFeed(s) }
        if c.pointee.flags.contains(.choked) { unchoke(c) }
    }

    override func blocked(_ t: TransportRef) {
        guard let owner = t.pointee.owner else { return }
        noteBlocked(owner.assumingMemoryBound(to: Connection.self))
    }

    override var hasInbox: Bool { !inbox.isEmpty || !feeding.isEmpty }

    override var hasMail: Bool { !inbox.isEmpty }

    override func takeInbox() -> Bool {
        var chunk = inbox.takeAll()
        let any = chunk != nil
        while let c = chunk {
            chunk = c.pointee.next
            receive(c)
            inbox.done(c.pointee.used)
            chunkPool.give(c)
        }
        return any
    }

    override func endOfTick() {
        if !feeding.isEmpty { runFeeds() }
        if !held.isEmpty { releaseHeld() }
        if !runsErrands, let only = onlyOutgoing, mayHelp(only), let chunk = outgoing[only] {
            outgoing[only] = nil
            peers[only].push(chunk)
            cr_fence()
            if !shards[only]._withUnsafeGuaranteedRef({ $0.help() }) { wakeIfSleeping(loop: only) }
            return
        }
        for i in 0..<peerCount where outgoing[i] != nil { pushOutgoing(i) }
    }

    /// A write that failed may have ended a session, and its will is for other loops.
    override func endOfWrites() {
        for i in 0..<peerCount where outgoing[i] != nil { pushOutgoing(i) }
    }

    override var packetsReceived: UInt64 { cr_load_relaxed_u64(counters.cells + Metric.packetsReceived.rawValue) }

    /// The only loop this tick has messages for, if it is one.
    private var onlyOutgoing: Int? {
        var only: Int?
        for i in 0..<peerCount where outgoing[i] != nil {
            if only != nil { return nil }
            only = i
        }
        return only
    }

    /// Few messages for one loop, and little else to do: with more the other thread is worth waking.
    private func mayHelp(_ i: Int) -> Bool {
        !isHelped && arrivals <= Shard.helpWith && outgoing[i]!.pointee.count <= Shard.helpWith
    }

    private static var helpWith: Int { 4 }

    // MARK: - Small things

    /// All shards exist: their inboxes and alarm bells are noted.
    func meet(_ shards: [Shard]) {
        for (i, shard) in shards.enumerated() {
            (peers + i).initialize(to: shard.inbox)
            (bells + i).initialize(to: shard.bell)
            (self.shards + i).initialize(to: .passUnretained(shard))
        }
        peerCount = shards.count
    }

    private func wakeIfSleeping(loop i: Int) { bells[i].ringIfSleeping() }

    func scratch(_ count: Int) -> UnsafeMutableRawPointer {
        if count > scratchRoom {
            scratch.deallocate()
            scratchRoom = count * 2
            scratch = .allocate(byteCount: scratchRoom, alignment: 16)
        }
        return scratch
    }

    /// Where the templates of a fan-out are encoded, one place a protocol generation.
    func templateRoom(_ which: Int, _ count: Int) -> UnsafeMutableRawPointer {
        if count > templates[which].count {
            templates[which].deallocate()
            templates[which] = .allocate(byteCount: count * 2, alignment: 16)
        }
        return templates[which].baseAddress!
    }

    /// xorshift: for picking share members, not for secrets.
    func nextRandom() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }

    func handle(_ c: ConnectionRef) -> UInt64 {
        Handle.make(shard: index, generation: c.pointee.generation, slot: c.pointee.slot)
    }

    func handle(_ s: SessionRef) -> UInt64 {
        Handle.make(shard: index, generation: s.pointee.generation, slot: s.pointee.slot)
    }

    func connection(_ handle: UInt64) -> ConnectionRef? {
        guard Handle.shard(handle) == number, let c = connections.find(Handle.slot(handle)) else { return nil }
        guard c.pointee.generation & 0xFF_FFFF == Handle.generation(handle), c.pointee.generation & 1 == 1
        else { return nil }
        return c
    }

    func session(_ handle: UInt64) -> SessionRef? {
        guard Handle.shard(handle) == number, let s = sessions.find(Handle.slot(handle)) else { return nil }
        guard s.pointee.generation & 0xFF_FFFF == Handle.generation(handle), s.pointee.generation & 1 == 1
        else { return nil }
        return s
    }

    /// The chains in force. Valid until the loop has passed a tick's end.
    var chains: UnsafeMutablePointer<ChainSet> {
        cr_load_ptr(chainCell)!.assumingMemoryBound(to: ChainSet.self)
    }

    func forEachSession(in slots: Range<Int> = 0..<Int.max, _ body: (SessionRef) -> Void) {
        for slot in slots.clamped(to: 0..<sessions.capacity) {
            if let s = sessions.find(UInt32(slot)), s.pointee.generation & 1 == 1 { body(s) }
        }
    }

    func forEachConnection(in slots: Range<Int> = 0..<Int.max, _ body: (ConnectionRef) -> Void) {
        for slot in slots.clamped(to: 0..<connections.capacity) {
            if let c = connections.find(UInt32(slot)), c.pointee.generation & 1 == 1 { body(c) }
        }
    }

    /// What a burst left behind goes back to the system.
    func giveMemoryBack() {
        connections.trim()
        sessions.trim()
        trimTransports()
        trimReceiveBuffer()
        pool.trim()
        chunkPool.trim()
        builder.trim()
        cr_messages_trim()
    }

    // MARK: - Chunks

    func pushOutgoing(_ i: Int) {
        guard let chunk = outgoing[i] else { return }
        outgoing[i] = nil
        peers[i].push(chunk)
        if !leaveErrand(for: i) { wakeIfSleeping(loop: i) }
    }
}
