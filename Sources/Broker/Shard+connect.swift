// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

/// CONNECT: version, client id, authentication, session, CONNACK. MQTT 5 §3.1.
extension Shard {
    func handleConnect(
        _ c: ConnectionRef, _ flags: UInt8, _ body: UnsafeRawBufferPointer, _ packet: UnsafeRawBufferPointer
    ) -> Step {
        learnPeer(c)
        guard case .supported(let version) = ConnectPacket.announcement(in: body) else {
            refuseVersion(c, body)
            return .closed
        }
        c.pointee.version = version
        let connect: ConnectPacket
        do {
            connect = try ConnectPacket.decode(body, flags: flags, version: version)
        } catch {
            // MQTT 5 may be told why [MQTT-3.1.4-1]; 3.x has no code for it and gets no CONNACK. [MQTT311-3.2.2-6]
            if version == .v5 { refuseConnect(c, Refusal(error)) } else { refuse(c, error) }
            return .closed
        }
        learnCertifiedName(c)
        learnWishes(c, connect)
        // [MQTT-3.1.4-2]
        if let refusal = checkConnect(c, connect, body) {
            refuseConnect(c, refusal)
            return .closed
        }
        let id = wantedID(c, connect, body.baseAddress!)
        if id.count > 0 {
            let owner = registry.find(registry.key(id))
            if owner != 0, Handle.shard(owner) != number {
                let target = Handle.shard(owner)
                return move(c, to: target)
            }
        }
        return authenticate(c, connect, body, flags)
    }

    /// A proxy in front may have named the client in a layer's handshake. `listener.ws.*.proxy_address_header`
    private func learnPeer(_ c: ConnectionRef) {
        guard let named = c.pointee.transport.pointee.stack?.forwarded,
            let peer = PeerAddress(named.address, port: named.port)
        else { return }
        c.pointee.peer = peer
    }

    /// What the client says about the answers it takes holds for a refusal too. [MQTT-3.1.2-24] [MQTT-3.1.2-29]
    private func learnWishes(_ c: ConnectionRef, _ connect: ConnectPacket) {
        c.pointee.maxPacketOut = connect.maximumPacketSize
        if !connect.requestProblemInformation { c.pointee.flags.remove(.problemInformation) }
    }

    /// The client id that counts: CONNECT's, or the user name where the zone says so; empty: one is to be made up.
    func wantedID(_ c: ConnectionRef, _ connect: ConnectPacket, _ base: UnsafeRawPointer) -> Bytes {
        let own = connect.clientID.bytes(in: base)
        guard c.pointee.zone.pointee.useUsernameAsClientID else { return own }
        let username = givenUsername(c, connect, base) ?? noBytes
        return username.count > 0 ? username : own
    }

    // MARK: - Checks

    private func refuseVersion(_ c: ConnectionRef, _ body: UnsafeRawBufferPointer) {
        if case .unsupportedLevel = ConnectPacket.announcement(in: body) {
            // MQTT 3.1.1 demands its code 1 for whatever level it does not know, MQTT 5 leaves the answer open.
            // [MQTT311-3.1.2-2] [MQTT-3.1.2-2]
            c.pointee.version = .v311
            refuseConnect(c, .unsupportedProtocolVersion)
        } else {
            // [MQTT-3.1.2-1]
            close(c, Refusal(.unsupportedProtocolVersion), counted: "not_mqtt")
        }
    }

