// SPDX-License-Identifier: Apache-2.0
import Broker
import Glibc
import Net
import Ports
import Reactor
import Synchronization
import Testing

@testable import PluginHost

/// The plugin host on the real broker with a TCP listener.
private final class LiveRig {
    let broker: Broker
    let rig: Rig
    let listener: Listener
    let port: UInt16

    init(_ change: (inout BrokerSettings) -> Void = { _ in }) {
        var settings = BrokerSettings()
        settings.loops = 2
        change(&settings)
        broker = Broker(settings: settings)
        broker.start()
        rig = Rig(real: broker)
        port = freePort()
        listener = Listener(ListenerOptions(name: "tcp:test", host: "127.0.0.1", port: port), broker: broker)
        try! listener.open()
    }

    func close() {
        listener.stop()
        rig.close()
        broker.stop()
    }
}

/// Publishers that send at QoS 1 as fast as they are acknowledged, and one subscriber that counts.
private final class Load: @unchecked Sendable {
    let acknowledged = Atomic<Int>(0)
    let failed = Atomic<Int>(0)
    let received = Atomic<Int>(0)
    private let isOver = Atomic<Bool>(false)
    private let ended = Semaphore()
    private let port: UInt16
    private let publishers: Int
    private let subscriber: MQTTClient

    init(port: UInt16, publishers: Int, _ subscriber: MQTTClient) {
        self.port = port
        self.publishers = publishers
        self.subscriber = subscriber
        for number in 0..<publishers { startDetachedThread("publisher") { self.publish(number) } }
        startDetachedThread("subscriber") { self.receive() }
    }

    /// Returns when everything sent before has been received, or a client has given up.
    func end() {
        isOver.store(true, ordering: .relaxed)
        for _ in 0..<publishers { ended.wait() }
        let last = MQTTClient(port: port)
        _ = last.connect("last")
        _ = last.publish("t/end", "end", id: 1)
        ended.wait()
    }

    private func publish(_ number: Int) {
        defer { ended.signal() }
        let client = MQTTClient(port: port)
        guard client.connect("publisher-\(number)") == 0 else {
            failed.add(1, ordering: .relaxed)
            return
        }
        var id: UInt16 = 0
        while !isOver.load(ordering: .relaxed) {
            id = id % 60000 + 1
            guard client.publish("t/\(number)", "\(id)", id: id) else {
                failed.add(1, ordering: .relaxed)
                return
            }
            acknowledged.add(1, ordering: .relaxed)
        }
    }

    private func receive() {
        defer { ended.signal() }
        while let payload = subscriber.receive(), payload != "end" { received.add(1, ordering: .relaxed) }
    }
}

extension PluginHostTests {
    @Suite(.serialized) struct Traffic {
        @Test func hooksFireFromTheNextMessageOn() {
            let live = LiveRig()
            defer { live.close() }
            live.rig.add("hooks")
            let client = MQTTClient(port: live.port)
            #expect(client.connect("c") == 0)
            #expect(client.publish("a/b/c", "before", id: 1))
            #expect(live.rig.load("hooks") == nil)
            #expect(client.publish("a/b/c", "after", id: 2))
            #expect(client.publish("a/b/d", "after", id: 3))
            #expect(live.rig.values("hooks")["publish"] == 2)
            #expect(live.rig.values("hooks")["filtered"] == 1)
            let line = live.rig.main { live.rig.host.chainLines() }.first {
                $0.chain == "message.publish" && $0.filter.isEmpty
            }
            #expect(line?.cost.calls == 2 && line!.cost.percentileNS(0.5) > 0)
            #expect(live.rig.unloadReport("hooks")?.resident == nil)
            #expect(mappings(of: live.rig.root) == 0)
            #expect(client.publish("a/b/c", "without", id: 4))
        }

        @Test func loadsAndReloadsUnderTrafficLoseNothing() {
            let live = LiveRig()
            defer { live.close() }
            live.rig.add("hooks")
            live.rig.add("upgrade")
            #expect(live.rig.load("upgrade") == nil)
            let subscriber = MQTTClient(port: live.port)
            #expect(subscriber.connect("subscriber") == 0)
            #expect(subscriber.subscribe("t/#", qos: 1))
            let load = Load(port: live.port, publishers: 3, subscriber)
            for _ in 0..<100 {
                #expect(live.rig.load("hooks") == nil)
                #expect(live.rig.reload("upgrade") == nil)
                #expect(live.rig.unload("hooks") == nil)
            }
            #expect(live.rig.eventually { load.acknowledged.load(ordering: .relaxed) > 300 })
            load.end()
            #expect(load.failed.load(ordering: .relaxed) == 0)
            let sent = load.acknowledged.load(ordering: .relaxed)
            #expect(sent > 300)
            #expect(load.received.load(ordering: .relaxed) == sent)
            #expect(live.rig.values("upgrade")["count"] == sent + 1, "one of both images saw every message")
            #expect(mappings(of: live.rig.root) > 0)
        }

