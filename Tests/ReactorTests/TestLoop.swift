// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc

@testable import Reactor

/// A loop on a thread of its own that cuts what it receives into frames: four bytes of length, then as many more.
final class TestLoop: EventLoop, @unchecked Sendable {
    private nonisolated(unsafe) var thread = pthread_t()
    /// One signal for each frame, each end of a connection and each `drained`.
    let events = Semaphore()
    /// Read these only inside `sync`.
    var frames: [[UInt8]] = []
    var closings: [CloseReason] = []
    var failures: [String] = []
    var readies = 0
    var readiesAtFrames: [Int] = []
    var drains = 0
    /// The tick of the last end of a connection, and the one whose `endOfWrites` saw it first.
    var closedIn: UInt64 = 0
    var closingSeenIn: UInt64 = 0
    private var closingsSeen = 0
    var largestNeeded = 0
    var pausesAfterEachFrame = false
    /// Called on the loop with each frame as it lies in the input, its length in front.
    var onInput: (TransportRef, UnsafeRawBufferPointer) -> Void = { _, _ in }
    /// Called on the loop with each frame.
    var onFrame: (TransportRef, [UInt8]) -> Void = { _, _ in }

    init(number: Int32 = 1) {
        super.init(index: number)
        thread = startThread("test-loop") { [self] in run() }
    }

    /// Ends the loop and waits for its thread.
    func end() {
        stop()
        pthread_join(thread, nil)
    }

    /// Where the last input was, for who wants to see what became of it.
    var lastInput: UnsafeRawPointer?

    override func received(_ transport: TransportRef, _ bytes: UnsafeRawBufferPointer) -> Int {
        lastInput = bytes.baseAddress
        var at = 0
        while bytes.count - at >= 4, transport.pointee.isOpen, !transport.pointee.isPaused {
            let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
            guard bytes.count - at >= 4 + length else {
                transport.pointee.needed = 4 + length
                largestNeeded = max(largestNeeded, 4 + length)
                break
            }
            let frame = [UInt8](bytes[at + 4..<at + 4 + length])
            onInput(transport, UnsafeRawBufferPointer(rebasing: bytes[at..<at + 4 + length]))
            at += 4 + length
            frames.append(frame)
            if pausesAfterEachFrame { pause(transport) }
            onFrame(transport, frame)
            events.signal()
        }
        return at
    }

    override func closed(_ transport: TransportRef, _ reason: CloseReason) {
        closings.append(reason)
        closedIn = ticks
        events.signal()
    }

    override func endOfWrites() {
        guard closings.count > closingsSeen else { return }
        closingsSeen = closings.count
        closingSeenIn = ticks
    }

    override func ready(_ transport: TransportRef) { readies += 1 }

    override func layersFailed(_ transport: TransportRef, _ reason: StaticString) {
        failures.append("\(reason)")
        linger(transport)
    }

    override func drained(_ transport: TransportRef) {
        drains += 1
        events.signal()
    }
}

/// The other end of a connection, with blocking calls that give up after a minute.
final class Peer {
    let fd: Int32
    private var isOpen = true

    init(fd: Int32) { self.fd = fd }

    deinit { closeDescriptor() }

    /// The end of the stream at once: a program that another test starts just now may hold a copy of the descriptor.
    func close() {
        if isOpen { shutdown(fd, Int32(SHUT_RDWR)) }
        closeDescriptor()
    }

    private func closeDescriptor() {
        if isOpen { Glibc.close(fd) }
        isOpen = false
    }

    func send(_ bytes: [UInt8]) {
        var at = 0
        while at < bytes.count {
            let n = bytes[at...].withUnsafeBytes { cr_send(fd, $0.baseAddress!, $0.count) }
            if n < 0 { return }
            at += n
        }
    }

