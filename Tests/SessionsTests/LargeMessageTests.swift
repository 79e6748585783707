// SPDX-License-Identifier: Apache-2.0
import Sessions
import Testing

@Suite("Blocks of large messages")
struct LargeMessageTests {
    /// Each thread's messages are of different sizes, and larger ones follow smaller ones into the same block.
    private static func copyAndLook(_ thread: UInt8, rounds: Int) -> Int {
        var wrong = 0
        for round in 0..<rounds {
            let mark = thread &* 64 &+ UInt8(round & 63)
            let payload = [UInt8](repeating: mark, count: (128 << 10) * (1 + round % 4) + round)
            let copy = payload.withUnsafeBytes { bytes in
                withTopic("large") { topic in
                    var borrowed = Message(topic: topic, payload: bytes)
                    return withUnsafeMutablePointer(to: &borrowed) { $0.own() }
                }
            }
            if !copy.pointee.payload.elementsEqual(payload) || text(copy.pointee.topic) != "large" { wrong += 1 }
            copy.release()
        }
        return wrong
    }

    @Test("Threads that copy and release large messages all the time never share a block")
    func threads() async {
        let wrong = await withTaskGroup(of: Int.self) { group in
            for thread in 0..<4 { group.addTask { Self.copyAndLook(UInt8(thread), rounds: 60) } }
            return await group.reduce(0, +)
        }
        #expect(wrong == 0)
    }
}
