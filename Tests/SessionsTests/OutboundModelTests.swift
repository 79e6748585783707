// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import Sessions

/// The sending half of a session as a shard drives it, against what its client gets to see. The model is the client:
/// it knows what was published, what came over the wire on this connection and before, and the rules.
final class OutboundMachine: Machine {
    enum Command {
        case publish(qos: UInt8, lane: Int)
        /// The client acknowledges one of those it has got on this connection.
        case acknowledge(Int)
        /// The client acknowledges one it got on an earlier connection and not yet on this one.
        case acknowledgeEarly(Int)
        case refuse(Int)
        case disconnect
        case connect(window: Int)
        /// The output is full, or no longer; the shard learns of the latter only with `drained`.
        case clog(Bool)
        case drained
    }

    /// A message, from the client's point of view.
    private struct Got {
        var id: UInt16
        var value: UInt32
        var qos: UInt8
        /// PUBREC was sent.
        var isReceived = false
        /// It came, or came again, on this connection.
        var isHere = true
    }

    private static let limits = QueueLimits(maxLength: 0, maxBytes: 0)
    private let messages = Messages(payloads: [1, 2, 3])
    private let lanes: Int
    private var outbound: Outbound
    private var isOnline = false
    private var isClogged = false
    /// Everything that may go out has gone.
    private var isSettled = true
    private var value: UInt32 = 0
    private var now: UInt64 = 0
    /// Published and not yet sent for the first time, by lane and then QoS 0 or not.
    private var waiting: [[[UInt32]]]
    private var got: [Got] = []
    private var finished = Set<UInt32>()
    private var expected = Set<UInt32>()
    private var wrong: String?

    init(_ dice: inout Dice) {
        lanes = 1 + dice.below(2)
        outbound = Outbound(window: 1 + dice.below(4), lanes: lanes)
        waiting = .init(repeating: [[], []], count: lanes)
    }