        @Test func aLateAnswerDelaysOnlyItsOwnClient() {
            // "never" asks for 200 ms itself; a late answer has time, however busy the machine is.
            let live = LiveRig { $0.authDeferTimeout = 60_000 }
            defer { live.close() }
            live.rig.add("auth")
            #expect(live.rig.load("auth") == nil)
            let never = MQTTClient(port: live.port)
            never.sendConnect("waiting", user: "never")
            #expect(MQTTClient(port: live.port).connect("a", user: "anna") == 0)
            #expect(MQTTClient(port: live.port).connect("b", user: "late") == 0)
            #expect(MQTTClient(port: live.port).connect("c", user: "bad") != 0)
            let refused = MQTTClient(port: live.port).connect("d", user: "never")
            #expect(refused != 0, "the host's timeout refuses it")
        }

        @Test func aSecondAnswerIsStale() {
            let live = LiveRig()
            defer { live.close() }
            live.rig.add("auth")
            _ = live.rig.load("auth")
            #expect(MQTTClient(port: live.port).connect("a", user: "twice") == 0)
            #expect(live.rig.eventually { live.rig.values("auth")["second"] == Int(statusStale) })
            #expect(live.rig.values("auth")["first"] == 0)
            let open = MQTTClient(port: live.port)
            open.sendConnect("b", user: "never")
            #expect(
                live.rig.eventually {
                    live.rig.main { live.broker.openDeferrals(of: live.rig.host.running[0].owner) } == 1
                })
            #expect(live.rig.unloadReport("auth")?.resident == nil, "an unload does not wait for what is owed")
        }

        @Test func aPluginsOwnSubscriptionAndPublish() {
            let live = LiveRig()
            defer { live.close() }
            live.rig.add("pubsub")
            _ = live.rig.load("pubsub")
            let client = MQTTClient(port: live.port)
            #expect(client.connect("c") == 0 && client.subscribe("out/#", qos: 0))
            #expect(client.publish("news/today", "hello", id: 1))
            #expect(live.rig.eventually { live.rig.ctl("pubsub") == "got=1\nhello\n" })
            #expect(live.rig.ctl("pubsub publish out/x") == "")
            #expect(client.receive() == "from plugin")
        }

        @Test func aPluginsConnectionBecomesAnMQTTClient() {
            let live = LiveRig()
            defer { live.close() }
            let port = live.rig.loadNet().tcp
            let subscriber = MQTTClient(port: live.port)
            #expect(subscriber.connect("subscriber") == 0 && subscriber.subscribe("t/#", qos: 1))
            let client = MQTTClient(port: port)
            client.sendRaw(Array("hello\nmqtt\n".utf8))
            #expect(client.take(11) == Array("hello\nmqtt\n".utf8), "what was sent before comes first")
            #expect(client.connect("through-the-plugin") == 0)
            #expect(client.publish("t/1", "from a gateway", id: 1))
            #expect(subscriber.receive() == "from a gateway")
            #expect(client.subscribe("u/#", qos: 1) && subscriber.publish("u/1", "back", id: 1))
            #expect(client.receive() == "back")
            #expect(live.rig.values("net")["closed"] == 1, "for the plugin it is over")
            #expect(live.rig.main { live.rig.host.netListeners()[0].currentClients } == 1)
            // With CONNECT in the same piece as the plugin's own line, and a client id that another loop has.
            for number in 0..<8 {
                let second = MQTTClient(port: port)
                second.sendRaw(Array("mqtt\n".utf8))
                second.sendConnect(number % 2 == 0 ? "through-the-plugin" : "subscriber")
                #expect(second.take(5) == Array("mqtt\n".utf8))
                #expect(second.acknowledged() == 0)
            }
            #expect(live.rig.unloadReport("net")?.resident == nil)
            #expect(mappings(of: live.rig.root) == 0)
        }
    }
}