    /// `count` bytes, or fewer at the end of the stream or after a minute.
    func receive(_ count: Int) -> [UInt8] {
        var all: [UInt8] = []
        var room = [UInt8](repeating: 0, count: 65536)
        while all.count < count {
            var waiting = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 60_000) == 1 else { break }
            let n = recv(fd, &room, min(room.count, count - all.count), 0)
            if n <= 0 { break }
            all += room[0..<n]
        }
        return all
    }

    /// Whether so many bytes come in time; they are read then.
    func receives(_ count: Int, within milliseconds: Int32) -> Bool {
        var waiting = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, milliseconds) == 1 && receive(count).count == count
    }

    /// True when the stream ends here.
    func isAtEnd() -> Bool {
        var waiting = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        var byte: UInt8 = 0
        return poll(&waiting, 1, 60_000) == 1 && recv(fd, &byte, 1, 0) == 0
    }

    func halfClose() { shutdown(fd, Int32(SHUT_WR)) }
}

/// Two ends of a stream; ours does not block.
func makeEnds() -> (ours: Int32, theirs: Int32) {
    var fds: (Int32, Int32) = (0, 0)
    withUnsafeMutableBytes(of: &fds) {
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        _ = socketpair(AF_UNIX, kind, 0, $0.baseAddress!.assumingMemoryBound(to: Int32.self))
    }
    _ = fcntl(fds.0, F_SETFL, O_NONBLOCK)
    return fds
}

func frame(_ body: [UInt8]) -> [UInt8] { withUnsafeBytes(of: UInt32(body.count)) { Array($0) } + body }

/// Bytes that differ from place to place and from seed to seed.
func pattern(_ count: Int, _ seed: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ ($0 >> 8) &+ seed) }
}

/// Counts releases of runs that the test owns.
final class Shared: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer
    private let cell: UnsafeMutablePointer<UInt32>

    init(_ content: [UInt8]) {
        bytes = .allocate(byteCount: content.count, alignment: 1)
        bytes.copyBytes(from: content)
        cell = .allocate(capacity: 1)
        cell.initialize(to: 0)
    }

    deinit {
        bytes.deallocate()
        cell.deallocate()
    }

    var releases: UInt32 { cr_load_u32(cell) }

    func append(to transport: TransportRef, on loop: EventLoop) {
        loop.appendShared(transport, UnsafeRawBufferPointer(bytes), owner: UnsafeMutableRawPointer(cell)) {
            _ = cr_add_u32($0.assumingMemoryBound(to: UInt32.self), 1)
        }
    }
}

/// A loop with one connection and the peer at its other end.
final class Pair {
    let loop: TestLoop
    let peer: Peer
    private(set) nonisolated(unsafe) var transport: TransportRef!

    /// - Parameters:
    ///   - prepare: called on the loop before the connection is adopted.
    ///   - early: sent by the peer before the connection is adopted.
    ///   - closed: the peer closes before the connection is adopted.
    init(early: [UInt8] = [], closed: Bool = false, layers: LayerStack? = nil, _ prepare: (TestLoop) -> Void = { _ in })
    {
        let ends = makeEnds()
        loop = TestLoop()
        peer = Peer(fd: ends.theirs)
        prepare(loop)
        peer.send(early)
        if closed { peer.close() }
        let fd = ends.ours
        on { loop in loop.adopt(fd: fd, layers: layers)! }
    }

    deinit {
        sync { loop, transport in loop.close(transport) }
        loop.end()
    }

    private func on(_ body: @escaping @Sendable (TestLoop) -> TransportRef) {
        let loop = loop
        nonisolated(unsafe) var adopted: TransportRef?
        loop.sync { adopted = body(loop) }
        transport = adopted
    }

    /// Runs `body` on the loop and waits for it.
    func sync(_ body: @escaping @Sendable (TestLoop, TransportRef) -> Void) {
        let loop = loop
        nonisolated(unsafe) let transport = transport!
        loop.sync { body(loop, transport) }
    }

    /// Waits for so many events; false after a minute without one.
    func wait(_ events: Int = 1) -> Bool {
        for _ in 0..<events where !loop.events.wait(milliseconds: 60_000) { return false }
        return true
    }

    func read<T>(_ body: @escaping @Sendable (TestLoop, TransportRef) -> T) -> T {
        nonisolated(unsafe) var result: T?
        sync { result = body($0, $1) }
        return result!
    }
}
