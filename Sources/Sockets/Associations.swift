// SPDX-License-Identifier: Apache-2.0
import Reactor
import Synchronization
import TLS

public struct AssociationCounts: Sendable, Equatable {
    public var current = 0
    public var accepted = 0
    /// Datagrams that belong to no association and begin none.
    public var strays = 0
    /// How associations ended, or why there was none.
    public var ends: [String: Int] = [:]
}

/// Which socket of a UDP listener has the association of a peer, and how many there are. [any]
final class AssociationBook: Sendable {
    private let state = Mutex<(places: [SocketAddress: Int], counts: AssociationCounts)>(([:], AssociationCounts()))
    private let inUse = Atomic<Bool>(false)

    var isInUse: Bool {
        get { inUse.load(ordering: .relaxed) }
        set { inUse.store(newValue, ordering: .relaxed) }
    }
    var counts: AssociationCounts { state.withLock { $0.counts } }

    /// Of those whose handshake is over.
    func place(of peer: SocketAddress) -> Int? { state.withLock { $0.places[peer] } }

    func takePlace(of limit: Int) -> Bool {
        state.withLock { state in
            guard state.counts.current < limit else { return false }
            state.counts.current += 1
            return true
        }
    }

    func enter(_ peer: SocketAddress, at place: Int) {
        state.withLock { state in
            state.places[peer] = place
            state.counts.accepted += 1
        }
    }

    func leave(_ peer: SocketAddress, _ end: String) {
        state.withLock { state in
            state.places[peer] = nil
            state.counts.current -= 1
            state.counts.ends[end, default: 0] += 1
        }
    }

    func count(_ reason: String) { state.withLock { $0.counts.ends[reason, default: 0] += 1 } }
    func countStray() { state.withLock { $0.counts.strays += 1 } }
}

/// The DTLS associations of one UDP socket, one a peer. RFC 6347. All on the socket's loop.
///
/// Nothing is kept of a peer before it has answered with our cookie from its address.
final class Associations {
    /// Plaintext of a peer.
    var up: (SocketAddress, UnsafeRawBufferPointer) -> Void = { _, _ in }
    /// A datagram for a peer; it leaves with the next flush.
    var down: (SocketAddress, UnsafeRawBufferPointer) -> Void = { _, _ in }
    /// After something was written outside of `receive`.
    var flush: () -> Void = {}
    private let loop: EventLoop
    private let place: Int
    private let book: AssociationBook
    private var terms = DatagramTerms()
    private var all: [SocketAddress: Association] = [:]
    /// Answers hellos until one has our cookie, and becomes that peer's session then.
    private var waiting: DTLSSession?
    private var answers = 0
    private let room = UnsafeMutableRawBufferPointer.allocate(byteCount: DTLSSession.largest, alignment: 16)
    /// Once full, room is made of who has been silent for as long as this, ms.
    private static let patience: UInt64 = 60_000
    /// And of who has not finished its handshake within this time, ms: two repetitions of a lost flight.
    private static let handshakePatience: UInt64 = 3_000
    /// Until room is looked for again when there was none, ms.
    private static let pause: UInt64 = 1_000
    private var nextLook: UInt64 = 0

    private final class Association {
        let session: DTLSSession
        let beganAt: UInt64
        var heardAt: UInt64
        var isEntered = false
        var timer: UInt64?

        init(_ session: DTLSSession, now: UInt64) {
            self.session = session
            beganAt = now
            heardAt = now
        }
    }

    init(on loop: EventLoop, _ place: Int, _ book: AssociationBook) {
        self.loop = loop
        self.place = place
        self.book = book
    }

    deinit { room.deallocate() }

    func change(to terms: DatagramTerms) {
        self.terms = terms
        for (peer, association) in all { arm(association, peer) }
    }

    /// Says goodbye to everybody.
    func end() {
        for (peer, association) in all { end(association, peer, "plugin_stopped") }
    }

    // MARK: - Datagrams

    func receive(_ peer: SocketAddress, _ bytes: UnsafeRawBufferPointer) {
        guard let association = all[peer] else { return greet(peer, bytes, instead: nil) }
        // The peer has forgotten us and begins anew: with a cookie the old association makes room. RFC 6347 §4.2.8
        if association.isEntered, Self.isHello(bytes) { return greet(peer, bytes, instead: association) }
        take(bytes, association, peer)
    }

    /// False: there is no association with this peer.
    func send(_ bytes: UnsafeRawBufferPointer, to peer: SocketAddress) -> Bool {
        guard let association = all[peer], association.isEntered else { return false }
        association.session.send(bytes)
        return true
    }

    /// What a peer has proven; nil: no such thing, or no association with it here.
    func proof(_ what: PeerProof, of peer: SocketAddress) -> [UInt8]? { all[peer]?.session.proof(what) }

    private func take(_ bytes: UnsafeRawBufferPointer, _ association: Association, _ peer: SocketAddress) {
        let state = association.session.receive(bytes, room: room) { plain in
            enter(association, peer)
            association.heardAt = loop.now
            up(peer, plain)
        }
        settle(state, association, peer)
    }

