// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Synchronization
import Testing

@testable import Reactor

/// A loop of a group: each byte it receives goes to the loop that the byte names, into its inbox, and from there back to
/// that loop's own socket. Only whoever holds its state touches what is not in `inbox`.
private final class Member: EventLoop, @unchecked Sendable {
    private let inbox = Mutex<[UInt8]>([])
    private nonisolated(unsafe) var thread = pthread_t()
    private let inside = Atomic<Int>(0)
    private var outgoing: [UInt8] = []
    /// Set before the loops run.
    nonisolated(unsafe) var members: [Member] = []
    var socket: TransportRef?
    /// Read these only inside `sync`.
    var readers: Set<Int32> = []
    var wasShared = false
    var wasSomebodyElse = false
    /// Called with each byte before anything is done with it.
    nonisolated(unsafe) var onByte: (UInt8) -> Void = { _ in }
    /// Called before something is taken from the inbox.
    nonisolated(unsafe) var onTake: () -> Void = {}

    func begin() { thread = startThread("member") { [self] in run() } }

    func end() {
        stop()
        pthread_join(thread, nil)
    }

    override func received(_ transport: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int {
        enter()
        readers.insert(cr_thread_id())
        for byte in bytes {
            onByte(byte)
            outgoing.append(byte)
        }
        leave()
        return bytes.count
    }

    override var hasInbox: Bool { inbox.withLock { !$0.isEmpty } }
    override var hasMail: Bool { hasInbox }

    override func takeInbox() -> Bool {
        enter()
        let batch = inbox.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        if !batch.isEmpty { onTake() }
        if let socket, !batch.isEmpty { reserve(socket, batch.count).copyMemory(from: batch, byteCount: batch.count) }
        leave()
        return !batch.isEmpty
    }

    override func endOfTick() {
        for byte in outgoing {
            let to = Int(byte) % members.count
            members[to].inbox.withLock { $0.append(byte) }
            cr_fence()
            if !leaveErrand(for: to) && to != Int(index) && (isHelped || !members[to].help()) {
                members[to].wakeIfSleeping()
            }
        }
        outgoing.removeAll(keepingCapacity: true)
    }

    private func enter() {
        wasShared = wasShared || inside.add(1, ordering: .relaxed).newValue != 1
        wasSomebodyElse = wasSomebodyElse || cr_current_loop() != index
    }

    private func leave() { inside.subtract(1, ordering: .relaxed) }
}

/// A place that a plugin, as it were, does not come back from until it may.
private final class Trap: Sendable {
    private let isIn = Semaphore()
    private let goOn = Semaphore()
    private let isSet = Atomic<Bool>(false)

    func set() { isSet.store(true, ordering: .sequentiallyConsistent) }

    func enter() {
        guard isSet.exchange(false, ordering: .sequentiallyConsistent) else { return }
        isIn.signal()
        _ = goOn.wait(milliseconds: 60_000)
    }

    /// Whether somebody is in it, or will be.
    func waitForPrey() -> Bool { isIn.wait(milliseconds: 60_000) }

    func open() { goOn.signal() }
}

/// Loops of a group with one connection each.
private final class Members {
    let loops: [Member]
    let group: LoopGroup
    let peers: [Peer]
    private var time = ThreadTime(used: 1, at: 0)

    init(_ count: Int, gathered: Bool) {
        loops = (0..<count).map { Member(index: Int32($0)) }
        group = LoopGroup(loops)!
        group.hold(gathered: gathered)
        var peers: [Peer] = []
        for loop in loops {
            loop.members = loops
            loop.begin()
            let ends = makeEnds()
            loop.sync { loop.socket = loop.adopt(fd: ends.ours)! }
            peers.append(Peer(fd: ends.theirs))
        }
        self.peers = peers
    }

    func end() {
        for loop in loops { loop.sync { loop.close(loop.socket!) } }
        for loop in loops { loop.end() }
    }

    /// One byte after the other from `from`'s peer to the socket of the loop that it names.
    func pass(_ count: Int, from: Int, to: Int) -> Bool {
        for _ in 0..<count {
            peers[from].send([UInt8(to)])
            guard peers[to].receive(1) == [UInt8(to)] else { return false }
        }
        return true
    }