    /// What the specification and the zone say about a well-formed CONNECT; nil: nothing against it.
    private func checkConnect(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer
    ) -> Refusal? {
        let zone = c.pointee.zone
        let idLength = Int(connect.clientID.count)
        // [MQTT-3.1.3-5]: any bytes of UTF-8 will do, up to the length an operator sets. [MQTT-3.1.3-8]
        let wanted = wantedID(c, connect, body.baseAddress!)
        if max(idLength, wanted.count) > zone.pointee.maxClientIDLength {
            return Refusal(.clientIdentifierNotValid, "The client identifier is longer than the server allows.")
        }
        if idLength == 0 {
            // [MQTT311-3.1.3-8]; in 3.1 an id of 1 to 23 bytes is required.
            if connect.version == .v31 || connect.version == .v311 && !connect.cleanStart {
                return Refusal(.clientIdentifierNotValid)
            }
        } else if connect.version == .v31, idLength > 23, !zone.pointee.longClientIDs31 {
            return Refusal(.clientIdentifierNotValid)
        }
        if let will = connect.will {
            // [MQTT-3.2.2-12] [MQTT-3.2.2-13]
            if let refusal = checkWill(will, zone, body.baseAddress!) { return refusal }
        }
        let base = body.baseAddress!
        let username = givenUsername(c, connect, base) ?? noBytes
        if zone.pointee.enableBan,
            broker.isBanned(clientID: wanted, username: username, peer: c.pointee.peer)
        {
            return Refusal(.banned)
        }
        if zone.pointee.redirectCode != 0 { return Refusal(ReasonCode(rawValue: zone.pointee.redirectCode)) }
        return nil
    }

    private func checkWill(
        _ will: ConnectPacket.Will, _ zone: UnsafePointer<Zone>, _ base: UnsafeRawPointer
    ) -> Refusal? {
        if will.qos > zone.pointee.maxQoS { return Refusal(.qosNotSupported) }
        if will.retain && !zone.pointee.retainAvailable { return Refusal(.retainNotSupported) }
        if !isPublishable(will.topic.bytes(in: base), zone) {
            return Refusal(.topicNameInvalid, "The server does not accept the topic of the will.")
        }
        if will.payloadIsText, zone.pointee.checksPayloadFormat, !isValidUTF8(will.payload.bytes(in: base)) {
            return Refusal(.payloadFormatInvalid)
        }
        return nil
    }

    func isPublishable(_ topic: Bytes, _ zone: UnsafePointer<Zone>) -> Bool {
        guard Topics.isValidTopicName(topic) else { return false }
        return zone.pointee.maxTopicLevels == 0 || levelCount(topic) <= zone.pointee.maxTopicLevels
    }

    // MARK: - Accepting

    /// The client may come in: its session, the old connection, CONNACK, the messages that waited.
    func admit(
        _ c: ConnectionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer, _ auth: AuthAnswer?
    ) -> Step {
        var connect = connect
        switch willPermission(c, connect, body.baseAddress!, auth) {
        case .allowed: break
        case .denied:
            counters.count(.droppedDenied)
            connect.will = nil
        case .wait:
            keepAnswer(c, auth)
            return .wait
        }
        if connect.sessionExpiry > c.pointee.zone.pointee.sessionExpiry {
            connect.sessionExpiry = c.pointee.zone.pointee.sessionExpiry
            c.pointee.flags.insert(.expiryCapped)
        }
        let base = body.baseAddress!
        let id = wantedID(c, connect, base)
        // [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
        let assigned = connect.clientID.count == 0
        let generatedID = id.count == 0 ? broker.newClientID(random: nextRandom()) : []
        if isBanned(c, id: id, connect, base, auth) {
            refuseConnect(c, .banned)
            return .closed
        }
        let mounted = generatedID.withUnsafeBytes { mountpoint(c, $0.count > 0 ? $0 : id, connect, base, auth) }
        guard let mounted else {
            refuseConnect(c, Refusal(.notAuthorized, "The client's names do not fit into its mountpoint."))
            return .closed
        }
        let result = generatedID.withUnsafeBytes { generated -> (SessionRef, Bool)? in
            openSession(c, connect, generated.count > 0 ? generated : id)
        }
        guard let (s, present) = result else {
            // [MQTT311-4.8.0-2]:
            // Another shard took the id between our look and our claim: the client tries again.
            refuseConnect(c, .serverBusy)
            return .closed
        }
        c.pointee.mountpoint = mounted.withUnsafeBytes { ownBytes($0) }
        settle(c, s, connect, body, auth)
        return welcome(c, s, present: present, assigned: assigned, auth)
    }

