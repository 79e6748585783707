// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import PluginHost

extension Rig {
    /// Loads the net plugin; its ports.
    func loadNet(_ defines: String...) -> (tcp: UInt16, udp: UInt16) {
        compile("net", to: plugins + "/net.so", id: "net", defines)
        #expect(load("net") == nil)
        let values = values("net")
        return (UInt16(values["tcp"] ?? 0), UInt16(values["udp"] ?? 0))
    }

    func becomes(_ key: String, _ value: Int) -> Bool { eventually { values("net")[key] == value } }
}

extension PluginHostTests {
    @Suite(.serialized) struct Net {
        @Test func aListenerEchoesAndCounts() {
            let rig = Rig()
            defer { rig.close() }
            let port = rig.loadNet().tcp
            let a = TCPClient(port: port)
            #expect(a.ask("hello") == "hello")
            let b = TCPClient(port: port)
            #expect(b.ask("world") == "world")
            #expect(a.ask("stats") == "in=12 127.0.0.1:\(port)")
            let info = rig.main { rig.host.netListeners() }.first
            #expect(info?.name == "net:tcp" && info?.currentClients == 2 && info?.acceptors == 2)
            #expect(a.ask("close") == "bye" && a.isClosed())
            a.end()
            #expect(rig.becomes("closed", 1))
            #expect(rig.values("net")["stale"] == 2, "the handle is stale at once")
            #expect(rig.values("net")["why"] == 0)
            #expect(rig.values("net")["wrong"] == 0)
            #expect(rig.eventually { rig.main { rig.host.netListeners().first }?.shutdowns == ["plugin_closed": 1] })
            #expect(rig.ctl("net send") == "" && b.line() == "from main")
        }