    /// Whoever is held up waits for something: a trap has sprung, though its prey may not have gone to sleep yet.
    func relieve() { group.relieve(isReady: { _ in false }) }

    /// Whoever is held up works, or would: it has had so many of the 10 ms that have passed.
    func relieve(after used: UInt64) {
        time.used += used * 1_000_000
        time.at += 10_000_000
        group.relieve(time: { [time] _ in time }, isReady: { _ in true })
    }

    func isAway(_ i: Int) -> Bool {
        nonisolated(unsafe) var isAway = false
        let loop = loops[i]
        loop.sync { isAway = loop.socket!.pointee.isAway }
        return isAway
    }

    func readers(_ i: Int) -> Set<Int32> {
        nonisolated(unsafe) var readers: Set<Int32> = []
        let loop = loops[i]
        loop.sync {
            readers = loop.readers
            loop.readers = []
        }
        return readers
    }

    func expectOneAtATime() {
        for loop in loops {
            nonisolated(unsafe) var (shared, other) = (false, false)
            loop.sync { (shared, other) = (loop.wasShared, loop.wasSomebodyElse) }
            #expect(!shared && !other, "loop \(loop.index)")
        }
    }
}

@Suite("A group of loops that one thread serves")
struct GroupTests {
    @Test("A socket with a few events is served by the first loop's thread, as its own loop's")
    func gathered() {
        let members = Members(3, gathered: true)
        #expect(members.pass(40, from: 1, to: 2))
        #expect(members.isAway(1) && !members.isAway(2) && members.group.awayCount == 1)
        _ = members.readers(1)
        // Asked who reads there, the loop is awake, and on a busy machine still so when the next bytes come.
        let isServed = (0..<100).contains { _ in
            members.pass(20, from: 1, to: 2) && members.readers(1) == [members.loops[0].threadID]
        }
        #expect(isServed)
        #expect(
            members.pass(20, from: 1, to: 0) && members.pass(20, from: 1, to: 1) && members.pass(20, from: 0, to: 1))
        members.expectOneAtATime()
        members.end()
    }

    @Test("When they spread, each socket goes back to its loop after the next event, and gathers again after a few")
    func toAndFro() {
        let members = Members(2, gathered: true)
        for _ in 0..<3 {
            members.group.hold(gathered: true)
            #expect(members.pass(40, from: 1, to: 0))
            #expect(members.isAway(1))
            members.group.hold(gathered: false)
            #expect(members.pass(2, from: 1, to: 0))
            #expect(!members.isAway(1))
            _ = members.readers(1)
            #expect(members.pass(20, from: 1, to: 0))
            #expect(members.readers(1) == [members.loops[1].threadID])
        }
        members.expectOneAtATime()
        members.end()
    }

    @Test("Spread from the beginning, nothing is reported elsewhere")
    func spread() {
        let members = Members(2, gathered: false)
        #expect(members.pass(40, from: 1, to: 0))
        #expect(!members.isAway(1))
        members.end()
    }

    @Test("The end of a socket that is away is seen, and its descriptor can be handed on")
    func ends() {
        let members = Members(2, gathered: true)
        #expect(members.pass(40, from: 1, to: 0))
        let loop = members.loops[1]
        loop.sync {
            let (fd, rest, _) = loop.release(loop.socket!)
            #expect(rest.isEmpty)
            loop.socket = loop.adopt(fd: fd)!
        }
        #expect(!members.isAway(1))
        #expect(members.pass(40, from: 1, to: 0))
        #expect(members.isAway(1))
        members.end()
        #expect(members.peers[1].isAtEnd() && members.group.awayCount == 0)
    }

    @Test("A peer that takes nothing for a while gets the rest when it does, wherever its socket is reported by then")
    func full() {
        let members = Members(2, gathered: true)
        for gathered in [true, false] {
            members.group.hold(gathered: gathered)
            #expect(members.pass(40, from: 1, to: 0))
            #expect(members.isAway(1) == gathered)
            let bytes = pattern(4 << 20)
            let loop = members.loops[1]
            loop.sync { loop.reserve(loop.socket!, bytes.count).copyMemory(from: bytes, byteCount: bytes.count) }
            #expect(members.peers[1].receive(bytes.count) == bytes)
            #expect(members.pass(40, from: 1, to: 1))
        }
        members.expectOneAtATime()
        members.end()
    }

