// SPDX-License-Identifier: Apache-2.0
import Glibc
import Testing

@testable import Reactor
@testable import Sockets
@testable import TLS

/// The associations of one UDP socket, without the socket, on a loop that does not run: its clock is the test's.
@Suite("DTLS associations")
struct AssociationTests {
    @Test("Who does not finish its handshake is gone when its time is up")
    func handshakeTimeout() throws {
        let door = try Door { $0.handshakeTimeout = 10_000 }
        let peer = try door.peer(1)
        // It hears the server's cookie and answers; the flight that follows is lost.
        peer.isDeafAfter = 1
        peer.shakeHands()
        #expect(door.counts.current == 1)
        door.pass(9_000)
        #expect(door.counts.current == 1 && door.counts.ends.isEmpty)
        door.pass(1_000)
        #expect(door.counts.current == 0)
        #expect(door.counts.ends == ["tls_handshake_timeout": 1])
        #expect(door.counts.accepted == 0)
    }

    @Test("Once full, who has been silent for a minute makes room, and nobody else does")
    func evicted() throws {
        let door = try Door { $0.maxAssociations = 2 }
        let (first, second) = (try door.peer(1), try door.peer(2))
        for peer in [first, second] {
            peer.shakeHands()
            #expect(peer.session.isReady)
        }
        door.pass(30_000)
        first.say("still here")
        #expect(door.heard == ["still here"])
        door.pass(29_000)
        let third = try door.peer(3)
        third.shakeHands()
        #expect(!third.session.isReady)
        #expect(door.counts.ends == ["maxlimit": 1])
        door.pass(1_000)
        let fourth = try door.peer(4)
        fourth.shakeHands()
        #expect(fourth.session.isReady)
        #expect(door.counts.ends == ["maxlimit": 1, "evicted": 1])
        #expect(second.isOver && !first.isOver, "the one that was evicted has been told")
        first.say("and still")
        second.say("gone")
        #expect(door.heard == ["still here", "and still"])
        #expect(door.counts.current == 2)
        // Nobody is old enough now.
        try door.peer(5).shakeHands()
        #expect(door.counts.ends == ["maxlimit": 2, "evicted": 1])
    }

    @Test("Handshakes left half-way do not keep others out, and who is in does not go for them")
    func halfWay() throws {
        let door = try Door {
            $0.maxAssociations = 2
            $0.handshakeTimeout = 300_000
        }
        let first = try door.peer(1)
        first.shakeHands()
        let silent = try door.peer(2)
        silent.isDeafAfter = 1
        silent.shakeHands()
        door.pass(2_000)
        let early = try door.peer(3)
        early.shakeHands()
        #expect(!early.session.isReady)
        door.pass(1_000)
        let other = try door.peer(4)
        other.shakeHands()
        #expect(other.session.isReady && first.session.isReady)
        #expect(door.counts.ends == ["maxlimit": 1, "tls_handshakes_full": 1])
    }

    @Test("Silence beyond the idle timeout ends an association; what can be read counts, garbage does not")
    func idle() throws {
        let door = try Door { $0.idleTimeout = 5_000 }
        let peer = try door.peer(1)
        peer.shakeHands()
        door.pass(4_000)
        peer.say("x")
        door.pass(4_000)
        #expect(door.counts.current == 1)
        door.receive(Array("garbage of a peer that is known".utf8), from: peer.address)
        door.pass(2_000)
        #expect(door.counts.ends == ["idle_timeout": 1])
        #expect(peer.isOver)
    }

    @Test("What a peer has proven is known for as long as its association lives")
    func proof() throws {
        let door = try Door { _ in }
        let peer = try door.peer(1)
        #expect(door.associations.proof(.sharedKey, of: peer.address) == nil)
        peer.shakeHands()
        #expect(door.associations.proof(.sharedKey, of: peer.address) == Array("sensor-1".utf8))
        #expect(door.associations.proof(.commonName, of: peer.address) == nil)
        peer.finish()
        #expect(door.associations.proof(.sharedKey, of: peer.address) == nil)
    }
}

/// A socket's associations and what they say.
private final class Door {
    let loop = EventLoop(index: -1)
    let associations: Associations
    private let book = AssociationBook()
    private var peers: [SocketAddress: FarEnd] = [:]
    var heard: [String] = []
    private static let key: [UInt8] = Array(0..<16)

    init(_ change: (inout DatagramTerms) -> Void) throws {
        var options = TLSOptions(.server)
        options.isDatagram = true
        options.sharedKeys = .only
        var terms = DatagramTerms()
        let context = try TLSContext(options, keys: { _ in Door.key })
        terms.dtls = { context }
        change(&terms)
        associations = Associations(on: loop, 0, book)
        associations.change(to: terms)
        associations.up = { [unowned self] _, bytes in heard.append(String(decoding: bytes, as: UTF8.self)) }
        associations.down = { [unowned self] to, bytes in peers[to]?.wire.append(Array(bytes)) }
        associations.flush = { [unowned self] in carry() }
    }

    var counts: AssociationCounts { book.counts }

    func peer(_ number: UInt8) throws -> FarEnd {
        var options = TLSOptions(.client)
        options.isDatagram = true
        options.ownKey = .init(identity: "sensor-1", key: Self.key)
        options.ciphers = ["PSK-AES128-GCM-SHA256"]
        let address = SocketAddress(host: "192.0.2.\(number)", port: 5684)!
        let peer = FarEnd(try #require(DTLSSession(try TLSContext(options))), address, self)
        peers[address] = peer
        return peer
    }

    func receive(_ datagram: [UInt8], from peer: SocketAddress) {
        datagram.withUnsafeBytes { associations.receive(peer, $0) }
        carry()
    }

    /// What was said goes to the other end, which may answer.
    func carry() {
        while let peer = peers.values.first(where: { !$0.wire.isEmpty || !$0.words.isEmpty }) {
            if peer.words.isEmpty {
                peer.receive(peer.wire.removeFirst())
            } else {
                peer.words.removeFirst().withUnsafeBytes { associations.receive(peer.address, $0) }
            }
        }
    }

    /// Time, second by second.
    func pass(_ ms: UInt64) {
        for _ in 0..<ms / 1000 {
            loop.now += 1000
            loop.timers.advance(to: loop.now) { $0.pointee.fire!($0.pointee.context!) }
        }
    }
}

private final class FarEnd {
    let session: DTLSSession
    let address: SocketAddress
    private unowned let door: Door
    /// Datagrams on their way to it, and from it.
    var wire: [[UInt8]] = []
    var words: [[UInt8]] = []
    /// Datagrams that have come, and after how many of them nothing gets through any more.
    private var heard = 0
    var isDeafAfter: Int?
    private(set) var isOver = false
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: DTLSSession.largest, alignment: 16)

    init(_ session: DTLSSession, _ address: SocketAddress, _ door: Door) {
        self.session = session
        self.address = address
        self.door = door
        session.write = { [unowned self] in words.append(Array($0)) }
    }

    deinit { room.deallocate() }

    func shakeHands() {
        session.begin()
        door.carry()
    }

    func say(_ text: String) {
        Array(text.utf8).withUnsafeBytes { session.send($0) }
        door.carry()
    }

    func finish() {
        session.finish()
        door.carry()
    }

    func receive(_ datagram: [UInt8]) {
        heard += 1
        if let isDeafAfter, heard > isDeafAfter { return }
        let state = datagram.withUnsafeBytes { session.receive($0, room: room) { _ in } }
        if case .open = state { return }
        isOver = true
    }
}
