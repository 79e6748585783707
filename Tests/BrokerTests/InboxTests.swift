// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Testing

@testable import Broker

@Suite("Inbox of a shard")
struct InboxTests {
    @Test("Chunks of several shards all arrive, those of each in the order they were pushed")
    func order() {
        nonisolated(unsafe) let inbox = Inbox()
        let (shards, each) = (3, 400)
        let threads = (0..<shards).map { shard in
            startThread("shard") {
                for n in 0..<each {
                    let chunk = Chunk.allocate(small: true)
                    chunk.pointee.used = 16
                    chunk.pointee.count = shard * each + n
                    inbox.push(chunk)
                }
            }
        }
        var seen: [[Int]] = Array(repeating: [], count: shards)
        var left = shards * each
        while left > 0 {
            var next = inbox.takeAll()
            while let chunk = next {
                next = chunk.pointee.next
                seen[chunk.pointee.count / each].append(chunk.pointee.count % each)
                inbox.done(chunk.pointee.used)
                UnsafeMutableRawPointer(chunk).deallocate()
                left -= 1
            }
        }
        for thread in threads { pthread_join(thread, nil) }
        #expect(seen.allSatisfy { $0 == Array(0..<each) })
        #expect(cr_load_i64(inbox.waiting) == 0)
        #expect(inbox.isEmpty)
    }

    @Test("A chunk refers to a block once for each run of it, to sixteen at most, and lets go of all")
    func lenders() {
        let chunk = Chunk.allocate(small: true)
        let blocks = (0..<17).map { _ in cr_input_take(100)! }
        func refer(to block: InputRef) -> Bool { chunk.pointee.refer(to: block) }
        for block in blocks[..<16] {
            #expect(refer(to: block) && refer(to: block))
            #expect(cr_load_u32(&block.pointee.references) == 2)
        }
        #expect(!refer(to: blocks[16]))
        #expect(!blocks[16].isShared)
        chunk.pointee.letGo()
        #expect(blocks.allSatisfy { !$0.isShared })
        #expect(refer(to: blocks[16]))
        chunk.pointee.letGo()
        for block in blocks { cr_input_release(block) }
        UnsafeMutableRawPointer(chunk).deallocate()
    }
}
