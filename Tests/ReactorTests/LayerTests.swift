// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Reactor

/// Adds a number to every byte it sends and takes it off what it receives. Ready once a first byte has come; a byte
/// 0xEE in the input is an error, 0xDD the peer's end.
private final class Shift: StreamLayer, @unchecked Sendable {
    private let by: UInt8
    private var greeted: Bool

    init(by: UInt8, greets: Bool) {
        self.by = by
        greeted = !greets
    }

    override var isReady: Bool { greeted }

    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        var bytes = bytes
        if !greeted, let first = bytes.first {
            greeted = true
            withUnsafeBytes(of: first) { down($0) }
            bytes = UnsafeMutableRawBufferPointer(rebasing: bytes[1...])
        }
        for i in bytes.indices {
            if bytes[i] == 0xEE {
                down("no".utf8.map { $0 })
                return .failed("shift_failed")
            }
            if bytes[i] == 0xDD { return .ended }
            bytes[i] &-= by
        }
        // In pieces, as records and frames come.
        var at = 0
        while at < bytes.count {
            let n = min(7, bytes.count - at)
            up(UnsafeMutableRawBufferPointer(rebasing: bytes[at..<at + n]))
            at += n
        }
        return .open
    }

    override func send(_ bytes: UnsafeRawBufferPointer) { down(bytes.map { $0 &+ by }) }
    override func finish() { down(Array("bye".utf8)) }

    private func down(_ bytes: [UInt8]) { bytes.withUnsafeBytes { down($0) } }
}

@Suite("A stack of layers between socket and owner")
struct LayerTests {
    private func pair(greets: Bool = false, _ prepare: (TestLoop) -> Void = { _ in }) -> Pair {
        // Above bottom: both shift, so both directions pass both.
        Pair(layers: LayerStack([Shift(by: 1, greets: greets), Shift(by: 2, greets: false)]), prepare)
    }

    private func encoded(_ bytes: [UInt8]) -> [UInt8] { bytes.map { $0 &+ 3 } }

