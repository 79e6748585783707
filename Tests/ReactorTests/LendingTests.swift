// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Schedules
import Testing

@testable import Reactor

/// Touched on one loop only.
private final class Tally: @unchecked Sendable {
    var count = 0
}

/// One after the other: the number of receive buffers is the process's.
@Suite("Event loop: input that is not copied", .serialized)
struct LendingTests {
    /// A connection that sends each frame back, from where it lies if the loop lends it.
    private static func echo(lent: Tally) -> Pair {
        Pair { loop in
            loop.onInput = { [unowned loop] t, frame in
                if let block = loop.input, !t.pointee.isBlocked || block.isMostly(frame), block.lends(frame) {
                    lent.count += 1
                    loop.appendLent(t, frame, from: block)
                } else {
                    loop.reserve(t, frame.count).copyMemory(from: frame.baseAddress!, byteCount: frame.count)
                }
            }
        }
    }

    @Test(
        "Frames come back whole and in order, while more is received and the peer reads late",
        arguments: 0..<3 as Range<UInt64>)
    func echo(seed: UInt64) {
        var dice = Dice(seed)
        let bodies = (0..<24).map { n in
            pattern(dice.pick([0, 9, 1000, 4090, 16_384, dice.below(70_000), dice.below(150_000)]), n)
        }
        let lent = Tally()
        let pair = Self.echo(lent: lent)
        let bytes = bodies.flatMap(frame)
        let sender = startThread("sender") { [peer = pair.peer.fd] in Peer(fd: dup(peer)).send(bytes) }
        let isSame = pair.peer.receive(bytes.count) == bytes
        #expect(isSame)
        #expect(pair.read { _, t in (lent.count > 3, t.pointee.pending) } == (true, 0))
        // Bytes that were overwritten may be a length that never comes: the sender must not wait for it.
        shutdown(pair.peer.fd, Int32(SHUT_RDWR))
        pthread_join(sender, nil)
    }

    @Test("Adjacent frames of one receive are one run of output")
    func adjacent() {
        let lent = Tally()
        let bytes = (0..<20).flatMap { frame(pattern(1000, $0)) }
        let pair = Self.echo(lent: lent)
        nonisolated(unsafe) var runs = 0
        pair.sync { loop, _ in
            loop.onFrame = { t, _ in
                runs = 0
                var segment = t.pointee.outHead
                while let s = segment {
                    runs += 1
                    segment = s.pointee.next
                }
            }
        }
        pair.peer.send(bytes)
        let isSame = pair.peer.receive(bytes.count) == bytes
        #expect(isSame)
        #expect(pair.read { _, _ in (lent.count, runs) } == (20, 1))
    }

    @Test("Where the peer does not read, what waits is copied: no output keeps a receive buffer")
    func blocked() {
        let lent = Tally()
        let pair = Self.echo(lent: lent)
        let bytes = (0..<300).flatMap { frame(pattern(10_000, $0)) }
        pair.peer.send(bytes)
        #expect(pair.wait(300))
        pair.sync { _, _ in }
        #expect(pair.read { _, t in t.pointee.isBlocked })
        #expect(
            pair.read { _, t in
                var segment = t.pointee.outHead
                var count = 0
                while let s = segment {
                    let block = s.pointee.shared?.assumingMemoryBound(to: cr_input.self)
                    if s.pointee.isLent, block?.pointee.is_common != 0 { count += 1 }
                    segment = s.pointee.next
                }
                return count
            } == 0)
        #expect(pair.read { loop, _ in loop.receive.block.isShared } == false)
        let isSame = pair.peer.receive(bytes.count) == bytes
        #expect(isSame)
        #expect(pair.read { _, _ in lent.count } > 0)
    }

    @Test("A receive buffer is used from its start unless somebody refers to it, then behind that, then another")
    func buffer() {
        var buffer = ReceiveBuffer()
        defer { buffer.release() }
        let block = buffer.block
        let first = buffer.room()
        #expect(first.baseAddress == block.bytes && first.count == ReceiveBuffer.most)
        buffer.seen(upTo: first.baseAddress! + 1000)
        #expect(buffer.room(keeping: 10).baseAddress == block.bytes + 10)

        cr_input_retain(block)
        buffer.seen(upTo: first.baseAddress! + 1000)
        let second = buffer.room(keeping: 10)
        #expect(second.baseAddress == block.bytes + 1024 + 10)
        buffer.seen(upTo: second.baseAddress! + 190_000)
        #expect(buffer.room().count == block.pointee.room - 191_040)
        buffer.seen(upTo: block.bytes + block.pointee.room - ReceiveBuffer.least + 64)
        let third = buffer.room()
        #expect(buffer.block != block && third.baseAddress == buffer.block.bytes)
        cr_input_release(block)
    }

    @Test("A buffer nobody refers to any more is used from its start again")
    func returned() {
        var buffer = ReceiveBuffer()
        defer { buffer.release() }
        let block = buffer.block
        cr_input_retain(block)
        buffer.seen(upTo: buffer.room().baseAddress! + 5000)
        #expect(buffer.room().baseAddress != block.bytes)
        cr_input_release(block)
        #expect(buffer.room().baseAddress == block.bytes)
    }

    @Test("Only so many receive buffers are lent from; a packet's own block lends what is most of it")
    func limits() {
        let taken = (0..<InputRef.mostCommon).map { _ in cr_input_take_common()! }
        let run = UnsafeRawBufferPointer(start: taken[0].bytes, count: 4000)
        #expect(!taken[0].lends(run))
        for block in taken { cr_input_release(block) }
        cr_blocks_trim()
        #expect(cr_inputs_common() < InputRef.mostCommon)
        let common = cr_input_take_common()!
        #expect(common.lends(UnsafeRawBufferPointer(start: common.bytes, count: 4000)))
        #expect(!common.lends(UnsafeRawBufferPointer(start: common.bytes + common.pointee.room - 10, count: 11)))
        cr_input_release(common)

        let own = cr_input_take(10_000)!
        #expect(own.lends(UnsafeRawBufferPointer(start: own.bytes + 4, count: 9000)))
        #expect(!own.lends(UnsafeRawBufferPointer(start: own.bytes + 4, count: 4000)))
        #expect(!own.lends(UnsafeRawBufferPointer(start: nil, count: 0)))
        cr_input_release(own)
    }

    @Test("What stands between runs that are not copied takes a small segment")
    func between() {
        let pair = Pair()
        let shared = (0..<50).map { Shared(pattern(20_000, $0)) }
        pair.sync { loop, t in
            loop.pool.trim()
            for one in shared {
                loop.reserve(t, 20).initializeMemory(as: UInt8.self, repeating: 7, count: 20)
                one.append(to: t, on: loop)
            }
        }
        #expect(pair.peer.receive(50 * 20_020).count == 50 * 20_020)
        #expect(pair.read { loop, _ in loop.pool.totalBytes } <= 50 * 512)
    }
}
