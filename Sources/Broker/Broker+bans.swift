// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions
import Topics

/// Where bans outlive the process.
public protocol BanKeeper: AnyObject, Sendable {
    /// [main] All or nothing, durable when it returns.
    func keep(_ bans: [Ban], forgetting over: [Ban]) throws(BanFailure)
}

extension Broker {
    /// [main] Stores the ban and puts it in force; clients it names that are connected are closed. The ban as it
    /// stands in the list, its network in the one form of writing it.
    @discardableResult
    public func ban(_ ban: Ban) throws(BanFailure) -> Ban {
        var ban = ban
        let key = try key(ban.kind, ban.who)
        guard ban.reason.utf8.count <= Ban.longestText else {
            throw BanFailure("The reason of a ban has at most \(Ban.longestText) bytes.")
        }
        if case .network(let network) = key { ban.who = network.text }
        guard bans.hasRoom(for: key) else { throw Self.full }
        try banKeeper?.keep([ban], forgetting: [])
        guard bans.add(key, ban) else { throw Self.full }
        enforce(ban, key)
        return ban
    }

    /// [main] False when there is none.
    public func unban(_ kind: BanKind, _ who: String) throws(BanFailure) -> Bool {
        let key = try key(kind, who)
        guard let ban = bans.find(key), !ban.isOver(at: cr_unix_ms()) else { return false }
        try banKeeper?.keep([], forgetting: [ban])
        bans.remove(key)
        return true
    }

    /// [any] In no order.
    public func banned() -> [Ban] { bans.all(cr_unix_ms()) }

    /// [main] Before the first client: bans of an earlier life. Those that are over are left out; returned is what
    /// should be forgotten.
    public func restore(_ kept: [Ban]) -> [Ban] {
        let now = cr_unix_ms()
        return kept.filter { ban in
            guard !ban.isOver(at: now), let key = BanList.Key(ban.kind, ban.who) else { return true }
            return !bans.add(key, ban)
        }
    }

    /// [main] Every second or so: removes bans that are over and stores those the loops have made.
    public func tendBans() {
        let over = bans.removeExpired(cr_unix_ms())
        let fresh = bans.takeUnsaved(1000)
        guard let banKeeper, !over.isEmpty || !fresh.isEmpty else { return }
        do throws(BanFailure) {
            try banKeeper.keep(fresh, forgetting: over)
        } catch {
            events.log(
                Int32(MARTLET_LOG_ERROR),
                "\(fresh.count) new bans hold until the broker stops, they could not be stored: \(error.sentence)")
        }
    }

    private func key(_ kind: BanKind, _ who: String) throws(BanFailure) -> BanList.Key {
        guard (1...Ban.longestText).contains(who.utf8.count) else {
            throw BanFailure("What is banned has 1 to \(Ban.longestText) bytes.")
        }
        guard let key = BanList.Key(kind, who) else {
            throw BanFailure("\"\(who)\" is neither an IP address nor a network such as 10.0.0.0/8.")
        }
        return key
    }

    static var full: BanFailure {
        BanFailure("The list of bans is full: it has \(BanList.limit) entries. Lift some with banned del.")
    }

    // MARK: - Clients that are connected

    /// [any] Closes those the ban names. They come to know why when they try again.
    func enforce(_ ban: Ban, _ key: BanList.Key) {
        guard case .clientID(let id) = key else {
            for shard in shards { shard.post { shard.closeBanned(key, from: 0) } }
            return
        }
        let name = Array(id.utf8).withUnsafeBytes { registry.key($0) }
        let session = registry.find(name)
        guard session != 0 else { return }
        let shard = shards[Handle.shard(session)]
        shard.post {
            // Looked up again: a client that takes its session over may have a new one by now.
            guard let c = shard.session(shard.registry.find(name))?.pointee.connection else { return }
            shard.closeBanned(c)
        }
    }
}

extension Shard {
    /// Sessions looked at in one go, so that a ban among a million clients holds up nobody.
    private static let slice: UInt32 = 4096

    func closeBanned(_ key: BanList.Key, from first: UInt32) {
        let end = min(UInt32(sessions.capacity), first + Self.slice)
        for slot in first..<max(first, end) {
            guard let s = sessions.find(slot), s.pointee.generation & 1 == 1, let c = s.pointee.connection,
                isMeant(c, s, by: key)
            else { continue }
            closeBanned(c)
        }
        if end < UInt32(sessions.capacity) { post { self.closeBanned(key, from: end) } }
    }

    private func isMeant(_ c: ConnectionRef, _ s: SessionRef, by key: BanList.Key) -> Bool {
        switch key {
        case .network(let network): network.contains(BanNetwork(c.pointee.peer))
        case .username(let name): isText(s.pointee.username, name)
        case .clientID(let id): isText(s.pointee.clientID, id)
        }
    }

    private func isText(_ bytes: Bytes, _ text: String) -> Bool {
        bytes.count == text.utf8.count && bytes.elementsEqual(text.utf8)
    }

    /// 0x8A, banned, is a reason of CONNACK only. [MQTT-3.14.2-1]
    func closeBanned(_ c: ConnectionRef) {
        guard c.pointee.zone.pointee.enableBan else { return }
        close(c, .administrativeAction, "This client is banned.", counted: "banned")
    }

    /// Before a client is let in, with the names that hold from now on: an auth module may have replaced the user
    /// name, and the ban may be younger than the CONNECT.
    func isBanned(
        _ c: ConnectionRef, id: Bytes, _ connect: ConnectPacket, _ base: UnsafeRawPointer, _ auth: AuthAnswer?
    ) -> Bool {
        guard !broker.bans.isEmpty, c.pointee.zone.pointee.enableBan else { return false }
        let given = givenUsername(c, connect, base) ?? noBytes
        return (auth?.username ?? []).withUnsafeBytes { proven in
            broker.isBanned(clientID: id, username: proven.isEmpty ? given : proven, peer: c.pointee.peer)
        }
    }
}
