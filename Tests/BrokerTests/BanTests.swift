// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Broker

@Suite struct BanNetworkTests {
    @Test(arguments: [
        ("192.0.2.7", "192.0.2.7"), ("192.0.2.7/32", "192.0.2.7"), ("192.0.2.7/24", "192.0.2.0/24"),
        ("255.255.255.255/1", "128.0.0.0/1"), ("1.2.3.4/0", "0.0.0.0/0"), ("::1", "::1"), ("::1/128", "::1"),
        ("2001:DB8::ffff/32", "2001:db8::/32"), ("2001:db8:1:2:3:4:5:6/64", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ff:4:5:6/72", "2001:db8:1:2::/72"), ("1::1/0", "::/0"), ("::ffff:10.0.0.1", "10.0.0.1"),
    ])
    func hasOneText(_ pair: (String, String)) { #expect(BanNetwork(pair.0)?.text == pair.1) }

    @Test(arguments: [
        "", "/", "x", "1.2.3", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4/x", "1.2.3.4/8/8", "::1/129", "1.2.3.4:5",
    ])
    func isNoNetwork(_ text: String) { #expect(BanNetwork(text) == nil) }

    @Test func everyPrefixOfAnAddressContainsItAndNoneOfItsFlippedNeighbour() throws {
        for (text, bits) in [("203.0.113.77", 32), ("2001:db8:85a3:1234:5678:8a2e:370:7334", 128)] {
            let address = try #require(BanNetwork(text))
            for length in 0...bits {
                let network = address.prefix(length)
                #expect(network.contains(address) && network.length == length)
                #expect(BanNetwork(network.text) == network)
                guard length > 0 else { continue }
                // The address with the last bit of the prefix turned over is outside.
                let neighbour = try #require(BanNetwork(flip(address, bit: length - 1)))
                #expect(!network.contains(neighbour) && address.prefix(length - 1).contains(neighbour))
            }
        }
    }

    private func flip(_ a: BanNetwork, bit: Int) -> String {
        func byte(_ i: Int) -> UInt64 {
            let word = i < 8 ? a.high >> (56 - 8 * UInt64(i)) : a.low >> (56 - 8 * UInt64(i - 8))
            return word & 0xFF ^ (bit / 8 == i ? 0x80 >> UInt64(bit % 8) : 0)
        }
        if a.isIPv4 { return (0..<4).map { "\(byte($0))" }.joined(separator: ".") }
        return (0..<8).map { String(byte($0 * 2) << 8 | byte($0 * 2 + 1), radix: 16) }.joined(separator: ":")
    }

    @Test func familiesAreApart() throws {
        let all4 = try #require(BanNetwork("0.0.0.0/0"))
        let all6 = try #require(BanNetwork("::/0"))
        let mapped = try #require(BanNetwork("::ffff:192.0.2.7"))
        let six = try #require(BanNetwork("2001:db8::1"))
        #expect(all4.contains(mapped) && !all6.contains(mapped))
        #expect(all6.contains(six) && !all4.contains(six))
    }
}

@Suite struct BannedClientsTests {
    private func ban(_ kind: BanKind, _ who: String, until: Int64? = nil) -> Ban {
        Ban(kind: kind, who: who, until: until, reason: "", by: "test")
    }
    private func add(_ list: BanList, _ ban: Ban) -> Bool { list.add(BanList.Key(ban.kind, ban.who)!, ban) }
    private func holds(_ list: BanList, _ id: String, _ user: String, _ address: String, at now: Int64 = 0) -> Bool {
        list.contains(clientID: id, username: user, address: BanNetwork(address)!, now: now)
    }

    @Test func aNameIsOneOfItsKind() {
        let list = BanList()
        #expect(list.isEmpty && !holds(list, "a", "a", "::1"))
        #expect(add(list, ban(.clientid, "a")) && !list.isEmpty)
        #expect(holds(list, "a", "", "::1") && !holds(list, "", "a", "::1") && !holds(list, "b", "b", "::1"))
        #expect(add(list, ban(.username, "b")))
        #expect(holds(list, "x", "b", "::1"))
        list.remove(.clientID("a"))
        list.remove(.username("b"))
        #expect(list.isEmpty && !holds(list, "a", "b", "::1"))
    }

    @Test func networksOfEveryLengthAreFoundUntilTheyAreRemoved() {
        let list = BanList()
        for length in 0...32 {
            let text = BanNetwork("10.20.30.40/\(length)")!.text
            #expect(add(list, ban(.ipaddr, text)) && add(list, ban(.ipaddr, text)))
            #expect(holds(list, "", "", "10.20.30.40") && !holds(list, "", "", "2001:db8::1"))
            list.remove(BanList.Key(.ipaddr, text)!)
            #expect(!holds(list, "", "", "10.20.30.40") && list.isEmpty)
        }
    }

    @Test func endsAtItsTime() {
        let list = BanList()
        #expect(add(list, ban(.clientid, "a", until: 100)) && add(list, ban(.ipaddr, "10.0.0.0/8", until: 200)))
        #expect(add(list, ban(.clientid, "ever")))
        #expect(holds(list, "a", "", "::1", at: 99) && !holds(list, "a", "", "::1", at: 100))
        #expect(list.all(100).map(\.who).sorted() == ["10.0.0.0/8", "ever"])
        #expect(list.removeExpired(99).isEmpty)
        #expect(list.removeExpired(100).map(\.who) == ["a"] && list.removeExpired(100).isEmpty)
        #expect(list.removeExpired(.max - 1).map(\.who) == ["10.0.0.0/8"])
        #expect(holds(list, "ever", "", "10.0.0.1", at: .max))
    }

    @Test func takesOnlySoMany() {
        let list = BanList()
        for i in 0..<BanList.limit { #expect(add(list, ban(.clientid, "\(i)"))) }
        #expect(!add(list, ban(.clientid, "more")) && !list.hasRoom(for: .clientID("more")))
        #expect(add(list, ban(.clientid, "7")) && list.hasRoom(for: .clientID("7")))
        #expect(list.addUnsaved(.clientID("more"), ban(.clientid, "more", until: 5)) == .full)
        list.remove(.clientID("7"))
        #expect(list.addUnsaved(.clientID("more"), ban(.clientid, "more", until: 5)) == .added)
    }

    @Test func whatALoopBansWaitsToBeSavedOnce() {
        let list = BanList()
        let key = BanList.Key.clientID("a")
        #expect(list.addUnsaved(key, ban(.clientid, "a", until: 100)) == .added)
        #expect(list.addUnsaved(key, ban(.clientid, "a", until: 90)) == .known)
        #expect(list.addUnsaved(key, ban(.clientid, "a", until: 110)) == .added)
        #expect(list.takeUnsaved(10).map(\.until) == [110] && list.takeUnsaved(10).isEmpty)
        #expect(add(list, ban(.clientid, "a")) && list.addUnsaved(key, ban(.clientid, "a", until: 900)) == .known)
        for name in ["b", "c", "d"] { _ = list.addUnsaved(.clientID(name), ban(.clientid, name, until: 9)) }
        list.remove(.clientID("c"))
        #expect(list.takeUnsaved(1).count == 1 && list.takeUnsaved(9).count == 1 && list.takeUnsaved(9).isEmpty)
    }

    @Test func aBrokerBansByClientIDUserNameAndAddressAsADualStackListenerSeesItToo() throws {
        let broker = Broker(settings: BrokerSettings())
        func isBanned(_ client: String, _ user: String, _ peer: PeerAddress) -> Bool {
            withBytes(client) { client in
                withBytes(user) { broker.isBanned(clientID: client, username: $0, peer: peer) }
            }
        }
        let (v4, mapped, v6) = (address("192.0.2.7", 1), address("::ffff:192.0.2.7", 2), address("2001:db8::1", 3))
        #expect(!isBanned("c", "u", v4))
        try broker.ban(ban(.ipaddr, "192.0.2.7"))
        #expect(isBanned("c", "u", v4) && isBanned("c", "u", mapped) && !isBanned("c", "u", v6))
        #expect(try broker.ban(ban(.ipaddr, "2001:db8::1/32")).who == "2001:db8::/32")
        #expect(isBanned("c", "u", v6))
        try broker.ban(ban(.clientid, "c"))
        try broker.ban(ban(.username, "u", until: 1))
        let other = address("192.0.2.8", 4)
        #expect(isBanned("c", "", other) && !isBanned("d", "u", other) && !isBanned("", "", other))
        #expect(try broker.unban(.clientid, "c") && !broker.unban(.clientid, "c") && !broker.unban(.username, "u"))
        #expect(!isBanned("c", "u", other))
        for who in ["", "10.0.0.0/33", "host"] {
            #expect(throws: BanFailure.self) { try broker.ban(ban(.ipaddr, who)) }
        }
    }

    /// What a broker was told to keep.
    private final class Kept: BanKeeper, @unchecked Sendable {
        var bans: [String: Ban] = [:]
        var fails = false
        func keep(_ fresh: [Ban], forgetting over: [Ban]) throws(BanFailure) {
            if fails { throw BanFailure("the disk is full") }
            for ban in over { bans[ban.who] = nil }
            for ban in fresh { bans[ban.who] = ban }
        }
    }

    @Test func whatIsNotKeptDoesNotCount() throws {
        let broker = Broker(settings: BrokerSettings())
        let kept = Kept()
        broker.banKeeper = kept
        try broker.ban(ban(.clientid, "a"))
        try broker.ban(ban(.clientid, "over", until: 1))
        #expect(kept.bans.count == 2)
        kept.fails = true
        #expect(throws: BanFailure.self) { try broker.ban(ban(.clientid, "b")) }
        #expect(throws: BanFailure.self) { try broker.unban(.clientid, "a") }
        #expect(broker.banned().map(\.who) == ["a"])
        kept.fails = false
        try broker.ban(ban(.clientid, "over", until: 1))
        broker.tendBans()
        #expect(kept.bans["over"] == nil && kept.bans["a"] != nil)
        let next = Broker(settings: BrokerSettings())
        #expect(next.restore([ban(.clientid, "a"), ban(.username, "b", until: 1)]).map(\.who) == ["b"])
        #expect(next.banned().map(\.who) == ["a"])
    }
}
