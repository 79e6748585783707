// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Net

@Suite("How many connections a turn accepts")
struct AcceptTurnTests {
    @Test("One, where they come one by one, however close the turns follow each other")
    func single() {
        var turn = AcceptTurn(most: 64)
        for tick in 1...100 as ClosedRange<UInt64> {
            #expect(turn.size(tick: tick * 2) == 1)
            turn.isOver(tookAll: true)
        }
        for tick in 300..<400 as Range<UInt64> {
            #expect(turn.size(tick: tick) == 1)
            turn.isOver(tookAll: tick % 2 == 0)
        }
    }

    @Test("Twice as many after four full turns in a row, up to the most; one again after the first that is not full")
    func storm() {
        var turn = AcceptTurn(most: 8)
        var sizes: [Int] = []
        for tick in 1...18 as ClosedRange<UInt64> {
            sizes.append(turn.size(tick: tick))
            turn.isOver(tookAll: tick != 17)
        }
        #expect(sizes == [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8, 1])
    }
}
