// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Schedules
import Testing

@testable import Reactor

@Suite("Event loop: writing")
struct WritingTests {
    private static func put(_ bytes: [UInt8], to transport: TransportRef, on loop: EventLoop) {
        loop.reserve(transport, bytes.count).copyMemory(from: bytes, byteCount: bytes.count)
    }

    @Test("More than the socket takes is written as the peer reads, and `drained` tells when all is out")
    func large() {
        let pair = Pair()
        let bytes = pattern(1_800_000)
        pair.sync { loop, t in
            for at in stride(from: 0, to: bytes.count, by: 18_000) {
                Self.put(Array(bytes[at..<at + 18_000]), to: t, on: loop)
            }
        }
        pair.sync { _, _ in }
        #expect(pair.read { _, t in t.pointee.isBlocked && t.pointee.pending > 0 })
        #expect(pair.read { loop, _ in loop.drains } == 0)
        #expect(pair.peer.receive(bytes.count) == bytes)
        #expect(pair.wait())
        #expect(pair.read { loop, t in (loop.drains, t.pointee.pending, t.pointee.bytesOut) } == (1, 0, 1_800_000))
        #expect(pair.read { _, t in t.pointee.isBlocked } == false)
    }

    @Test("What the end of a connection in a failed write leaves to do is done in the same tick")
    func failedWrite() {
        let pair = Pair()
        nonisolated(unsafe) let peer = pair.peer
        pair.sync { loop, t in
            Self.put([1, 2, 3], to: t, on: loop)
            peer.close()
        }
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.closings } == [.error])
        #expect(pair.read { loop, _ in loop.closedIn == loop.closingSeenIn })
    }

    @Test(
        "Own and shared runs of every size leave in order; each shared one is released once",
        arguments: 0..<4 as Range<UInt64>)
    func mixed(seed: UInt64) {
        var dice = Dice(seed)
        let pair = Pair()
        var expected: [UInt8] = []
        var shared: [Shared] = []
        var steps: [(bytes: [UInt8], shared: Shared?)] = []
        for n in 0..<400 {
            let bytes = pattern(1 + dice.below(dice.pick([4, 300, 3000, 70_000])), n)
            expected += bytes
            if dice.oneIn(2) {
                steps.append((bytes, nil))
            } else {
                shared.append(Shared(bytes))
                steps.append(([], shared.last!))
            }
        }
        let all = steps
        pair.sync { loop, t in
            for step in all {
                if let shared = step.shared {
                    shared.append(to: t, on: loop)
                } else {
                    Self.put(step.bytes, to: t, on: loop)
                }
            }
        }
        #expect(pair.peer.receive(expected.count) == expected)
        #expect(pair.wait())
        pair.sync { _, _ in }
        #expect(shared.allSatisfy { $0.releases == 1 })
        #expect(
            pair.read { loop, _ in
                loop.pool.trim()
                return (loop.pool.keptBytes, loop.pool.totalBytes)
            } == (0, 0))
    }

    @Test("A connection that ends gives every run back, written or not", arguments: [true, false])
    func ended(byPeer: Bool) {
        let pair = Pair()
        let shared = (0..<200).map { Shared(pattern(5000, $0)) }
        pair.sync { loop, t in for one in shared { one.append(to: t, on: loop) } }
        pair.sync { _, _ in }
        let before = shared.count { $0.releases == 1 }
        #expect(before > 0 && before < 200)
        if byPeer {
            pair.peer.close()
            #expect(pair.wait())
        } else {
            pair.sync { loop, t in loop.close(t) }
        }
        pair.sync { _, _ in }
        #expect(shared.allSatisfy { $0.releases == 1 })
        #expect(pair.read { loop, _ in loop.closings.count } == (byPeer ? 1 : 0))
    }

    @Test("What is answered to frames of one tick leaves together, at the tick's end")
    func once() {
        let pair = Pair { loop in
            loop.onFrame = { [unowned loop] t, body in
                Self.put(frame(body), to: t, on: loop)
                #expect(t.pointee.bytesOut == 0)
            }
        }
        let bytes = (0..<50).flatMap { frame(pattern(20, $0)) }
        pair.peer.send(bytes)
        #expect(pair.peer.receive(bytes.count) == bytes)
    }

    @Test("Each answer of a long exchange arrives, whatever was written before")
    func exchange() {
        let pair = Pair { loop in
            loop.onFrame = { [unowned loop] t, body in Self.put(frame(body), to: t, on: loop) }
        }
        for n in 0..<200 {
            let bytes = frame(pattern(n * n % 5000, n))
            pair.peer.send(bytes)
            let answer = pair.peer.receive(bytes.count)
            guard answer == bytes else {
                Issue.record("the answer to frame \(n) has \(answer.count) bytes and should have \(bytes.count)")
                return
            }
        }
    }

    @Test("Linger: the last bytes arrive and the stream ends, although the peer goes on sending")
    func linger() {
        let pair = Pair()
        let last = pattern(700_000)
        pair.peer.send(frame([1]) + [9, 9])
        #expect(pair.wait())
        pair.sync { loop, t in
            Self.put(last, to: t, on: loop)
            loop.linger(t)
            loop.linger(t)
        }
        pair.peer.send(pattern(100_000))
        #expect(pair.peer.receive(last.count) == last)
        #expect(pair.peer.isAtEnd())
        pair.peer.send(frame([2]))
        #expect(pair.read { loop, t in loop.closings.isEmpty && !t.pointee.isOpen })
        pair.peer.close()
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
        #expect(pair.read { loop, _ in loop.frames } == [[1]])
        #expect(pair.read { loop, _ in loop.drains } == 0)
    }

    @Test("A peer that has said its last still gets our last bytes, and is gone then")
    func lingerAfterEnd() {
        let pair = Pair()
        let last = pattern(700_000)
        pair.sync { loop, t in
            Self.put(last, to: t, on: loop)
            loop.linger(t)
        }
        pair.peer.halfClose()
        // Rounds of the loop: the end is seen while most of the bytes still wait.
        for _ in 0..<4 { pair.sync { _, _ in } }
        #expect(pair.read { loop, t in loop.closings.isEmpty && t.pointee.pending > 0 })
        #expect(pair.peer.receive(last.count) == last)
        #expect(pair.peer.isAtEnd())
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test("Linger of a paused connection takes what the peer has sent, so that no reset eats the last bytes")
    func lingerPaused() {
        let pair = Pair(early: frame([1]) + frame(pattern(100_000))) { $0.pausesAfterEachFrame = true }
        #expect(pair.wait())
        pair.sync { loop, t in
            Self.put([5, 6], to: t, on: loop)
            loop.linger(t)
        }
        #expect(pair.peer.receive(2) == [5, 6])
        #expect(pair.peer.isAtEnd())
        // Each round takes one receive, and nothing but the linger itself sets it off.
        for _ in 0..<4 { pair.sync { _, _ in } }
        #expect(pair.read { _, t in t.pointee.bytesIn } == 100_009)
        pair.peer.close()
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.frames } == [[1]])
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test(
        "A peer that has said goodbye gets the last bytes and the end at once, without ending itself",
        arguments: [2, 700_000])
    func dismissed(size: Int) {
        let pair = Pair()
        let last = pattern(size)
        pair.peer.send(frame([1]))
        #expect(pair.wait())
        pair.sync { loop, t in
            Self.put(last, to: t, on: loop)
            loop.linger(t, dismissed: true)
        }
        #expect(pair.peer.receive(last.count) == last)
        #expect(pair.wait())
        #expect(pair.peer.isAtEnd())
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test("A peer that goes on sending after its goodbye is half-closed: a reset would eat the last bytes")
    func dismissedUnread() {
        // More than one receive takes.
        let pair = Pair(early: frame([1]) + frame(pattern(150_000))) { $0.pausesAfterEachFrame = true }
        #expect(pair.wait())
        pair.sync { loop, t in
            Self.put([5, 6], to: t, on: loop)
            loop.linger(t, dismissed: true)
        }
        #expect(pair.peer.receive(2) == [5, 6])
        #expect(pair.peer.isAtEnd())
        #expect(pair.read { loop, _ in loop.closings.isEmpty })
        pair.peer.close()
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.closings } == [.peer])
    }

    @Test("A connection is registered for room to write when there is none for the first time, and not before")
    func watchesOut() {
        let pair = Pair()
        pair.sync { loop, t in Self.put([1, 2], to: t, on: loop) }
        #expect(pair.peer.receive(2) == [1, 2])
        #expect(pair.read { _, t in t.pointee.flags.contains(.watchesOut) } == false)
        for n in 0..<3 {
            let bytes = pattern(900_000, n)
            pair.sync { loop, t in Self.put(bytes, to: t, on: loop) }
            pair.sync { _, _ in }
            #expect(pair.read { _, t in t.pointee.flags.contains(.watchesOut) && t.pointee.isBlocked })
            #expect(pair.peer.receive(bytes.count) == bytes)
            #expect(pair.wait())
        }
    }

    @Test("Writing to a peer that is gone ends the connection with an error or its end, once")
    func gone() {
        let pair = Pair()
        nonisolated(unsafe) let peer = pair.peer
        pair.sync { loop, t in
            peer.close()
            for n in 0..<100 { Self.put(pattern(10_000, n), to: t, on: loop) }
        }
        #expect(pair.wait())
        #expect(pair.read { loop, _ in loop.closings.count } == 1)
    }
}