    var setting: String { "\(lanes) lanes" }

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(32) {
        case 0..<12: .publish(qos: UInt8(dice.below(3)), lane: dice.below(2))
        case 12..<22: .acknowledge(dice.below(10))
        case 22: .acknowledgeEarly(dice.below(10))
        case 23: .refuse(dice.below(10))
        case 24: .disconnect
        case 25..<28: .connect(window: 1 + dice.below(5))
        case 28: .clog(true)
        case 29: .clog(false)
        default: .drained
        }
    }

    func run(_ command: Command) -> String? {
        now += 1
        switch command {
        case .publish(let qos, let lane): publish(qos, lane % lanes)
        case .acknowledge(let k): acknowledge(k) { $0.isHere }
        case .acknowledgeEarly(let k): acknowledge(k) { !$0.isHere }
        case .refuse(let k): refuse(k)
        case .disconnect: isOnline = false
        case .connect(let window): connect(window)
        case .clog(let clogged): isClogged = clogged
        case .drained: pump()
        }
        return wrong ?? compare()
    }

    /// Nothing is lost and nothing comes twice: the client connects and acknowledges until nothing is left.
    func finish() -> String? {
        isClogged = false
        connect(2)
        var rounds = 0
        while wrong == nil, !got.isEmpty, rounds < 10_000 {
            acknowledge(0) { _ in true }
            rounds += 1
        }
        if wrong == nil, finished != expected {
            return "never delivered are \(expected.subtracting(finished).sorted())"
        }
        return wrong ?? messages.difference(holding: [])
    }

    // MARK: - What a shard does

    private func publish(_ qos: UInt8, _ lane: Int) {
        value += 1
        expected.insert(value)
        let delivery = messages.delivery(value, qos: qos)
        if isOnline && !isClogged && qos == 0 && outbound.maySendQoS0Now {
            waiting[lane][0].append(value)
            wire(delivery, nil)
            delivery.discard()
        } else if isOnline && !isClogged && outbound.maySendNow {
            waiting[lane][1].append(value)
            wire(delivery, outbound.inflight.add(delivery, now: now))
        } else {
            waiting[lane][qos == 0 ? 0 : 1].append(value)
            outbound.queue.push(delivery, lane: lane, limits: Self.limits) { _, _ in wrong = "dropped without a limit" }
            isSettled = isSettled && !isClogged && !outbound.hasNext
        }
    }

    private func pump() {
        isSettled = isOnline && !isClogged
        guard isSettled else { return }
        while outbound.hasRoom, let entry = outbound.inflight.unpark(now: now) { again(entry) }
        while let delivery = outbound.next(limits: Self.limits) {
            if delivery.qos == 0 {
                wire(delivery, nil)
                delivery.discard()
            } else {
                wire(delivery, outbound.inflight.add(delivery, now: now))
            }
        }
        if outbound.hasNext { wrong = "there is a next one after the last" }
    }

    private func connect(_ window: Int) {
        isOnline = true
        outbound.window = window
        for at in got.indices { got[at].isHere = false }
        outbound.inflight.park()
        var released: [UInt16] = []
        outbound.inflight.forEach { entry in
            if entry.state == .awaitingPubcomp { released.append(entry.packetID) }
        }
        // PUBREL for each message received and not completed, in order. [MQTT-4.4.0-1]
        for at in got.indices where got[at].isReceived { got[at].isHere = true }
        let expected = got.filter(\.isReceived).map(\.id)
        if released != expected { wrong = "PUBREL goes out for \(released) and should for \(expected)" }
        pump()
    }

    // MARK: - What the client sees

    /// A message for the first time.
    private func wire(_ delivery: Delivery, _ id: UInt16?) {
        let value = delivery.subscriptionID
        guard let lane = waiting.firstIndex(where: { $0[delivery.qos == 0 ? 0 : 1].contains(value) }) else {
            wrong = "\(value) comes although it does not wait"
            return
        }
        let kind = delivery.qos == 0 ? 0 : 1
        if waiting[lane][kind].first != value {
            wrong = "\(value) overtakes \(waiting[lane][kind][0]) [MQTT-4.6.0-6]"
        }
        waiting[lane][kind].removeAll { $0 == value }
        guard let id else {
            finished.insert(value)
            return
        }
        if got.contains(where: { $0.id == id }) { wrong = "\(id) is in use already [MQTT-2.2.1-4]" }
        if got.contains(where: { !$0.isHere }) { wrong = "\(value) overtakes what has to come again [MQTT-4.6.0-1]" }
        got.append(Got(id: id, value: value, qos: delivery.qos))
        checkWindow()
    }

    /// A message sent again after a resume: unreceived ones in the order of their first sending. [MQTT-4.4.0-1]
    private func again(_ entry: Inflight.Entry) {
        guard let at = got.firstIndex(where: { !$0.isHere && !$0.isReceived }), got[at].id == entry.packetID,
            got[at].value == entry.delivery.subscriptionID, got[at].qos == entry.delivery.qos
        else {
            wrong = "\(entry.packetID) comes again out of order [MQTT-4.6.0-1]"
            return
        }
        got[at].isHere = true
        checkWindow()
    }

    /// Never more unfinished PUBLISH packets on this connection than it may have. [MQTT-4.9.0-1]
    private func checkWindow() {
        let open = got.count { $0.isHere && !$0.isReceived }
        if open > outbound.window { wrong = "\(open) are in flight in a window of \(outbound.window)" }
    }

    private func acknowledge(_ k: Int, _ which: (Got) -> Bool) {
        let candidates = got.indices.filter { which(got[$0]) }
        guard isOnline, !candidates.isEmpty else { return }
        let at = candidates[k % candidates.count]
        let one = got[at]
        if one.qos == 1 {
            taken(outbound.inflight.puback(one.id), at)
        } else if one.isReceived {
            if !outbound.inflight.pubcomp(one.id) { wrong = "PUBCOMP \(one.id) is not known" }
            finished.insert(one.value)
            got.remove(at: at)
        } else {
            guard case .accepted(let delivery) = outbound.inflight.pubrec(one.id, now: now) else {
                wrong = "PUBREC \(one.id) is not accepted"
                return
            }
            delivery.discard()
            got[at].isReceived = true
            got[at].isHere = true
        }
        pump()
    }

    private func refuse(_ k: Int) {
        let candidates = got.indices.filter { got[$0].qos == 2 && !got[$0].isReceived && got[$0].isHere }
        guard isOnline, !candidates.isEmpty else { return }
        let at = candidates[k % candidates.count]
        taken(outbound.inflight.pubrecError(got[at].id), at)
        pump()
    }

    private func taken(_ delivery: Delivery?, _ at: Int) {
        if delivery?.subscriptionID != got[at].value { wrong = "the acknowledgement of \(got[at].id) is not known" }
        delivery?.discard()
        if !finished.insert(got[at].value).inserted { wrong = "\(got[at].value) is delivered twice" }
        got.remove(at: at)
    }

    // MARK: -

    private func compare() -> String? {
        let queued = waiting.joined().map(\.count).reduce(0, +)
        if outbound.queue.count != queued { return "\(outbound.queue.count) are queued and should be \(queued)" }
        if outbound.inflight.count + outbound.inflight.parked != got.count {
            return "\(outbound.inflight.count) + \(outbound.inflight.parked) are in flight and should be \(got.count)"
        }
        if isSettled && isOnline {
            if waiting.contains(where: { !$0[0].isEmpty }) { return "QoS 0 waits although it needs no window" }
            let open = got.count { $0.isHere || $0.isReceived }
            let idle = open < outbound.window && (queued > 0 || open < got.count)
            if idle { return "the window has room and \(queued) wait" }
        }
        let held = waiting.joined().joined() + got.filter { !$0.isReceived }.map(\.value)
        return messages.difference(holding: Array(held))
    }
}