    private func settle(_ state: DTLSSession.State, _ association: Association, _ peer: SocketAddress) {
        switch state {
        case .open:
            if association.isEntered { return }
            if association.session.isReady { enter(association, peer) }
            arm(association, peer)
        case .ended: end(association, peer, "peer_closed")
        case .failed(let failure): end(association, peer, "\(failure.reason)")
        }
    }

    private func enter(_ association: Association, _ peer: SocketAddress) {
        guard !association.isEntered else { return }
        association.isEntered = true
        association.heardAt = loop.now
        book.enter(peer, at: place)
    }

    private func end(_ association: Association, _ peer: SocketAddress, _ reason: String) {
        association.session.finish()
        if let timer = association.timer { loop.cancel(timer: timer) }
        all[peer] = nil
        book.leave(peer, reason)
    }

    // MARK: - Beginnings

    private func greet(_ peer: SocketAddress, _ bytes: UnsafeRawBufferPointer, instead old: Association?) {
        guard let session = listener() else { return book.count("tls_unavailable") }
        answers = 0
        session.write = { [unowned self] in
            answers += 1
            down(peer, $0)
        }
        guard Self.withBytes(of: peer, { session.listen(bytes, from: $0) }) else {
            if answers == 0 { book.countStray() }
            return
        }
        if let old { end(old, peer, "begun_anew") }
        guard makeRoom() else { return book.count("maxlimit") }
        waiting = nil
        session.write = { [unowned self] in down(peer, $0) }
        let association = Association(session, now: loop.now)
        all[peer] = association
        take(UnsafeRawBufferPointer(start: nil, count: 0), association, peer)
    }

    private func listener() -> DTLSSession? {
        guard let context = terms.dtls?() else { return nil }
        // Certificates may have been loaded anew meanwhile.
        if waiting?.context !== context { waiting = DTLSSession(context) }
        return waiting
    }

    private func makeRoom() -> Bool {
        if book.takePlace(of: terms.maxAssociations) { return true }
        // All are looked at, so not for every hello.
        guard loop.now >= nextLook else { return false }
        guard let (peer, association, reason) = dispensable() else {
            nextLook = loop.now + Self.pause
            return false
        }
        end(association, peer, reason)
        return book.takePlace(of: terms.maxAssociations)
    }

    /// A handshake that makes no progress, or whoever has been silent for longest.
    private func dispensable() -> (SocketAddress, Association, String)? {
        let slow = all.filter { !$0.value.isEntered && $0.value.beganAt + Self.handshakePatience <= loop.now }
        if let (peer, oldest) = slow.min(by: { $0.value.beganAt < $1.value.beganAt }) {
            return (peer, oldest, "tls_handshakes_full")
        }
        guard let (peer, oldest) = all.min(by: { $0.value.heardAt < $1.value.heardAt }),
            oldest.heardAt + Self.patience <= loop.now
        else { return nil }
        return (peer, oldest, "evicted")
    }

    /// A ClientHello that is not encrypted. RFC 6347 §4.1, §4.2.2
    private static func isHello(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count > 25 && bytes[0] == 22 && bytes[3] == 0 && bytes[4] == 0 && bytes[13] == 1
    }

    /// All that tells one peer from another, for its cookie.
    private static func withBytes<R>(of peer: SocketAddress, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        withUnsafeTemporaryAllocation(byteCount: 23, alignment: 1) { bytes in
            for i in 0..<16 { bytes[i] = peer.bytes[i] }
            bytes.storeBytes(of: peer.port, toByteOffset: 16, as: UInt16.self)
            bytes.storeBytes(of: peer.scope, toByteOffset: 18, as: UInt32.self)
            bytes[22] = peer.isIPv6 ? 6 : 4
            return body(UnsafeRawBufferPointer(bytes))
        }
    }

    // MARK: - Time

    private func arm(_ association: Association, _ peer: SocketAddress) {
        if let timer = association.timer { loop.cancel(timer: timer) }
        association.timer = nil
        let wait: UInt64
        if association.isEntered {
            guard terms.idleTimeout > 0 else { return }
            wait = left(association.heardAt + terms.idleTimeout)
        } else {
            wait = min(association.session.timeout ?? .max, left(association.beganAt + terms.handshakeTimeout))
        }
        association.timer = loop.after(wait) { [weak self, weak association] in
            guard let self, let association else { return }
            association.timer = nil
            expire(association, peer)
            flush()
        }
    }

    private func left(_ deadline: UInt64) -> UInt64 { deadline > loop.now ? deadline - loop.now : 0 }

    private func expire(_ association: Association, _ peer: SocketAddress) {
        if association.isEntered {
            guard terms.idleTimeout > 0, left(association.heardAt + terms.idleTimeout) == 0 else {
                return arm(association, peer)
            }
            return end(association, peer, "idle_timeout")
        }
        guard left(association.beganAt + terms.handshakeTimeout) > 0 else {
            return end(association, peer, "tls_handshake_timeout")
        }
        settle(association.session.expire(), association, peer)
    }
}
