// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Ports
import Reactor
import Sockets
import Synchronization
import Testing

@testable import Broker
@testable import Net

/// A broker with two loops and one listener on a free loopback port.
private final class Rig {
    let broker: Broker
    let listener: Listener
    let port: UInt16

    init(_ change: (inout ListenerOptions) -> Void = { _ in }) throws {
        var settings = BrokerSettings()
        settings.loops = 2
        broker = Broker(settings: settings)
        port = freePort()
        var options = ListenerOptions(name: "tcp:test", host: "127.0.0.1", port: port)
        change(&options)
        listener = Listener(options, broker: broker)
        broker.start()
        try listener.open()
    }

    func close() {
        listener.stop()
        broker.stop()
    }

    func connect() -> Int32 {
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let address = SocketAddress(host: "127.0.0.1", port: port)!
        precondition(address.withPointer { Glibc.connect(fd, $0, $1) } == 0)
        return fd
    }

    /// A client that has its CONNACK: the broker's side of it is set up.
    func client() -> Int32 {
        let fd = connect()
        let packet: [UInt8] = [0x10, 13, 0, 4, 0x4D, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 1, UInt8(0x61 + fd % 26)]
        var answer = [UInt8](repeating: 0, count: 4)
        precondition(send(fd, packet, packet.count, 0) == packet.count)
        precondition(recv(fd, &answer, 4, 0) == 4)
        return fd
    }

    /// Descriptors of this process whose own address is the listener's: those that listen, or those that were accepted.
    func sockets(listening: Bool) -> [Int32] {
        (3..<4096).filter { fd in
            var address = sockaddr_in()
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let found = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &length) }
            }
            guard found == 0, address.sin_port == port.bigEndian else { return false }
            return (option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1) == listening
        }
    }
}

private func option(_ fd: Int32, _ level: Int32, _ name: Int32) -> Int32 {
    var value: Int32 = -1
    var length: socklen_t = 4
    getsockopt(fd, level, name, &value, &length)
    return value
}

private func ownPort(_ fd: Int32) -> UInt16? { port { getsockname(fd, $0, $1) } }
private func peerPort(_ fd: Int32) -> UInt16? { port { getpeername(fd, $0, $1) } }

private func port(_ get: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> UInt16? {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let got = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { get($0, &length) }
    }
    return got == 0 ? UInt16(bigEndian: address.sin_port) : nil
}

private let tcp = Int32(IPPROTO_TCP)

