// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import Sessions

/// The queue against an array in order of arrival.
final class MessageQueueMachine: Machine {
    enum Command {
        case push(qos: UInt8, lane: Int)
        case pop
        case popQoS0
        /// Takes out the messages whose number has this remainder.
        case remove(UInt32)
        case clear
    }

    private struct Item: Equatable {
        var value: UInt32
        var qos: UInt8
        var lane: Int
        var size: Int
    }

    private let messages = Messages(payloads: [0, 10, 200, 900])
    private let lanes: Int
    private let limits: QueueLimits
    private var queue: MessageQueue
    private var items: [Item] = []
    private var isAlarmed = false
    private var value: UInt32 = 0

    init(_ dice: inout Dice) {
        lanes = 1 + dice.below(3)
        let low = dice.pick([0, 20, 50])
        limits = QueueLimits(
            maxLength: dice.pick([0, 1, 3, 10]), maxBytes: dice.pick([0, 0, 300, 1200, 2500]),
            drop: dice.pick([.oldest, .newest, .qos0First]), highWatermark: low + dice.pick([0, 10, 40]),
            lowWatermark: low)
        queue = MessageQueue(lanes: lanes)
    }

    var setting: String { "\(lanes) lanes, \(limits)" }

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(20) {
        case 0..<12: .push(qos: UInt8(dice.below(3)), lane: dice.below(4))
        case 12..<15: .pop
        case 15..<18: .popQoS0
        case 18: .remove(UInt32(dice.below(4)))
        default: dice.oneIn(10) ? .clear : .pop
        }
    }

    func run(_ command: Command) -> String? {
        let wrong: String? =
            switch command {
            case .push(let qos, let lane): push(qos, lane)
            case .pop: take(queue.pop(limits: limits), order.first, "pop")
            case .popQoS0: take(queue.popQoS0(limits: limits), order.first { $0.qos == 0 }, "popQoS0")
            case .remove(let remainder): remove(remainder)
            case .clear: clear()
            }
        return wrong ?? compare()
    }

    /// Everything comes out in order, and nothing is left behind.
    func finish() -> String? {
        while let next = queue.pop(limits: limits) {
            if let wrong = take(next, order.first, "pop") { return wrong }
        }
        return compare()
    }

    // MARK: - Commands

    /// By priority, then age.
    private var order: [Item] { (0..<lanes).flatMap { lane in items.filter { $0.lane == lane } } }

    private func push(_ qos: UInt8, _ wanted: Int) -> String? {
        value += 1
        let item = Item(value: value, qos: qos, lane: min(wanted, lanes - 1), size: messages.footprint(value))
        var dropped: [UInt32] = []
        queue.push(messages.delivery(value, qos: qos), lane: wanted, limits: limits) { delivery, reason in
            if reason == .queueFull { dropped.append(delivery.subscriptionID) }
            delivery.discard()
        }
        let expected = victims(of: item)
        items.removeAll { item in expected.contains { $0 == item.value } }
        if expected != [item.value] { items.append(item) }
        if limits.maxLength > 0, items.count * 100 > limits.maxLength * limits.highWatermark { isAlarmed = true }
        return dropped == expected ? nil : "dropped are \(dropped) and should be \(expected)"
    }

    /// What has to go for an item, in order; the item itself if nothing else would help.
    private func victims(of item: Item) -> [UInt32] {
        var willing: [Item] = []
        let lowestFirst = (0..<lanes).reversed().flatMap { lane in items.filter { $0.lane == lane } }
        switch limits.drop {
        case .newest: break
        case .oldest: willing = lowestFirst.filter { $0.lane >= item.lane }
        case .qos0First:
            willing = lowestFirst.filter { $0.qos == 0 && (item.qos > 0 || $0.lane >= item.lane) }
            if item.qos > 0 { willing += lowestFirst.filter { $0.qos > 0 && $0.lane >= item.lane } }
        }
        for n in 0...willing.count where fits(item, without: willing.prefix(n)) {
            return willing.prefix(n).map(\.value)
        }
        return [item.value]
    }

    private func fits(_ item: Item, without gone: ArraySlice<Item>) -> Bool {
        let bytes = items.map(\.size).reduce(item.size, +) - gone.map(\.size).reduce(0, +)
        return (limits.maxLength == 0 || items.count - gone.count < limits.maxLength)
            && (limits.maxBytes == 0 || bytes <= limits.maxBytes)
    }

    private func take(_ delivery: Delivery?, _ expected: Item?, _ what: String) -> String? {
        defer { delivery?.discard() }
        guard delivery?.subscriptionID == expected?.value else {
            return "\(what) gives \(delivery?.subscriptionID ?? 0) and should give \(expected?.value ?? 0)"
        }
        items.removeAll { $0 == expected }
        if expected != nil { calm() }
        return nil
    }

    private func calm() {
        if items.isEmpty || items.count * 100 < limits.maxLength * limits.lowWatermark { isAlarmed = false }
    }

    private func remove(_ remainder: UInt32) -> String? {
        var gone: [UInt32] = []
        queue.removeWhere(limits: limits) { delivery in
            guard delivery.subscriptionID % 4 == remainder else { return false }
            gone.append(delivery.subscriptionID)
            delivery.discard()
            return true
        }
        let expected = order.filter { $0.value % 4 == remainder }
        items.removeAll { $0.value % 4 == remainder }
        if !expected.isEmpty { calm() }
        return gone == expected.map(\.value) ? nil : "taken out are \(gone) and should be \(expected.map(\.value))"
    }

    private func clear() -> String? {
        var gone: [UInt32] = []
        queue.removeAll { delivery in
            gone.append(delivery.subscriptionID)
            delivery.discard()
        }
        let expected = order.map(\.value)
        items = []
        isAlarmed = false
        return gone == expected ? nil : "taken out are \(gone) and should be \(expected)"
    }

    private func compare() -> String? {
        if queue.count != items.count { return "the length is \(queue.count) and should be \(items.count)" }
        let bytes = items.map(\.size).reduce(0, +)
        if queue.bytes != bytes { return "the bytes are \(queue.bytes) and should be \(bytes)" }
        let qos0 = items.count { $0.qos == 0 }
        if queue.qos0Count != qos0 { return "the QoS 0 are \(queue.qos0Count) and should be \(qos0)" }
        if queue.isEmpty != items.isEmpty { return "isEmpty is \(queue.isEmpty)" }
        if queue.alarmed != isAlarmed { return "alarmed is \(queue.alarmed) with \(items.count) messages" }
        return messages.difference(holding: items.map(\.value))
    }
}

