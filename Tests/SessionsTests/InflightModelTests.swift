// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import Sessions

/// The inflight window against a plain list of what was sent.
final class InflightMachine: Machine {
    enum Command {
        case add(qos: UInt8)
        case burst(Int)
        /// Messages that come and go while others stay: identifiers go once round when the setting says so.
        case rush
        /// The number picks one of those in flight, whatever state it is in.
        case puback(Int)
        case pubrec(Int)
        case refuse(Int)
        case pubcomp(Int)
        /// It can never be sent again: too large for the new connection.
        case giveUp(Int)
        /// An acknowledgement of an identifier that may be in no use.
        case stray(UInt16)
        case park
        case unpark
        /// Takes out the unreceived messages whose number has this remainder.
        case remove(UInt32)
        case clear
    }

    private struct Sent: Equatable {
        var id: UInt16
        var value: UInt32
        var state: Inflight.State
        var isParked = false
        var sentAt: UInt64
        var hasMessage: Bool { state != .awaitingPubcomp }
    }

    private let messages = Messages(payloads: [0, 1, 10, 100])
    private let rushing: Int
    private var inflight = Inflight()
    private var sent: [Sent] = []
    private var inUse = [Bool](repeating: false, count: 65536)
    private var lastID: UInt16 = 0
    private var value: UInt32 = 0
    private var now: UInt64 = 0
    private var peak = 0

    init(_ dice: inout Dice) { rushing = dice.oneIn(10) ? 65_530 : dice.below(30) }

    var setting: String { "a rush is \(rushing) messages" }

    static func command(_ dice: inout Dice) -> Command {
        switch dice.below(40) {
        case 0..<12: .add(qos: dice.oneIn(2) ? 1 : 2)
        case 12..<14: .burst(1 + dice.below(20))
        case 14: .rush
        case 15..<21: .puback(dice.below(100))
        case 21..<26: .pubrec(dice.below(100))
        case 26: dice.oneIn(2) ? .refuse(dice.below(100)) : .giveUp(dice.below(100))
        case 27..<32: .pubcomp(dice.below(100))
        case 32: .stray(dice.pick([0, 1, 2, 9, 65535, UInt16(dice.below(65536))]))
        case 33: .park
        case 34..<38: .unpark
        case 38: dice.oneIn(3) ? .remove(UInt32(dice.below(3))) : .unpark
        default: dice.oneIn(10) ? .clear : .puback(0)
        }
    }

    func run(_ command: Command) -> String? {
        now += 1
        let wrong: String? =
            switch command {
            case .add(let qos): add(qos)
            case .burst(let n): (0..<n).lazy.compactMap { self.add($0 % 3 == 2 ? 2 : 1) }.first
            case .rush: rush()
            case .puback(let k): puback(id(k))
            case .pubrec(let k): pubrec(id(k))
            case .refuse(let k): refuse(id(k))
            case .pubcomp(let k): pubcomp(id(k))
            case .giveUp(let k): giveUp(id(k))
            case .stray(let id): puback(id) ?? pubrec(id) ?? pubcomp(id)
            case .park: park()
            case .unpark: unpark()
            case .remove(let remainder): remove(remainder)
            case .clear: clear()
            }
        return wrong ?? compare()
    }

    func finish() -> String? { clear() ?? compare() }

    // MARK: - Commands

    private func id(_ k: Int) -> UInt16 { sent.isEmpty ? UInt16(k) : sent[k % sent.count].id }

    private func add(_ qos: UInt8) -> String? {
        value += 1
        let expected = nextID()
        let id = inflight.add(messages.delivery(value, qos: qos), now: now)
        inUse[Int(expected)] = true
        sent.append(
            Sent(id: expected, value: value, state: qos == 2 ? .awaitingPubrec : .awaitingPuback, sentAt: now))
        return id == expected ? nil : "the identifier is \(id) and should be \(expected)"
    }

    private func nextID() -> UInt16 {
        repeat { lastID = lastID == .max ? 1 : lastID + 1 } while inUse[Int(lastID)]
        return lastID
    }

    private func rush() -> String? {
        for _ in 0..<rushing {
            value += 1
            let expected = nextID()
            let id = inflight.add(messages.delivery(value, qos: 1), now: now)
            guard id == expected else { return "the identifier is \(id) and should be \(expected)" }
            guard let done = inflight.puback(id), done.subscriptionID == value else {
                return "\(id) is not acknowledged"
            }
            done.discard()
        }
        return nil
    }

    private func index(_ id: UInt16, _ states: Inflight.State...) -> Int? {
        sent.firstIndex { $0.id == id && states.contains($0.state) }
    }

    private func taken(_ delivery: Delivery?, _ at: Int?, _ what: String) -> String? {
        defer { delivery?.discard() }
        guard delivery?.subscriptionID == at.map({ sent[$0].value }) else {
            return "\(what) gives \(delivery.map { "\($0.subscriptionID)" } ?? "nothing")"
        }
        if let at { drop(at) }
        return nil
    }

    private func drop(_ at: Int) { inUse[Int(sent.remove(at: at).id)] = false }

    private func puback(_ id: UInt16) -> String? {
        taken(inflight.puback(id), index(id, .awaitingPuback), "PUBACK \(id)")
    }

    private func refuse(_ id: UInt16) -> String? {
        taken(inflight.pubrecError(id), index(id, .awaitingPubrec), "PUBREC \(id) with an error")
    }

    private func giveUp(_ id: UInt16) -> String? {
        taken(inflight.giveUp(id), index(id, .awaitingPuback, .awaitingPubrec), "giving up \(id)")
    }

