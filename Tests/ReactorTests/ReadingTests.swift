// SPDX-License-Identifier: Apache-2.0
import Glibc
import Schedules
import Testing

@testable import Reactor

@Suite("Event loop: reading")
struct ReadingTests {
    @Test("Packets come whole and in order, however the bytes are cut", arguments: 0..<6 as Range<UInt64>)
    func cut(seed: UInt64) {
        var dice = Dice(seed)
        let bodies = (0..<60).map { n in
            pattern(dice.pick([0, 1, 3, 100, 4090, 4096, 4100, 9000, dice.below(70_000)]), n)
        }
        let pair = Pair()
        var bytes = bodies.flatMap(frame)[...]
        while !bytes.isEmpty {
            let piece = min(bytes.count, 1 + dice.below(dice.pick([3, 50, 5000, 100_000])))
            pair.peer.send(Array(bytes.prefix(piece)))
            bytes = bytes.dropFirst(piece)
        }
        #expect(pair.wait(bodies.count))
        #expect(pair.read { loop, _ in loop.frames } == bodies)
        #expect(pair.read { _, t in t.pointee.bytesIn } == UInt64(bodies.flatMap(frame).count))
    }

    @Test("One byte at a time")
    func bytes() {
        let pair = Pair()
        let body = pattern(700)
        for byte in frame(body) {
            pair.peer.send([byte])
            pair.sync { _, _ in }
        }
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.frames } == [body])
        #expect(pair.read { _, t in t.pointee.restCount } == 0)
    }

    @Test("A large packet is received in place, and what follows it in the same bytes is not lost")
    func large() {
        let bodies = [pattern(1_000_000), pattern(10, 1), pattern(400_000, 2), [], pattern(5, 3)]
        let pair = Pair()
        pair.peer.send(bodies.flatMap(frame))
        #expect(pair.wait(bodies.count))
        #expect(pair.read { loop, _ in loop.frames } == bodies)
        #expect(pair.read { loop, _ in loop.largestNeeded } == 1_000_004)
        #expect(pair.read { _, t in t.pointee.restRoom } == 0)
    }

    @Test("Nothing comes while paused; after each resume what is here comes first", arguments: [10, 20_000, 100_000])
    func pause(size: Int) {
        let bodies = (0..<20).map { pattern(size, $0) }
        let pair = Pair { $0.pausesAfterEachFrame = true }
        let loop = pair.loop
        nonisolated(unsafe) let transport = pair.transport!
        let sender = startThread("sender") { [peer = pair.peer.fd] in Peer(fd: dup(peer)).send(bodies.flatMap(frame)) }
        for n in 1...bodies.count {
            #expect(pair.wait())
            loop.sync {}
            #expect(pair.read { loop, _ in loop.frames.count } == n)
            #expect(pair.read { _, t in t.pointee.isPaused })
            loop.post { loop.resume(transport) }
        }
        pthread_join(sender, nil)
        #expect(pair.read { loop, _ in loop.frames } == bodies)
    }

    @Test("Paused and resumed many times in one go is resumed once")
    func resumeTwice() {
        let pair = Pair()
        pair.sync { loop, t in
            for _ in 0..<3 {
                loop.pause(t)
                loop.resume(t)
                loop.resume(t)
            }
        }
        pair.peer.send(frame([1]) + frame([2]))
        #expect(pair.wait(2))
        #expect(pair.read { loop, _ in loop.frames } == [[1], [2]])
    }

    @Test("Bytes and the end of the stream that are there at once are both seen")
    func lastWords() {
        let pair = Pair(early: frame([7, 7]), closed: true)
        #expect(pair.wait(2))
        #expect(pair.read { loop, _ in loop.frames } == [[7, 7]])
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test("A half-close after bytes is seen while the loop is busy with them")
    func halfClose() {
        let pair = Pair(early: frame(pattern(100_000)))
        pair.peer.send(frame([1]))
        pair.peer.halfClose()
        #expect(pair.wait(3))
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test("What a closed peer had sent before a pause is seen before its end", arguments: [true, false])
    func closedWhilePaused(closesAfterResume: Bool) {
        let pair = Pair { $0.pausesAfterEachFrame = true }
        nonisolated(unsafe) let peer = pair.peer
        pair.peer.send(frame([1]) + frame([2]))
        #expect(pair.wait())
        if !closesAfterResume { peer.close() }
        pair.sync { loop, t in
            loop.pausesAfterEachFrame = false
            // The end is reported in the round in which the kept packet's turn comes.
            loop.resume(t)
            peer.close()
        }
        #expect(pair.wait(2))
        #expect(pair.read { loop, _ in loop.frames } == [[1], [2]])
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test("Closing inside `received` ends the connection there and then, without `closed`")
    func closeInside() {
        let pair = Pair { loop in loop.onFrame = { [unowned loop] t, _ in loop.close(t) } }
        pair.peer.send(frame([1]) + frame([2]))
        #expect(pair.wait())
        #expect(pair.peer.isAtEnd())
        #expect(pair.read { loop, _ in loop.frames } == [[1]])
        #expect(pair.read { loop, _ in loop.closings } == [])
    }

    #if DEBUG
        @Test("Borrowed bytes that somebody keeps are poisoned once they are consumed, the rest is not")
        func poisons() {
            let pair = Pair()
            pair.peer.send(frame([1, 2, 3]) + [9])
            #expect(pair.wait())
            let kept = pair.read { loop, _ in (0..<8).map { loop.lastInput!.load(fromByteOffset: $0, as: UInt8.self) } }
            #expect(kept == Array(repeating: 0xDD, count: 7) + [9])
        }
    #endif

    @Test("A connection moves to another loop with the input that was not consumed")
    func move() {
        let pair = Pair()
        let other = TestLoop(number: 2)
        pair.peer.send(frame([1]) + frame([2, 2, 2]).dropLast())
        #expect(pair.wait())
        let (fd, rest, _) = pair.read { loop, t in loop.release(t) }
        #expect(rest == Array(frame([2, 2, 2]).dropLast()))
        other.sync {
            let t = other.adopt(fd: fd)!
            other.inject(t, rest)
        }
        pair.peer.send([2] + frame([3]))
        #expect(other.events.wait(milliseconds: 60_000) && other.events.wait(milliseconds: 60_000))
        nonisolated(unsafe) var frames: [[UInt8]] = []
        other.sync { frames = other.frames }
        #expect(frames == [[2, 2, 2], [3]])
        pair.peer.close()
        #expect(other.events.wait(milliseconds: 60_000))
        other.end()
    }

    @Test("A slot that is used again is another connection")
    func generations() {
        let pair = Pair()
        let (slot, generation) = pair.read { _, t in (t.pointee.slot, t.pointee.generation) }
        #expect(pair.read { loop, t in loop.transport(slot: slot, generation: generation) == t })
        pair.sync { loop, t in loop.close(t) }
        #expect(pair.read { loop, _ in loop.transport(slot: slot, generation: generation) == nil })
        let ends = makeEnds()
        let again = pair.read { loop, _ in loop.adopt(fd: ends.ours)!.pointee }
        #expect(again.slot == slot && again.generation == generation + 1)
        #expect(pair.read { loop, _ in loop.transport(slot: slot, generation: generation) == nil })
        close(ends.theirs)
    }
}
