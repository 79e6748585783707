// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import Broker

/// The banned list against an array, with addresses as text of their bits.
final class BanListMachine: Machine {
    enum Command {
        case ban(BanKind, Int, length: Int, forMS: Int64?)
        /// As a loop does it: a ban that lasts longer stays.
        case banOnLoop(BanKind, Int, length: Int, forMS: Int64?)
        case unban(BanKind, Int, length: Int)
        case wait(Int64)
        case removeExpired
        case look(client: Int, user: Int, address: Int)
    }

    private static let names = ["", "a", "b", "c"]
    private static let hosts = [
        "10.1.2.3", "10.1.2.4", "10.1.200.3", "192.0.2.7", "2001:db8::1", "2001:db8::2", "2001:db8:8000::1", "fe80::1",
    ]

    private let bans = BanList()
    private var model: [(key: BanList.Key, bits: String, ban: Ban)] = []
    private var now: Int64 = 1000

    init(_ dice: inout Dice) {}

    static func command(_ dice: inout Dice) -> Command {
        let kind = dice.pick(BanKind.allCases)
        let (which, length) = (dice.below(8), dice.pick([0, 1, 8, 23, 24, 31, 32, 33, 64, 65, 127, 128]))
        let span = dice.pick([nil, 5, 50, 500] as [Int64?])
        switch dice.below(12) {
        case 0, 1: return .ban(kind, which, length: length, forMS: span)
        case 2: return .banOnLoop(kind, which, length: length, forMS: span)
        case 3: return .unban(kind, which, length: length)
        case 4: return .wait(Int64(dice.below(40)))
        case 5: return .removeExpired
        default: return .look(client: dice.below(4), user: dice.below(4), address: dice.below(8))
        }
    }

    /// What is banned, as an operator writes it and as the bits that must agree.
    private func who(_ kind: BanKind, _ which: Int, _ length: Int) -> (text: String, bits: String) {
        guard kind == .ipaddr else { return (Self.names[1 + which % 3], "") }
        let bits = Self.bits(Self.hosts[which])
        let prefix = min(length, bits.count - 1)
        return ("\(Self.hosts[which])/\(prefix)", String(bits.prefix(prefix + 1)))
    }

    /// "4" or "6", then one digit a bit.
    private static func bits(_ host: String) -> String {
        let peer = address(host, 1)
        let bytes = (0..<(peer.isIPv6 ? 16 : 4)).map { peer.address[$0] }
        return (peer.isIPv6 ? "6" : "4")
            + bytes.map { byte in
                String(repeating: "0", count: byte.leadingZeroBitCount) + (byte == 0 ? "" : String(byte, radix: 2))
            }.joined()
    }

    func run(_ command: Command) -> String? {
        switch command {
        case .ban(let kind, let which, let length, let span):
            let (key, bits, ban) = make(kind, which, length, span)
            model.removeAll { $0.key == key }
            model.append((key, bits, ban))
            if !bans.add(key, ban) { return "there is no room" }
        case .banOnLoop(let kind, let which, let length, let span):
            let (key, bits, ban) = make(kind, which, length, span)
            let old = model.first { $0.key == key }?.ban
            let stays = old.map { $0.until == nil || ban.until != nil && $0.until! >= ban.until! } ?? false
            if !stays {
                model.removeAll { $0.key == key }
                model.append((key, bits, ban))
            }
            let outcome = bans.addUnsaved(key, ban)
            if (outcome == .known) != stays { return "the outcome is \(outcome)" }
        case .unban(let kind, let which, let length):
            let key = BanList.Key(kind, who(kind, which, length).text)!
            model.removeAll { $0.key == key }
            bans.remove(key)
        case .wait(let ms): now += ms
        case .removeExpired:
            let over = model.filter { $0.ban.isOver(at: now) }.map(\.ban)
            model.removeAll { $0.ban.isOver(at: now) }
            let gone = bans.removeExpired(now)
            if gone.count != over.count { return "removed are \(gone) and should be \(over)" }
        case .look(let client, let user, let address):
            if let wrong = look(Self.names[client], Self.names[user], Self.hosts[address]) { return wrong }
        }
        if bans.isEmpty != model.isEmpty { return "isEmpty is \(bans.isEmpty)" }
        let shown = bans.all(now).count
        let expected = model.count { !$0.ban.isOver(at: now) }
        return shown == expected ? nil : "\(shown) are shown and should be \(expected)"
    }

    private func make(_ kind: BanKind, _ which: Int, _ length: Int, _ span: Int64?) -> (BanList.Key, String, Ban) {
        let who = who(kind, which, length)
        let ban = Ban(kind: kind, who: who.text, until: span.map { now + $0 }, reason: "", by: "")
        return (BanList.Key(kind, who.text)!, who.bits, ban)
    }

    private func look(_ client: String, _ user: String, _ host: String) -> String? {
        let bits = Self.bits(host)
        let expected = model.contains { entry in
            guard !entry.ban.isOver(at: now) else { return false }
            switch entry.ban.kind {
            case .clientid: return entry.ban.who == client
            case .username: return entry.ban.who == user
            case .ipaddr: return bits.hasPrefix(entry.bits)
            }
        }
        let actual = bans.contains(
            clientID: client, username: user, address: BanNetwork(address(host, 1)), now: now)
        return actual == expected ? nil : "\(client), \(user) from \(host) \(actual ? "is" : "is not") banned"
    }
}

@Suite("Banned list against a model")
struct BanListModelTests {
    @Test("Random schedules: names, networks of every length, ends")
    func schedules() {
        let failure = firstFailure(BanListMachine.self, seeds: 0..<150, commands: 80)
        #expect(failure == nil, "\(failure!)")
    }
}
