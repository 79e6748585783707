// SPDX-License-Identifier: Apache-2.0
import Broker
import Glibc
import Testing

@testable import Net

@Suite struct AccessListTests {
    private func bytes(_ text: String) -> [UInt8] {
        let family = text.contains(":") ? AF_INET6 : AF_INET
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        precondition(inet_pton(family, text, &bytes) == 1)
        return bytes
    }

    private func peer(_ text: String) -> PeerAddress { bytes(text).withUnsafeBytes { PeerAddress($0, port: 1) } }

    private func rule(_ text: String) -> AccessRule {
        let words = text.split(separator: " ")
        let parts = words[1].split(separator: "/")
        let network = AccessRule.Network(bytes: bytes(String(parts[0])), prefix: Int(parts[1])!)
        return AccessRule(isAllowed: words[0] == "allow", network: network)
    }

    private func allows(_ rules: [String], _ address: String) -> Bool {
        AccessList(rules: rules.map(rule)).allows(peer(address))
    }

    @Test func whereNoRuleFitsThePeerMayConnect() {
        #expect(allows([], "192.0.2.1"))
        #expect(allows(["deny 10.0.0.0/8"], "192.0.2.1"))
    }

    @Test func theFirstThatFitsDecides() {
        let rules = ["allow 10.1.0.0/16", "deny 10.0.0.0/8", "allow 10.2.0.0/16"]
        #expect(allows(rules, "10.1.2.3"))
        #expect(!allows(rules, "10.2.2.3"))
    }

    @Test(arguments: [
        ("deny 10.0.0.0/8", "10.255.255.255", "11.0.0.0"), ("deny 10.128.0.0/9", "10.128.0.0", "10.127.255.255"),
        ("deny 192.0.2.9/32", "192.0.2.9", "192.0.2.8"), ("deny 192.0.2.8/31", "192.0.2.9", "192.0.2.10"),
        ("deny 0.0.0.0/0", "203.0.113.1", "2001:db8::1"), ("deny ::/0", "2001:db8::1", "203.0.113.1"),
        ("deny 2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"), ("deny ::1/128", "::1", "::2"),
        ("deny ::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
    ])
    func networksEndAtTheirLastBit(_ rule: String, _ inside: String, _ outside: String) {
        #expect(!allows([rule], inside))
        #expect(allows([rule], outside))
    }

    @Test func mappedAddressesAreMatchedAsIPv4() {
        #expect(!allows(["deny 10.0.0.0/8"], "::ffff:10.1.1.1"))
    }

    @Test func aRuleForAllFitsBothFamilies() {
        let list = AccessList(rules: [rule("allow 10.0.0.0/8"), AccessRule(isAllowed: false, network: nil)])
        #expect(list.allows(peer("10.0.0.1")))
        #expect(!list.allows(peer("192.0.2.1")))
        #expect(!list.allows(peer("::1")))
    }
}

@Suite struct AcceptRateTests {
    @Test func soManyInASecondAndNoMore() {
        var rate = AcceptRate(perSecond: 3)
        for _ in 0..<3 { #expect(rate.take(now: 5000) == 0) }
        #expect(rate.take(now: 5400) == 600)
        #expect(rate.take(now: 5999) == 1)
        #expect(rate.take(now: 6000) == 0)
    }

    @Test func theSecondBeginsWithItsFirstConnection() {
        var rate = AcceptRate(perSecond: 2)
        #expect(rate.take(now: 0) == 0)
        #expect(rate.take(now: 7900) == 0)
        #expect(rate.take(now: 8100) == 0)
        #expect(rate.take(now: 8100) == 800)
    }

    @Test func whatWasNotUsedIsGivenBack() {
        var rate = AcceptRate(perSecond: 1)
        #expect(rate.take(now: 10) == 0)
        rate.giveBack()
        #expect(rate.take(now: 20) == 0)
        #expect(rate.take(now: 20) == 1000)
    }

    @Test func aLoopWhoseClockIsBehindWaitsALittleLonger() {
        var rate = AcceptRate(perSecond: 1)
        #expect(rate.take(now: 1000) == 0)
        #expect(rate.take(now: 998) == 1002)
    }
}