    /// Everything the client and the plugins hear of a session that has its connection.
    private func welcome(
        _ c: ConnectionRef, _ s: SessionRef, present: Bool, assigned: Bool, _ auth: AuthAnswer?
    ) -> Step {
        // Before anything else the session has for its client. [MQTT-3.1.4-5] [MQTT-3.2.0-1]
        let isTold = sendConnack(c, s, present: present, assigned: assigned, auth: auth)
        runClientHook(MARTLET_HOOK_CLIENT_CONNECTED, c, s)
        runClientHook(present ? MARTLET_HOOK_SESSION_RESUMED : MARTLET_HOOK_SESSION_CREATED, c, s)
        guard isTold else {
            refuseConnect(c, .packetTooLarge)
            return .closed
        }
        if s.pointee.flags.contains(.hasShares) { sharesCameOnline(s) }
        if present { replayInflight(c, s) }
        pump(s)
        return .done
    }

    /// Finds, takes over or makes the session [MQTT-3.1.4-4]; true when there was one [MQTT-3.2.2-2] [MQTT-3.2.2-3].
    /// Nil when the id belongs to another shard by now.
    private func openSession(_ c: ConnectionRef, _ connect: ConnectPacket, _ id: Bytes) -> (SessionRef, Bool)? {
        let key = registry.key(id)
        let owner = registry.find(key)
        if owner != 0 {
            guard Handle.shard(owner) == number, let old = session(owner) else { return nil }
            takeOver(old)
            if !connect.cleanStart, let kept = session(owner) {
                // [MQTT-3.1.2-5]
                // Nothing of it ends while it is connected. [MQTT-4.1.0-1]
                timers.disarm(&kept.pointee.timer)
                resumeWill(kept)
                return (kept, true)
            }
            // [MQTT-3.1.2-4]
            if let kept = session(owner) { endSession(kept, reason: .sessionEnd) }
        }
        // [MQTT-3.1.2-6]
        guard let fresh = makeSession(id, c.pointee.zone, key) else { return nil }
        return (fresh, false)
    }

    /// The connection that uses the session now is told and closed. [MQTT-3.1.4-3]
    private func takeOver(_ s: SessionRef) {
        guard let old = s.pointee.connection else { return }
        counters.count(.sessionsTakenOver)
        old.pointee.flags.insert(.takenOver)
        // A session that ends with its connection ends here, and the newcomer gets a fresh one.
        close(old, Refusal(.sessionTakenOver), counted: "conflict")
    }

    private func makeSession(_ id: Bytes, _ zone: UnsafePointer<Zone>, _ key: Registry.Key) -> SessionRef? {
        let (slot, s) = sessions.take()
        let generation = s.pointee.generation | 1
        s.initialize(
            to: Session(
                slot: slot, generation: generation, connection: nil, zone: zone, outbound: nil, delivered: 0,
                version: 4, flags: [], expiryInterval: 0, congestedSince: 0, awaiting: nil, clientID: ownBytes(id),
                username: noBytes, subs: nil, subCount: 0, subRoom: 0, feeds: nil, enqueued: 0, dropped: 0, mark: 0,
                markIndex: 0, timer: TimerNode(), will: nil, createdAt: unixMS))
        guard registry.claim(key, handle(s)) == handle(s) else {
            freeBytes(s.pointee.clientID)
            s.pointee.generation &+= 1
            sessions.give(slot)
            return nil
        }
        s.pointee.timer.context = UnsafeMutableRawPointer(s)
        s.pointee.timer.fire = { context in
            // [MQTT-4.1.0-2]
            Shard.current.endSession(context.assumingMemoryBound(to: Session.self), reason: .expired)
        }
        offlineCount += 1
        return s
    }

