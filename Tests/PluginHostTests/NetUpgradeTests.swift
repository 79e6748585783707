// SPDX-License-Identifier: Apache-2.0
import Glibc
import Ports
import Reactor
import Synchronization
import Testing

@testable import PluginHost

extension PluginHostTests {
    @Suite(.serialized) struct NetUpgrade {
        @Test func connectionsGoOverWithTheirState() {
            let rig = Rig()
            defer { rig.close() }
            let (tcp, udp) = rig.loadNet()
            let clients = (0..<10).map { _ in TCPClient(port: tcp) }
            let datagrams = UDPClient(port: udp)
            for client in clients {
                #expect(client.ask("x") == "x")
                client.send("half a ")
            }
            rig.add("net", as: "net", "VERSION=\"2.0.0\"")
            #expect(rig.reload("net") == nil)
            #expect(rig.values("net")["rebound"] == 10)
            for client in clients {
                #expect(client.ask("line") == "half a line", "what the old image left unconsumed is the new one's")
                #expect(client.ask("lines") == "2.0.0 3")
            }
            #expect(datagrams.ask([1]) == [1])
            #expect(TCPClient(port: tcp).ask("lines") == "2.0.0 1")
            let info = rig.main { rig.host.netListeners() }
            #expect(info.map(\.name) == ["net:tcp", "net:udp"] && info[0].currentClients >= 10)
            #expect(rig.unloadReport("net")?.resident == nil)
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func aNewAddressTakesTheOldConnections() {
            let rig = Rig()
            defer { rig.close() }
            let old = rig.loadNet().tcp
            let client = TCPClient(port: old)
            #expect(client.ask("x") == "x")
            let fresh = freePort()
            rig.add("net", as: "net", "TCP=\"127.0.0.1:\(fresh)\"")
            #expect(rig.reload("net") == nil)
            #expect(client.ask("lines") == "1.0.0 2")
            #expect(TCPClient(port: fresh).ask("y") == "y")
            #expect(TCPClient(port: old).isRefused)
            client.end()
            #expect(client.isClosed())
            #expect(rig.eventually { rig.main { rig.host.netListeners()[0].currentClients } <= 1 })
        }

        @Test func withoutReboundTheyAreClosed() {
            let rig = Rig()
            defer { rig.close() }
            let port = rig.loadNet().tcp
            let client = TCPClient(port: port)
            #expect(client.ask("x") == "x")
            rig.add("net", as: "net", "NO_REBIND")
            #expect(rig.reload("net") == nil)
            #expect(client.isClosed())
            #expect(TCPClient(port: port).ask("y") == "y", "the socket itself is kept")
        }

        @Test func aNewImageThatFailsTouchesNothing() {
            let rig = Rig()
            defer { rig.close() }
            let (tcp, udp) = rig.loadNet()
            let client = TCPClient(port: tcp)
            #expect(client.ask("x") == "x")
            rig.add("net", as: "net", "FAIL_START")
            #expect(rig.reload("net")?.kind == .refused)
            #expect(client.ask("lines") == "1.0.0 2")
            #expect(TCPClient(port: tcp).ask("y") == "y")
            #expect(UDPClient(port: udp).ask([9]) == [9])
        }

        @Test func aNamedConnectionGoesOver() {
            let rig = Rig()
            defer { rig.close() }
            _ = rig.loadNet()
            let door = Door()
            #expect(rig.ctl("net connect 127.0.0.1:\(door.port) named") == "")
            let peer = door.accept()
            #expect(peer.line() == "hello from 1.0.0")
            #expect(rig.becomes("out_opened", 1))
            rig.add("net", as: "net", "VERSION=\"2.0.0\"", "CLAIM=\"127.0.0.1:1\"")
            #expect(rig.reload("net") == nil)
            #expect(rig.values("net")["out_rebound"] == 1)
            #expect(peer.ask("ping") == "pong 2.0.0")
            // An image that does not ask for it ends it.
            rig.add("net", as: "net", "VERSION=\"3.0.0\"")
            #expect(rig.reload("net") == nil)
            #expect(peer.isClosed())
        }

        @Test func noByteIsLostInAHundredUpgrades() {
            let rig = Rig()
            defer { rig.close() }
            let port = rig.loadNet().tcp
            let traffic = Talk(port: port, clients: 4)
            for round in 0..<100 {
                rig.add("net", as: "net", "VERSION=\"\(round % 5).0.0\"")
                #expect(rig.reload("net") == nil)
            }
            let (asked, failed) = traffic.end()
            #expect(failed == 0)
            #expect(asked > 400)
            #expect(rig.values("net")["rebound"] == 4)
            #expect(rig.values("net")["total"] == asked + 4, "no line fell between the export and the swap")
            #expect(rig.unloadReport("net")?.resident == nil)
            #expect(mappings(of: rig.root) == 0)
        }
    }
}

/// Clients that ask and are answered, again and again, on the connections they began with.
private final class Talk: Sendable {
    private let asked = Atomic<Int>(0)
    private let failed = Atomic<Int>(0)
    private let isOver = Atomic<Bool>(false)
    private let ended = Semaphore()
    private let clients: Int

    init(port: UInt16, clients: Int) {
        self.clients = clients
        for number in 0..<clients { startDetachedThread("talk") { self.talk(number, TCPClient(port: port)) } }
    }

    func end() -> (asked: Int, failed: Int) {
        isOver.store(true, ordering: .relaxed)
        for _ in 0..<clients { ended.wait() }
        return (asked.load(ordering: .relaxed), failed.load(ordering: .relaxed))
    }

    private func talk(_ number: Int, _ client: TCPClient) {
        defer { ended.signal() }
        var round = 0
        while !isOver.load(ordering: .relaxed) {
            round += 1
            guard client.ask("\(number) \(round)") == "\(number) \(round)" else {
                failed.add(1, ordering: .relaxed)
                return
            }
            asked.add(1, ordering: .relaxed)
        }
        let lines = client.ask("lines")?.split(separator: " ").last
        if lines.flatMap({ Int($0) }) != round + 1 { failed.add(1, ordering: .relaxed) }
    }
}
