// SPDX-License-Identifier: Apache-2.0
import Schedules
import Sessions
import Testing
import Topics

/// Both directions of topic aliases against dictionaries. MQTT 5 §3.3.2.3.4.
final class AliasMachine: Machine {
    enum Command {
        /// The client gives a number to a topic.
        case set(Int, String)
        /// The client gives the topic of one number to another.
        case copy(Int, Int)
        /// The broker sends to a topic.
        case send(String)
    }

    private let maximum: Int
    /// So few hashes that different topics share one.
    private let hashes: UInt64
    private var inbound: InboundAliases
    private var outbound: OutboundAliases
    private var topics: [Int: String] = [:]
    private var aliases: [String: UInt16] = [:]

    init(_ dice: inout Dice) {
        maximum = dice.pick([1, 2, 5, 40])
        hashes = dice.pick([1, 3, .max])
        inbound = InboundAliases(maximum: maximum)
        outbound = OutboundAliases(maximum: maximum)
    }

    var setting: String { "maximum \(maximum), \(hashes) hashes" }

    static func command(_ dice: inout Dice) -> Command {
        let topic = String(repeating: "t", count: 1 + dice.below(4)) + "/\(dice.below(30))"
        switch dice.below(5) {
        case 0, 1: return .set(dice.below(40), topic)
        case 2: return .copy(dice.below(40), dice.below(40))
        default: return .send(topic)
        }
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .set(let alias, let topic):
            let alias = alias % maximum + 1
            withTopic(topic) { inbound.set(UInt16(alias), $0) }
            topics[alias] = topic
        case .copy(let from, let to):
            let (from, to) = (from % maximum + 1, to % maximum + 1)
            if let topic = inbound.topic(UInt16(from)) { inbound.set(UInt16(to), topic) }
            if let topic = topics[from] { topics[to] = topic }
        case .send(let topic):
            if let wrong = send(topic) { return wrong }
        }
        for alias in 1...maximum where inbound.topic(UInt16(alias)).map(text) != topics[alias] {
            return "\(alias) stands for \(inbound.topic(UInt16(alias)).map(text) ?? "nothing")"
        }
        return nil
    }

    private func send(_ topic: String) -> String? {
        let given = withTopic(topic) { outbound.alias(for: $0, hash: Topics.hash($0, seed: 1) % hashes) }
        if let alias = aliases[topic] {
            return given.alias == alias && given.known ? nil : "\(topic) has become \(given)"
        }
        guard aliases.count < maximum else {
            return given.alias == 0 && !given.known ? nil : "\(topic) is \(given), more than the client takes"
        }
        aliases[topic] = UInt16(aliases.count + 1)
        return given.alias == aliases[topic] && !given.known ? nil : "\(topic) is \(given) at first"
    }
}

@Suite("Topic aliases")
struct TopicAliasTests {
    @Test("Random schedules in both directions [MQTT-3.1.2-26] [MQTT-3.3.2-7] [MQTT-3.3.2-10]")
    func schedules() {
        let failure = firstFailure(AliasMachine.self, seeds: 0..<60, commands: 150)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("A maximum of 0 gives no alias [MQTT-3.1.2-27]")
    func none() {
        var outbound = OutboundAliases(maximum: 0)
        let given = withTopic("a") { outbound.alias(for: $0, hash: 1) }
        #expect(given == (0, false))
    }

    @Test("65,535 aliases")
    func many() {
        var outbound = OutboundAliases(maximum: 65535)
        var inbound = InboundAliases(maximum: 65535)
        var wrong = 0
        for n in 1...UInt16.max {
            withTopic("topic/\(n)") { topic in
                inbound.set(n, topic)
                if outbound.alias(for: topic, hash: Topics.hash(topic, seed: 5)) != (n, false) { wrong += 1 }
            }
        }
        for n in stride(from: 1 as UInt16, to: .max, by: 1000) where inbound.topic(n).map(text) != "topic/\(n)" {
            wrong += 1
        }
        #expect(wrong == 0)
        let more = withTopic("one more") { outbound.alias(for: $0, hash: 1) }
        #expect(more == (0, false))
    }
}
