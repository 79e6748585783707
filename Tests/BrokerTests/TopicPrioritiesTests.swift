// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Broker

@Suite("Topic priorities")
struct TopicPrioritiesTests {
    private func lane(_ priorities: TopicPriorities, _ topic: String) -> Int {
        withBytes(topic) { priorities.lane($0) }
    }

    @Test("Without a list there is one lane")
    func none() {
        #expect(TopicPriorities().lanes == 1)
        #expect(lane(TopicPriorities(), "a") == 0)
        #expect(lane(TopicPriorities([], defaultHighest: true), "a") == 0)
    }

    @Test("The highest number comes first, equal numbers share a lane, the others come last or first")
    func order() {
        let list = [("low", 1), ("high", 10), ("also/high", 10), ("middle", 5)]
        let last = TopicPriorities(list.map { (topic: $0.0, priority: $0.1) })
        #expect(last.lanes == 4)
        #expect(
            ["high", "also/high", "middle", "low", "other", "hig", "highe"].map { lane(last, $0) } == [
                0, 0, 1, 2, 3, 3, 3,
            ])
        let first = TopicPriorities(list.map { (topic: $0.0, priority: $0.1) }, defaultHighest: true)
        #expect(first.lanes == 4)
        #expect(["other", "high", "middle", "low"].map { lane(first, $0) } == [0, 1, 2, 3])
    }

    @Test("A topic that is listed twice has its first priority; priority 0 is above the unlisted")
    func twice() {
        let priorities = TopicPriorities([("a", 0), ("a", 3), ("b", 3)])
        #expect(["b", "a", "c"].map { lane(priorities, $0) } == [0, 1, 2])
    }
}