@Suite("Message queue")
struct MessageQueueModelTests {
    @Test("Random schedules: order, drops, limits, lanes, watermarks, references")
    func schedules() {
        let failure = firstFailure(MessageQueueMachine.self, seeds: 0..<200, commands: 100)
        #expect(failure == nil, "\(failure!)")
    }

    private func push(
        _ queue: inout MessageQueue, _ delivery: Delivery, lane: Int = 0, _ limits: QueueLimits
    ) -> [UInt32] {
        var dropped: [UInt32] = []
        queue.push(delivery, lane: lane, limits: limits) { delivery, _ in
            dropped.append(delivery.subscriptionID)
            delivery.discard()
        }
        return dropped
    }

    @Test("A message larger than the whole queue empties nothing")
    func tooLarge() {
        let messages = Messages(payloads: [10, 5000])
        let limits = QueueLimits(maxBytes: 2000)
        var queue = MessageQueue()
        for value in [2, 4, 6] as [UInt32] { _ = push(&queue, messages.delivery(value, qos: 1), limits) }
        let dropped = push(&queue, messages.delivery(1, qos: 1), limits)
        #expect(dropped == [1])
        #expect(queue.count == 3)
        queue.removeAll { $0.discard() }
    }

    @Test("A message of low priority does not push out one of high priority")
    func priorityHolds() {
        let messages = Messages(payloads: [10])
        let limits = QueueLimits(maxLength: 2)
        var queue = MessageQueue(lanes: 2)
        for value in [1, 2] as [UInt32] { _ = push(&queue, messages.delivery(value, qos: 1), lane: 0, limits) }
        let low = push(&queue, messages.delivery(3, qos: 1), lane: 1, limits)
        let high = push(&queue, messages.delivery(4, qos: 1), lane: 0, limits)
        #expect(low == [3])
        #expect(high == [1])
        queue.removeAll { $0.discard() }
    }

    @Test("The alarm goes up over the high watermark and down below the low one, once each")
    func hysteresis() {
        let messages = Messages(payloads: [10])
        let limits = QueueLimits(maxLength: 10, highWatermark: 60, lowWatermark: 20)
        var queue = MessageQueue()
        var alarms: [Bool] = []
        for value in 1...8 as ClosedRange<UInt32> {
            _ = push(&queue, messages.delivery(value, qos: 1), limits)
            alarms.append(queue.alarmed)
        }
        #expect(alarms == [false, false, false, false, false, false, true, true])
        alarms = []
        while let next = queue.pop(limits: limits) {
            next.discard()
            alarms.append(queue.alarmed)
        }
        #expect(alarms == [true, true, true, true, true, true, false, false])
    }

    @Test("The largest length there is raises no alarm and no trap", arguments: [Int.max, .max / 60, .max / 100 + 1])
    func largestLength(_ length: Int) {
        let messages = Messages(payloads: [10])
        let limits = QueueLimits(maxLength: length, maxBytes: .max, highWatermark: 100, lowWatermark: 99)
        var queue = MessageQueue()
        for value in 1...3 as ClosedRange<UInt32> {
            #expect(push(&queue, messages.delivery(value, qos: 1), limits) == [])
            let isAlarmed = queue.alarmed
            #expect(!isAlarmed)
        }
        while let next = queue.pop(limits: limits) { next.discard() }
        #expect(limits.hundredths(100) > 1 << 62)
        #expect(QueueLimits(maxLength: 10).hundredths(60) == 600)
    }

    @Test("100,000 messages of mixed QoS leave in order, and QoS 0 in order when only they may leave")
    func many() {
        let messages = Messages(payloads: [1])
        let limits = QueueLimits(maxLength: 0, maxBytes: 0)
        var queue = MessageQueue()
        for value in 1...100_000 as ClosedRange<UInt32> {
            _ = push(&queue, messages.delivery(value, qos: UInt8(value % 2)), limits)
        }
        var wrong = 0
        for value in stride(from: 2 as UInt32, through: 50_000, by: 2) {
            let next = queue.popQoS0(limits: limits)
            if next?.subscriptionID != value { wrong += 1 }
            next?.discard()
        }
        let rest = (1...100_000 as ClosedRange<UInt32>).filter { $0 % 2 == 1 || $0 > 50_000 }
        for value in rest {
            let next = queue.pop(limits: limits)
            if next?.subscriptionID != value { wrong += 1 }
            next?.discard()
        }
        #expect(wrong == 0)
        #expect(queue.count == 0)
    }

    @Test("What waits costs no more than the delivery itself")
    func memory() {
        #expect(MemoryLayout<Waiting>.stride == MemoryLayout<Delivery>.stride)
        #expect(MemoryLayout<Delivery>.stride == 32)
    }
}