    /// Joins connection and session and takes over what CONNECT says about both.
    private func settle(
        _ c: ConnectionRef, _ s: SessionRef, _ connect: ConnectPacket, _ body: UnsafeRawBufferPointer,
        _ auth: AuthAnswer?
    ) {
        let base = body.baseAddress!
        let zone = c.pointee.zone
        c.pointee.phase = .connected
        c.pointee.session = s
        s.pointee.connection = c
        onlineCount += 1
        offlineCount -= 1
        s.pointee.version = connect.version.rawValue
        s.pointee.zone = zone
        s.pointee.expiryInterval =
            connect.version == .v5 ? connect.sessionExpiry : connect.cleanStart ? 0 : zone.pointee.sessionExpiry
        freeBytes(s.pointee.username)
        if let auth, !auth.username.isEmpty {
            s.pointee.username = auth.username.withUnsafeBytes { ownBytes($0) }
        } else {
            s.pointee.username = ownBytes(givenUsername(c, connect, base) ?? noBytes)
        }
        settleLimits(c, s, connect)
        if auth?.superuser == true { c.pointee.flags.insert(.superuser) }
        if connect.isBridge { c.pointee.flags.insert(.bridge) }
        if connect.cleanStart { c.pointee.flags.insert(.cleanStart) }
        // [MQTT-3.1.2-7]
        if let will = connect.will, c.pointee.mountpoint.count + Int(will.topic.count) <= 65_535 {
            c.pointee.will = makeWill(c, s, will, base)
        }
    }

    private func settleLimits(_ c: ConnectionRef, _ s: SessionRef, _ connect: ConnectPacket) {
        let zone = c.pointee.zone
        // [MQTT-3.2.2-22]
        c.pointee.keepAlive = connect.keepAlive
        let longest = zone.pointee.serverKeepAlive
        if connect.version == .v5, longest > 0, connect.keepAlive == 0 || connect.keepAlive > longest {
            // [MQTT-3.1.2-21] the server's keep alive takes the place of the client's.
            c.pointee.keepAlive = longest
            c.pointee.flags.insert(.keepAliveReplaced)
        }
        armKeepAlive(c)
        if connect.requestResponseInformation { c.pointee.flags.insert(.responseInformation) }
        // [MQTT-3.1.2-27]
        if connect.topicAliasMaximum > 0 {
            c.pointee.aliasesOut = .allocate(capacity: 1)
            c.pointee.aliasesOut!.initialize(to: OutboundAliases(maximum: min(Int(connect.topicAliasMaximum), 1024)))
        }
        if let outbound = s.pointee.outbound { outbound.pointee.window = window(c, Int(connect.receiveMaximum)) }
        c.pointee.receiveMaximum = connect.receiveMaximum
    }

    /// Messages in flight at once: configuration and the client's Receive Maximum. [MQTT-3.3.4-9]
    func window(_ c: ConnectionRef, _ receiveMaximum: Int) -> Int {
        let configured = c.pointee.zone.pointee.maxInflight
        return min(configured == 0 ? 65535 : configured, receiveMaximum)
    }

    /// What this client's topics begin with; empty: nothing. nil when the client's names would give it other levels or
    /// wildcards than its template has: a client called `+` must not see what all others publish.
    private func mountpoint(
        _ c: ConnectionRef, _ id: Bytes, _ connect: ConnectPacket, _ base: UnsafeRawPointer, _ auth: AuthAnswer?
    ) -> [UInt8]? {
        let template =
            auth.flatMap { $0.mountpoint.isEmpty ? nil : $0.mountpoint }
            ?? listeners.with(c.pointee.listener) { $0.mountpoint.isEmpty ? nil : $0.mountpoint }
            ?? Array(c.pointee.zone.pointee.mountpoint.utf8)
        guard !template.isEmpty else { return [] }
        let expanded = (auth?.username ?? []).withUnsafeBytes { replaced in
            let username = replaced.count > 0 ? replaced : givenUsername(c, connect, base) ?? noBytes
            return broker.expand(template, clientID: id, username: username)
        }
        let isSound = expanded?.withUnsafeBytes { Topics.isValidTopicName($0) && isValidUTF8($0) }
        return isSound == true ? expanded : nil
    }
}