    private func pubrec(_ id: UInt16) -> String? {
        switch inflight.pubrec(id, now: now) {
        case .accepted(let delivery):
            defer { delivery.discard() }
            guard let at = index(id, .awaitingPubrec), sent[at].value == delivery.subscriptionID else {
                return "PUBREC \(id) gives \(delivery.subscriptionID)"
            }
            sent[at].state = .awaitingPubcomp
            sent[at].isParked = false
            sent[at].sentAt = now
            return nil
        case .repeated:
            return index(id, .awaitingPubcomp) == nil ? "PUBREC \(id) counts as repeated" : nil
        case .unknown:
            return index(id, .awaitingPubrec, .awaitingPubcomp) == nil ? nil : "PUBREC \(id) counts as unknown"
        }
    }

    private func pubcomp(_ id: UInt16) -> String? {
        let at = index(id, .awaitingPubcomp)
        if let at { drop(at) }
        return inflight.pubcomp(id) == (at != nil) ? nil : "PUBCOMP \(id) counts as \(at == nil ? "known" : "unknown")"
    }

    private func park() -> String? {
        inflight.park()
        for at in sent.indices where sent[at].hasMessage { sent[at].isParked = true }
        return nil
    }

    private func unpark() -> String? {
        let entry = inflight.unpark(now: now)
        let at = sent.firstIndex { $0.isParked }
        if let at {
            sent[at].isParked = false
            sent[at].sentAt = now
        }
        return entry?.packetID == at.map { sent[$0].id }
            ? nil : "sent again is \(entry?.packetID ?? 0), the first that waits is \(at.map { sent[$0].id } ?? 0)"
    }

    private func remove(_ remainder: UInt32) -> String? {
        var gone: [UInt32] = []
        inflight.removeUnreceived { delivery in
            guard delivery.subscriptionID % 3 == remainder else { return false }
            gone.append(delivery.subscriptionID)
            delivery.discard()
            return true
        }
        var expected: [UInt32] = []
        for at in sent.indices.reversed() where sent[at].hasMessage && sent[at].value % 3 == remainder {
            expected.insert(sent[at].value, at: 0)
            drop(at)
        }
        return gone == expected ? nil : "taken out are \(gone) and should be \(expected)"
    }

    private func clear() -> String? {
        var gone: [UInt32] = []
        inflight.removeAll { delivery in
            gone.append(delivery.subscriptionID)
            delivery.discard()
        }
        let expected = sent.filter(\.hasMessage).map(\.value)
        while !sent.isEmpty { drop(0) }
        return gone == expected ? nil : "taken out are \(gone) and should be \(expected)"
    }

    // MARK: -

    private func compare() -> String? {
        var listed: [Sent] = []
        inflight.forEach { entry in
            let value = entry.state == .awaitingPubcomp ? 0 : entry.delivery.subscriptionID
            listed.append(
                Sent(
                    id: entry.packetID, value: value, state: entry.state, isParked: entry.isParked, sentAt: entry.sentAt
                ))
        }
        let expected = sent.map { entry in
            var entry = entry
            if !entry.hasMessage { entry.value = 0 }
            return entry
        }
        if listed != expected { return "in flight are \(listed) and should be \(expected)" }
        let parked = sent.count(where: \.isParked)
        if inflight.parked != parked { return "\(inflight.parked) wait to be sent again and should be \(parked)" }
        if inflight.count != sent.count - parked { return "the count is \(inflight.count)" }
        peak = max(peak, sent.count + 1)
        if inflight.capacity > max(8, 4 * peak) { return "the ring has grown to \(inflight.capacity)" }
        return messages.difference(holding: sent.filter(\.hasMessage).map(\.value))
    }
}

@Suite("Inflight window")
struct InflightModelTests {
    @Test("Random schedules: order, states, identifiers, references [MQTT-2.2.1-3] [MQTT-2.2.1-4] [MQTT-4.6.0-1]")
    func schedules() {
        let failure = firstFailure(InflightMachine.self, seeds: 0..<60, commands: 250)
        #expect(failure == nil, "\(failure!)")
    }

    @Test("Identifiers are 1, 2, 3 … 65535, 1 [MQTT-2.2.1-3]")
    func identifiersGoRound() {
        let messages = Messages(payloads: [1])
        var inflight = Inflight()
        var wrong = 0
        for n in 0..<70_000 {
            let id = inflight.add(messages.delivery(1, qos: 1), now: 0)
            if Int(id) != n % 65535 + 1 { wrong += 1 }
            inflight.puback(id)?.discard()
        }
        #expect(wrong == 0)
    }

    @Test("With every other identifier in use the free one is found [MQTT-2.2.1-4]")
    func lastFreeIdentifier() {
        let messages = Messages(payloads: [1])
        var inflight = Inflight()
        for _ in 0..<65535 { _ = inflight.add(messages.delivery(1, qos: 1), now: 0) }
        for id in [40_000, 1, 65535, 40_000] as [UInt16] {
            inflight.puback(id)?.discard()
            let next = inflight.add(messages.delivery(1, qos: 1), now: 0)
            #expect(next == id)
        }
        #expect(inflight.count == 65535)
        inflight.removeAll { $0.discard() }
    }

    @Test("A message that is never acknowledged costs no memory for those after it")
    func stuckMessage() {
        let messages = Messages(payloads: [1])
        var inflight = Inflight()
        let stuck = inflight.add(messages.delivery(1, qos: 1), now: 0)
        var ids = Set<UInt16>()
        for _ in 0..<140_000 {
            let id = inflight.add(messages.delivery(2, qos: 1), now: 0)
            if id == stuck || inflight.puback(id).map({ $0.discard() }) == nil { ids.insert(id) }
        }
        let lost = ids.count
        #expect(lost == 0)
        #expect(inflight.count == 1)
        #expect(inflight.capacity <= 16)
        inflight.removeAll { $0.discard() }
    }
}