    @Test("While the first loop is held up, the others serve their own sockets")
    func relieved() {
        let members = Members(2, gathered: true)
        #expect(members.pass(40, from: 1, to: 1))
        let (isIn, goOn) = (Semaphore(), Semaphore())
        let first = members.loops[0]
        first.onByte = { byte in
            guard byte == 200 else { return }
            isIn.signal()
            _ = goOn.wait(milliseconds: 60_000)
        }
        members.peers[0].send([200])
        #expect(isIn.wait(milliseconds: 60_000))
        members.peers[1].send([1])
        members.relieve()
        #expect(members.group.isGathered)
        members.relieve()
        #expect(!members.group.isGathered)
        #expect(members.peers[1].receive(1) == [1])
        #expect(members.pass(20, from: 1, to: 1))
        #expect(!members.isAway(1))
        goOn.signal()
        #expect(members.peers[0].receive(1) == [200])
        // It runs again: nothing is taken from it.
        #expect(members.pass(2, from: 0, to: 0))
        members.group.hold(gathered: true)
        members.relieve()
        #expect(members.pass(2, from: 0, to: 0))
        members.relieve()
        #expect(members.group.isGathered)
        members.expectOneAtATime()
        members.end()
    }

    @Test(
        "While the first loop has much to do, or no core, the others serve what waits for it, and share its thread",
        arguments: [(used: 10, calls: 2), (used: 5, calls: 2), (used: 4, calls: 10), (used: 0, calls: 10)])
    func relievedForAMoment(_ used: UInt64, _ calls: Int) {
        let members = Members(2, gathered: true)
        #expect(members.pass(40, from: 1, to: 1) && members.isAway(1))
        let trap = Trap()
        members.loops[0].onByte = { if $0 == 200 { trap.enter() } }
        trap.set()
        members.peers[0].send([200])
        #expect(trap.waitForPrey())
        members.relieve(after: used)
        for _ in 0..<calls {
            members.peers[1].send([1])
            members.relieve(after: used)
            #expect(members.peers[1].receive(1) == [1])
            #expect(members.group.isGathered && members.isAway(1))
        }
        members.relieve(after: used)
        #expect(!members.group.isGathered)
        trap.open()
        #expect(members.peers[0].receive(1) == [200])
        members.expectOneAtATime()
        members.end()
    }

    @Test("A first loop that is held up for a moment again and again is not shared for long", arguments: [0, 40])
    func relievedTooOften(_ calmLooks: Int) {
        let members = Members(2, gathered: true)
        let trap = Trap()
        members.loops[0].onByte = { if $0 == 200 { trap.enter() } }
        for turn in 1...3 {
            trap.set()
            members.peers[0].send([200])
            #expect(trap.waitForPrey())
            members.relieve(after: 10)
            members.relieve(after: 10)
            #expect(members.group.isGathered == (turn < 3 || calmLooks > 0))
            trap.open()
            #expect(members.peers[0].receive(1) == [200])
            for _ in 0..<calmLooks {
                #expect(members.pass(1, from: 0, to: 0))
                members.relieve(after: 10)
            }
        }
        members.expectOneAtATime()
        members.end()
    }

    @Test("What the first loop's thread has in hand for others when it is held up, they get all the same")
    func relievedOfGuests() {
        let members = Members(2, gathered: true)
        #expect(members.pass(40, from: 1, to: 1) && members.isAway(1))
        let (task, byte) = (Trap(), Trap())
        let first = members.loops[0]
        first.onByte = { if $0 == 200 { byte.enter() } }
        task.set()
        byte.set()
        first.post { task.enter() }
        #expect(task.waitForPrey())
        // Both are there when it waits next: one event behind the other.
        members.peers[0].send([200])
        members.peers[1].send([1])
        task.open()
        #expect(byte.waitForPrey())
        members.relieve()
        members.relieve()
        #expect(members.peers[1].receive(1) == [1])
        byte.open()
        #expect(members.peers[0].receive(1) == [200])
        #expect(members.pass(20, from: 1, to: 0) && members.pass(20, from: 0, to: 1))
        members.expectOneAtATime()
        members.end()
    }

