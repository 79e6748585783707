// SPDX-License-Identifier: Apache-2.0
import CMartlet
import Testing

@testable import PluginHost

extension PluginHostTests {
    /// What a plugin should never pass is an error code, never a crash, and never reaches a client.
    @Suite(.serialized) struct Arguments {
        private let bad = Int(statusInvalid)

        private func rig() -> Rig {
            let rig = Rig()
            rig.add("strange")
            #expect(rig.load("strange") == nil)
            return rig
        }

        @Test func aMessageIsOneThatASubscriberCanRead() {
            let rig = rig()
            defer { rig.close() }
            #expect(
                rig.values("strange messages") == [
                    "endless": 0, "endless_topic": 0, "nothing": 0, "topic": 0, "type_twice": 0, "format_twice": 0,
                    "type": 0, "nul": 0, "response": 0, "user": 0, "cut": 0, "whole": 1, "publish": bad,
                    "deliver": bad,
                ])
        }

        @Test func aSubscriptionIsOneThatCouldHaveCome() {
            let rig = rig()
            defer { rig.close() }
            #expect(
                rig.values("strange subscriptions") == [
                    "shared": bad, "queue": bad, "text": bad, "endless": bad, "refused": 6, "longer": 0,
                ])
            #expect(rig.broker.events.withLock { $0 } == ["subscribe a", "subscribe second"])
        }

        @Test func namesOfTheBrokerAreNobodyElses() {
            let rig = rig()
            defer { rig.close() }
            rig.main { rig.host.hasNumber = { $0 == "clients/count" } }
            #expect(
                rig.values("strange others") == [
                    "no_table": bad, "the_hosts": Int(statusExists), "put": bad, "key": bad,
                    "own": Int(statusExists), "join": 0, "point": 0,
                ])
            #expect(
                rig.errorLines.contains(
                    "strange: strange joined strange.h with the signature i(l), not i(i); it is not called"))
        }

        @Test func aCountIsNoMoreThanThereCanBe() {
            let rig = rig()
            defer { rig.close() }
            #expect(
                rig.values("strange counts") == [
                    "command": bad, "declare": bad, "respond": bad, "find": 0, "kv": bad, "request": bad,
                    "address": 12, "text": 1,
                ])
        }
    }
}