@Suite("Sending half of a session")
struct OutboundModelTests {
    @Test("Random schedules: nothing lost, nothing twice, in order [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-4.9.0-1]")
    func schedules() {
        let failure = firstFailure(OutboundMachine.self, seeds: 0..<250, commands: 150)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("A resume with a smaller window sends again only what fits, in order [MQTT-4.6.0-1] [MQTT-3.3.4-9]")
    func smallerWindow() {
        let messages = Messages(payloads: [1])
        var outbound = Outbound(window: 5)
        for value in 1...5 as ClosedRange<UInt32> {
            _ = outbound.inflight.add(messages.delivery(value, qos: 1), now: 0)
        }
        outbound.inflight.park()
        outbound.window = 2
        var again: [UInt16] = []
        while outbound.hasRoom, let entry = outbound.inflight.unpark(now: 1) { again.append(entry.packetID) }
        #expect(again == [1, 2])
        #expect(outbound.maySendNow == false)
        outbound.inflight.puback(2)?.discard()
        while outbound.hasRoom, let entry = outbound.inflight.unpark(now: 1) { again.append(entry.packetID) }
        #expect(again == [1, 2, 3])
        outbound.inflight.removeAll { $0.discard() }
    }

    @Test(
        "takeShared takes what waits and what was not received, and leaves the rest [MQTT-4.8.2-4]",
        arguments: [true, false])
    func takeShared(keepingQoS2: Bool) {
        let messages = Messages(payloads: [1])
        let limits = QueueLimits(maxLength: 10)
        var outbound = Outbound(window: 4)
        _ = outbound.inflight.add(messages.delivery(1, qos: 1, group: 7), now: 0)
        let received = outbound.inflight.add(messages.delivery(2, qos: 2, group: 7), now: 0)
        _ = outbound.inflight.add(messages.delivery(10, qos: 2, group: 7), now: 0)
        _ = outbound.inflight.add(messages.delivery(3, qos: 1), now: 0)
        if case .accepted(let delivery) = outbound.inflight.pubrec(received, now: 0) { delivery.discard() }
        for value in 4...9 as ClosedRange<UInt32> {
            let qos: UInt8 = value == 5 ? 2 : 1
            outbound.queue.push(messages.delivery(value, qos: qos, group: value % 2 * 7), limits: limits) { _, _ in }
        }
        var taken: [UInt32] = []
        outbound.takeShared(limits: limits, keepingQoS2: keepingQoS2) { delivery in
            taken.append(delivery.subscriptionID)
            delivery.discard()
            return true
        }
        #expect(taken == (keepingQoS2 ? [1, 5, 7, 9] : [1, 10, 5, 7, 9]))
        #expect(outbound.inflight.count == (keepingQoS2 ? 3 : 2))
        #expect(outbound.queue.count == 3)
        outbound.inflight.removeAll { $0.discard() }
        outbound.queue.removeAll { $0.discard() }
        #expect(messages.difference(holding: []) == nil)
    }
}