    /// The patterns hold neither of the two bytes that mean something to `Shift` once encoded.
    private func plain(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 100) } }

    @Test("The owner hears that the handshakes are over before it gets what came with their last bytes")
    func readyFirst() {
        let pair = pair(greets: true) { loop in
            loop.onFrame = { [unowned loop] _, _ in loop.readiesAtFrames.append(loop.readies) }
        }
        pair.peer.send([9] + encoded(frame([1]) + frame([2])))
        #expect(pair.wait(2))
        #expect(pair.read { loop, _ in loop.readiesAtFrames } == [1, 1])
    }

    @Test("Frames arrive decoded, whole although layers bring them in pieces")
    func decodes() {
        let pair = pair()
        let bodies = [plain(3), plain(70_000), [], plain(20)]
        pair.peer.send(encoded(bodies.flatMap { frame($0) }))
        #expect(pair.wait(bodies.count))
        #expect(pair.read { loop, _ in loop.frames } == bodies)
    }

    @Test("What the owner sends is encoded in order, however slowly the peer takes it")
    func encodes() {
        let pair = pair()
        let body = plain(1_500_000)
        pair.sync { loop, t in
            loop.reserve(t, body.count).copyMemory(from: body, byteCount: body.count)
        }
        #expect(pair.read { _, t in t.pointee.isBlocked && t.pointee.pending > 0 })
        #expect(pair.peer.receive(body.count) == encoded(body))
        #expect(pair.wait())
        #expect(pair.read { loop, t in (loop.drains, t.pointee.pending) } == (1, 0))
    }

    @Test("Encoded bytes run at most one helping ahead of the kernel")
    func bounded() {
        let pair = pair()
        let body = plain(2_000_000)
        pair.sync { loop, t in
            loop.reserve(t, body.count).copyMemory(from: body, byteCount: body.count)
        }
        #expect(pair.read { _, t in t.pointee.layers!.takeUnretainedValue().wireBytes } <= 65536)
    }

    @Test("The owner's bytes wait until every layer is ready")
    func waitsForHandshake() {
        let pair = pair(greets: true)
        let body = plain(50)
        pair.sync { loop, t in
            loop.reserve(t, body.count).copyMemory(from: body, byteCount: body.count)
        }
        #expect(pair.read { _, t in t.pointee.pending } == 50)
        pair.peer.send([9])
        #expect(pair.peer.receive(51) == [9] + encoded(body))
        #expect(pair.read { loop, _ in loop.readies } == 1)
    }

    @Test("A pause keeps what layers still bring, and nothing is lost or out of order after it")
    func pauses() {
        let pair = pair { $0.pausesAfterEachFrame = true }
        let bodies = (0..<200).map { plain($0) }
        pair.peer.send(encoded(bodies.flatMap { frame($0) }))
        for _ in bodies {
            #expect(pair.wait())
            pair.sync { loop, t in loop.resume(t) }
        }
        #expect(pair.read { loop, _ in loop.frames } == bodies)
    }

    @Test("A layer that fails is counted by its reason and the peer hears its last word")
    func fails() {
        let pair = pair()
        pair.peer.send([0xEE])
        #expect(pair.peer.receive(2) == Array("no".utf8))
        #expect(pair.read { loop, _ in loop.failures } == ["shift_failed"])
    }

    @Test("A layer that gives up by itself ends its connection, once")
    func failsOutside() {
        let layer = Shift(by: 1, greets: true)
        let pair = Pair(layers: LayerStack([layer]))
        #expect(pair.read { _, t in t.pointee.stack!.waitsFor.description } == "handshake_timeout")
        pair.sync { _, _ in
            layer.fail("shift_late")
            layer.fail("shift_again")
        }
        #expect(pair.read { loop, _ in loop.failures } == ["shift_late"])
        #expect(pair.peer.receive(3) == Array("bye".utf8))
        #expect(pair.peer.isAtEnd())
    }

    @Test("The end a layer reports is the peer's end")
    func ends() {
        let pair = pair()
        pair.peer.send([0xDD])
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
        #expect(pair.peer.isAtEnd())
    }

    @Test("Lingering sends what waits, then the layers' goodbyes from the top, then the end")
    func lingers() {
        let pair = pair()
        pair.sync { loop, t in
            loop.reserve(t, 2).copyMemory(from: [10, 20] as [UInt8], byteCount: 2)
            loop.linger(t)
        }
        // The upper layer's goodbye passes through the lower one.
        #expect(pair.peer.receive(8) == [13, 23] + Array("bye".utf8).map { $0 + 1 } + Array("bye".utf8))
        #expect(pair.peer.isAtEnd())
    }

    @Test("A stack moves to another loop with what it has not written")
    func moves() {
        let pair = pair()
        let second = TestLoop(number: 2)
        defer { second.end() }
        let body = plain(40)
        // Two and a half frames: what is not consumed moves as bytes, the rest arrives at the other loop.
        let input = encoded(frame(body) + frame(body))
        pair.peer.send(Array(input[..<60]))
        #expect(pair.wait())
        nonisolated(unsafe) var moved: (fd: Int32, rest: [UInt8], layers: LayerStack?)?
        pair.sync { loop, t in
            loop.appendWire(t, t.pointee.layers!.takeUnretainedValue(), UnsafeRawBufferPointer(start: body, count: 4))
            moved = loop.release(t)
        }
        let (fd, rest, layers) = moved!
        second.sync {
            let t = second.adopt(fd: fd, layers: layers)!
            second.inject(t, rest)
        }
        pair.peer.send(Array(input[60...]))
        #expect(second.events.wait(milliseconds: 60_000))
        #expect(pair.peer.receive(4) == [0, 1, 2, 3])
    }
}

extension UnsafeRawBufferPointer {
    fileprivate init(start: [UInt8], count: Int) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        copy.copyBytes(from: start[..<count])
        self.init(copy)
    }
}