        @Test func manyPiecesMakeALine() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet().tcp)
            for piece in ["a", "b", String(repeating: "c", count: 50_000)] { client.send(piece) }
            #expect(client.ask("d") == "ab" + String(repeating: "c", count: 50_000) + "d")
        }

        @Test func inputThatNobodyConsumesEndsTheConnection() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet().tcp)
            let block = [UInt8](repeating: 0x78, count: 65536)
            while client.send(block) {}
            #expect(rig.becomes("why", Int(statusNoMemory)))
            #expect(rig.main { rig.host.netListeners()[0].shutdowns } == ["input_overflow": 1])
        }

        @Test func aCallbackThatConsumesTooMuchIsNamed() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet("GREEDY").tcp)
            client.send("x\n")
            #expect(client.isClosed())
            #expect(rig.errorLines.contains { $0.hasPrefix("net: its net data callback consumed 3 of 2 bytes") })
        }

        @Test func aForeignThreadsSendsKeepTheirOrder() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet("HIGH_WATER=4096").tcp)
            client.send("foreign\n")
            for number in 0..<20000 {
                guard client.line() == "line \(number)" else {
                    Issue.record("line \(number) is another")
                    break
                }
            }
        }

        @Test func aPeerThatDoesNotReadIsWaitedFor() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet().tcp, receiveBuffer: 4096)
            client.send("fill\n")
            #expect(rig.eventually { rig.values("net")["busy"]! > 0 })
            #expect(client.take(4_000_000).count == 4_000_000)
            #expect(client.line() == "full")
            #expect(rig.values("net")["writable"]! > 0)
        }

        @Test func aPausedConnectionIsNotRead() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet().tcp)
            #expect(client.ask("before") == "before")
            client.send("pause\nfirst\n")
            #expect(rig.becomes("got", 13))
            client.send("second\n")
            #expect(rig.values("net")["got"] == 13)
            #expect(rig.ctl("net resume") == "")
            #expect(client.line() == "first" && client.line() == "second")
        }

        @Test func anUnloadClosesWhatIsOpen() {
            let rig = Rig()
            defer { rig.close() }
            let port = rig.loadNet().tcp
            let clients = (0..<20).map { _ in TCPClient(port: port) }
            for client in clients { #expect(client.ask("x") == "x") }
            #expect(rig.unloadReport("net")?.resident == nil)
            for client in clients { #expect(client.isClosed()) }
            #expect(mappings(of: rig.root) == 0)
            #expect(TCPClient(port: port).isRefused)
        }

        @Test func aRefusedStartLeavesNoSocket() {
            let rig = Rig()
            defer { rig.close() }
            let door = Door()
            rig.add("net", as: "net", "TCP=\"127.0.0.1:\(door.port)\"")
            #expect(
                rig.load("net")?.sentence
                    == "net was not loaded: net.listen_tcp: the listener tcp: 127.0.0.1:\(door.port) cannot be bound: "
                    + "another program uses this address.")
            #expect(mappings(of: rig.root) == 0)
        }

        @Test func limitsAndAccessAreKept() {
            let rig = Rig()
            defer { rig.close() }
            let port = rig.loadNet("MAX_CONNECTIONS=2").tcp
            let clients = (0..<2).map { _ in TCPClient(port: port) }
            for client in clients { #expect(client.ask("x") == "x") }
            #expect(TCPClient(port: port).isClosed())
            #expect(rig.main { rig.host.netListeners()[0].shutdowns } == ["maxlimit": 1])
            _ = rig.unload("net")
            let closed = rig.loadNet("ACCESS=\"deny 127.0.0.0/8\\nallow all\"").tcp
            #expect(TCPClient(port: closed).isClosed())
            #expect(rig.main { rig.host.netListeners()[0].shutdowns } == ["access_denied": 1])
        }

        @Test func silenceEndsAConnection() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet("IDLE=50").tcp)
            #expect(client.isClosed())
            #expect(rig.becomes("why", Int(statusTimeout)))
        }

        @Test func datagramsComeBack() {
            let rig = Rig()
            defer { rig.close() }
            let client = UDPClient(port: rig.loadNet().udp)
            #expect(client.ask([1, 2, 3]) == [1, 2, 3])
            let large = [UInt8](repeating: 7, count: 60_000)
            #expect(client.ask(large) == large)
            #expect(client.ask([]) == [])
            #expect(rig.values("net")["dgrams"] == 3)
        }

        @Test func wrongArgumentsAreRefused() {
            let rig = Rig()
            defer { rig.close() }
            let client = TCPClient(port: rig.loadNet().tcp)
            #expect(client.ask("x") == "x")
            let answers = rig.values("net bad")
            for key in ["address", "empty", "water", "rule", "connect", "how"] {
                #expect(answers[key] == Int(statusInvalid), "\(key)")
            }
            #expect(answers["twice"] == Int(statusExists))
            #expect(answers["stale"] == Int(statusStale))
            #expect(answers["thread"] == Int(statusThread))
            #expect(client.ask("zone") == "\(statusNotFound)")
        }

        @Test func outgoingConnections() {
            let rig = Rig()
            defer { rig.close() }
            _ = rig.loadNet()
            let door = Door()
            #expect(rig.ctl("net connect localhost:\(door.port)") == "")
            let peer = door.accept()
            #expect(peer.line() == "hello from 1.0.0")
            #expect(peer.ask("ping") == "pong 1.0.0")
            #expect(rig.values("net")["out_opened"] == 1)
        }

        @Test func connectionsThatCannotBeHad() {
            let rig = Rig()
            defer { rig.close() }
            _ = rig.loadNet()
            let refusing = Door(listens: false)
            #expect(rig.ctl("net connect 127.0.0.1:\(refusing.port)") == "")
            #expect(rig.becomes("out_why", Int(statusIO)))
            // A name that cannot be: no name server is asked, whose answer may take longer than the timeout.
            #expect(rig.ctl("net connect no-such-host..invalid:1") == "")
            #expect(rig.becomes("out_why", Int(statusNotFound)))
            // A backlog that is full answers nobody.
            let full = Door()
            listen(full.descriptor, 0)
            let waiting = (0..<4).map { _ in halfOpen(full.port) }
            defer { for fd in waiting { close(fd) } }
            #expect(becomesWritable(waiting[0]), "it has the only place")
            #expect(rig.ctl("net connect 127.0.0.1:\(full.port) soon") == "")
            #expect(rig.becomes("out_why", Int(statusTimeout)))
            #expect(rig.main { rig.host.instance(named: "net")!.net.dialCount } == 0)
        }
    }
}

/// A connection that is asked for and not waited for.
private func halfOpen(_ port: UInt16) -> Int32 {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    _ = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    return fd
}

private func becomesWritable(_ fd: Int32) -> Bool {
    var waiting = pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)
    return poll(&waiting, 1, 60_000) == 1
}

extension TCPClient {
    var isRefused: Bool { !send("x") || line() == nil }
}