    @Test("What the first loop's thread has promised to see to, loops hear of when it is held up before")
    func relievedOfErrands() {
        let members = Members(3, gathered: true)
        let trap = Trap()
        members.loops[1].onTake = { trap.enter() }
        trap.set()
        members.peers[0].send([1, 2])
        #expect(trap.waitForPrey())
        members.relieve()
        members.relieve()
        #expect(members.peers[2].receive(1) == [2])
        trap.open()
        #expect(members.peers[1].receive(1) == [1])
        members.expectOneAtATime()
        members.end()
    }

    @Test("A visitor that is held up at the first loop keeps nobody else waiting")
    func relievedOfVisitor() {
        let members = Members(3, gathered: true)
        #expect(members.pass(40, from: 2, to: 2) && members.isAway(2))
        let trap = Trap()
        let (first, helper) = (members.loops[0], members.loops[1].threadID)
        first.onTake = { if cr_thread_id() == helper { trap.enter() } }
        trap.set()
        // The first loop may wake up and take it itself; then the next one. Few enough for the socket to stay here.
        var tries = 0
        repeat {
            while !first.isAsleep { sched_yield() }
            members.peers[1].send([0])
            tries += 1
        } while members.peers[0].receives(1, within: 100) && tries < 10
        #expect(trap.waitForPrey())
        members.peers[2].send([2])
        members.relieve()
        members.relieve()
        #expect(!members.group.isGathered)
        // Its thread may take the event only now.
        let isServed = (0..<1000).contains { _ in
            members.relieve()
            return members.peers[2].receives(1, within: 10)
        }
        #expect(isServed)
        trap.open()
        #expect(members.peers[0].receive(1) == [0])
        #expect(members.pass(20, from: 2, to: 0) && members.pass(20, from: 0, to: 2))
        members.expectOneAtATime()
        members.end()
    }

    @Test("They are not gathered again while the first loop is held up")
    func heldUpForLong() {
        let loops = [EventLoop(index: 0), EventLoop(index: 1)]
        let group = LoopGroup(loops)!
        // Neither runs: the first is not asleep and comes to no end.
        let begin = cr_clock_ms()
        group.relieve()
        for step in 0..<100 {
            group.relieve()
            group.look(at: begin + UInt64(step) * GatherRule.longStep)
            #expect(!group.isGathered)
        }
        for step in 100..<110 { group.look(at: begin + UInt64(step) * GatherRule.longStep) }
        #expect(group.isGathered)
    }

    @Test("Who is held up for long keeps one event a socket of those that other threads took for it")
    func handed() {
        var handed = HandedEvents()
        for n in 0..<100_000 {
            handed.add(cr_event(events: n == 0 ? UInt32(CR_HUP) : UInt32(CR_IN), key: UInt64(n % 10)))
        }
        #expect(handed.events.count <= 1024)
        var bits: [UInt64: UInt32] = [:]
        for event in handed.events { bits[event.key, default: 0] |= event.events }
        #expect(bits.count == 10 && bits[0] == UInt32(CR_IN | CR_HUP) && bits[9] == UInt32(CR_IN))
        for n in 0..<5000 { handed.add(cr_event(events: UInt32(CR_IN), key: UInt64(n))) }
        #expect(Set(handed.events.map(\.key)) == Set(0..<5000))
    }

    @Test("Nothing is lost, doubled or touched by two threads while sides change under load")
    func load() {
        let members = Members(4, gathered: true)
        let each = 4_000
        let threads = (0..<4).map { i in
            nonisolated(unsafe) let peer = members.peers[i]
            return startThread("sender") {
                for n in 0..<each {
                    peer.send([UInt8(n & 3)])
                    if n % 32 == 0 { sched_yield() }
                }
            }
        }
        let received = Mutex<[Int]>([0, 0, 0, 0])
        let receivers = (0..<4).map { i in
            nonisolated(unsafe) let peer = members.peers[i]
            return startThread("receiver") {
                let count = peer.receive(each).count { $0 == UInt8(i) }
                received.withLock { $0[i] = count }
            }
        }
        for n in 0..<200 {
            members.group.hold(gathered: n % 2 == 1)
            if n % 5 == 0 { members.relieve() }
            members.loops[n & 3].sync {}
        }
        for thread in threads + receivers { pthread_join(thread, nil) }
        let counts = received.withLock { $0 }
        #expect(counts == [each, each, each, each])
        members.expectOneAtATime()
        members.end()
    }
}