@Suite(.serialized) struct ListenerTests {
    @Test(arguments: [true, false]) func nodelayAndReuseaddrReachTheSockets(_ isOn: Bool) throws {
        let rig = try Rig {
            $0.noDelay = isOn
            $0.reuseAddress = isOn
        }
        defer { rig.close() }
        close(rig.client())
        let listening = rig.sockets(listening: true)
        #expect(listening.count == 2)
        for fd in listening { #expect(option(fd, SOL_SOCKET, SO_REUSEADDR) == (isOn ? 1 : 0)) }
        let client = rig.client()
        defer { close(client) }
        // Of the first client, the broker may be closing its end just now.
        let accepted = try #require(rig.sockets(listening: false).first { peerPort($0) == ownPort(client) })
        #expect((option(accepted, tcp, TCP_NODELAY) != 0) == isOn)
    }

    @Test func buffersHaveTheSizeAskedFor() throws {
        let rig = try Rig {
            $0.receiveBuffer = 20_000
            $0.sendBuffer = 24_000
        }
        defer { rig.close() }
        let client = rig.client()
        defer { close(client) }
        let accepted = try #require(rig.sockets(listening: false).first)
        // The kernel doubles what it is asked for, socket(7).
        #expect(option(accepted, SOL_SOCKET, SO_RCVBUF) == 40_000)
        #expect(option(accepted, SOL_SOCKET, SO_SNDBUF) == 48_000)
    }

    @Test func backlogIsTheKernels() throws {
        let rig = try Rig { $0.backlog = 37 }
        defer { rig.close() }
        for fd in rig.sockets(listening: true) {
            // Of a listening socket, tcpi_sacked (five words after eight bytes of flags) is the backlog.
            var info = [UInt32](repeating: 0, count: 64)
            var length: socklen_t = 256
            #expect(getsockopt(fd, tcp, TCP_INFO, &info, &length) == 0)
            #expect(info[7] == 37)
        }
    }

    @Test func aStoppedListenerOpensAgainWhileItsClientsStay() throws {
        let rig = try Rig()
        defer { rig.close() }
        let client = rig.client()
        defer { close(client) }
        rig.listener.stop()
        #expect(rig.sockets(listening: true) == [])
        try rig.listener.open()
        close(rig.client())
        let ping: [UInt8] = [0xC0, 0]
        var answer = [UInt8](repeating: 0, count: 2)
        #expect(send(client, ping, 2, 0) == 2)
        #expect(recv(client, &answer, 2, 0) == 2)
        #expect(answer == [0xD0, 0])
    }

    @Test func withoutReuseaddrConnectionsOfBeforeHoldTheAddress() throws {
        let rig = try Rig { $0.reuseAddress = false }
        defer { rig.close() }
        let client = rig.client()
        rig.listener.stop()
        #expect(throws: ListenerError.self) { try rig.listener.open() }
        close(client)
    }

    @Test func oneAddressBelongsToOneListener() throws {
        var settings = BrokerSettings()
        settings.loops = 1
        let broker = Broker(settings: settings)
        broker.start()
        let port = freePort()
        let set = ListenerSet(
            [
                ListenerOptions(name: "tcp:a", host: "0.0.0.0", port: port),
                ListenerOptions(name: "tcp:b", host: "0.0.0.0", port: port),
                ListenerOptions(name: "tcp:c", host: "127.0.0.1", port: port),
            ], broker: broker)
        defer {
            set.stop()
            broker.stop()
        }
        try set.open(set.all[0])
        let error = #expect(throws: ListenerError.self) { try set.open(set.all[1]) }
        #expect(error?.description == "Listener tcp:b on 0.0.0.0:\(port): the listener tcp:a has this address already.")
        // Every interface, and one of them with other options.
        try set.open(set.all[2])
        #expect(set.listener("tcp:c")?.isOpen == true)
        #expect(set.listener("tcp:b")?.isOpen == false)
    }
}

@Suite struct PlacesTests {
    @Test func manyThreadsNeverTakeMoreThanThereAre() {
        var terms = ListenerTerms(name: "tcp:test")
        terms.maxConnections = 7
        let state = ListenerState(terms)
        let inside = Atomic(0)
        let most = Atomic(0)
        let got = Atomic(0)
        let done = Semaphore()
        for i in 0..<4 {
            startDetachedThread("place-\(i)") {
                for _ in 0..<20_000 {
                    guard state.takePlace() else { continue }
                    got.add(1, ordering: .relaxed)
                    let now = inside.add(1, ordering: .sequentiallyConsistent).newValue
                    _ = most.max(now, ordering: .relaxed)
                    inside.subtract(1, ordering: .sequentiallyConsistent)
                    state.leavePlace()
                }
                done.signal()
            }
        }
        for _ in 0..<4 { done.wait() }
        // Four threads and seven places: nobody is ever turned away.
        #expect(got.load(ordering: .relaxed) == 80_000)
        #expect(most.load(ordering: .relaxed) <= 4)
        #expect(state.counts.current == 0)
        for _ in 0..<7 { #expect(state.takePlace()) }
        #expect(!state.takePlace())
        state.leavePlace()
        #expect(state.takePlace())
    }

    @Test func threadsThatKeepTheirPlacesGetExactlyWhatThereIs() {
        var terms = ListenerTerms(name: "tcp:test")
        terms.maxConnections = 1000
        let state = ListenerState(terms)
        let got = Atomic(0)
        let done = Semaphore()
        for i in 0..<4 {
            startDetachedThread("keep-\(i)") {
                for _ in 0..<1000 where state.takePlace() { got.add(1, ordering: .relaxed) }
                done.signal()
            }
        }
        for _ in 0..<4 { done.wait() }
        #expect(got.load(ordering: .relaxed) == 1000)
        #expect(state.counts.current == 1000)
    }
}
