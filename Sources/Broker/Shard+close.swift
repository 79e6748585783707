// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import MQTTCodec
import Reactor
import Sessions
import Topics

extension Shard {
    // MARK: - Accepting

    /// A socket that a listener accepted, or that another shard hands over with the bytes it has read.
    /// - Parameters:
    ///   - layers: what stands between the socket's bytes and MQTT; nil for plain TCP.
    ///   - replay: what has been answered for its CONNECT already.
    func accept(
        fd: Int32, peer: PeerAddress, listener: UInt16, zone: UnsafePointer<Zone>, layers: LayerStack? = nil,
        bytes: [UInt8] = [], replay: UnsafeMutablePointer<Replay>? = nil
    ) {
        guard let t = adopt(fd: fd, layers: layers) else {
            Glibc.close(fd)
            listeners.with(listener) { $0.leavePlace() }
            replay.map(Replay.free)
            return
        }
        begin(t, peer: peer, listener: listener, zone: zone)
        t.pointee.owner!.assumingMemoryBound(to: Connection.self).pointee.replay = replay
        guard bytes.isEmpty else { return inject(t, bytes) }
        counters.count(.connectionsAccepted)
        // Its CONNECT is mostly here by now: looking costs less than being told.
        expectInput(t)
    }

    /// From here on what arrives on `t` is MQTT.
    func begin(_ t: TransportRef, peer: PeerAddress, listener: UInt16, zone: UnsafePointer<Zone>) {
        let (slot, c) = connections.take()
        let generation = c.pointee.generation | 1
        c.initialize(
            to: Connection(
                slot: slot, generation: generation, transport: t, session: nil, zone: zone, phase: .waitingForConnect,
                version: .v311, flags: [.problemInformation], listener: listener, keepAlive: 0, maxPacketOut: .max,
                limits: nil, replay: nil, aliasesOut: nil, aliasesIn: nil, mountpoint: noBytes,
                timer: TimerNode(), receiveMaximum: .max, peer: peer, closeReason: 0, will: nil, enhanced: nil,
                connectedAt: unixMS))
        t.pointee.owner = UnsafeMutableRawPointer(c)
        makeLimits(c)
        c.pointee.timer.context = UnsafeMutableRawPointer(c)
        c.pointee.timer.fire = { context in
            let c = context.assumingMemoryBound(to: Connection.self)
            Shard.current.timerFired(c)
        }
        timers.arm(&c.pointee.timer, at: now + patience(c))
    }

    /// How long a new connection may take to its next step: its layers' handshakes, then CONNECT.
    func patience(_ c: ConnectionRef) -> UInt64 {
        let isReady = c.pointee.transport.pointee.stack?.isReady ?? true
        return isReady
            ? c.pointee.zone.pointee.idleTimeout : listeners.with(c.pointee.listener) { $0.terms.handshakeTimeout }
    }

    /// The shard this thread is.
    static var current: Shard {
        Unmanaged<Shard>.fromOpaque(cr_current_object()!).takeUnretainedValue()
    }

    /// Hands the socket to the shard that has the client's session, with the CONNECT packet still unread.
    /// The session does not move: messages on their way to it from other shards find it where it was.
    ///
    /// Not at once: the transport or its layers may be in the middle of what they received, and what they bring behind
    /// the packet goes along.
    func move(_ c: ConnectionRef, to target: Int) -> Step {
        let handle = handle(c)
        post { [self] in
            guard let c = connection(handle), c.pointee.phase == .waitingForConnect else { return }
            // What its layers have said so far goes out here; a client that is gone by now ends with it.
            flush(c.pointee.transport)
            guard connection(handle) == c, c.pointee.phase == .waitingForConnect else { return }
            moveNow(c, to: target)
        }
        return .wait
    }

    private func moveNow(_ c: ConnectionRef, to target: Int) {
        counters.count(.connectionsMoved)
        timers.disarm(&c.pointee.timer)
        let peer = c.pointee.peer
        let listener = c.pointee.listener
        nonisolated(unsafe) let zone = c.pointee.zone
        // An auth module is not asked twice: it may take each proof once.
        nonisolated(unsafe) let replay = c.pointee.replay
        c.pointee.replay = nil
        let t = c.pointee.transport
        t.pointee.owner = nil
        let (fd, rest, layers) = release(t)
        freeConnection(c, keepListener: true)
        let shard = broker.shards[target]
        shard.post {
            shard.accept(
                fd: fd, peer: peer, listener: listener, zone: zone, layers: layers, bytes: rest, replay: replay)
        }
    }

    // MARK: - Timers

    func timerFired(_ c: ConnectionRef) {
        switch c.pointee.phase {
        case .waitingForConnect where c.pointee.transport.pointee.stack?.isReady == false:
            c.pointee.transport.pointee.stack!.expire()
        case .waitingForConnect, .authenticating:
            // A plugin that takes its time has a limit of its own.
            let isOurs = c.pointee.replay?.pointee.deferral ?? 0 != 0
            if isOurs { return timers.arm(&c.pointee.timer, at: now + patience(c)) }
            close(c, .maximumConnectTime, "The exchange before CONNACK took too long.", counted: "idle_timeout")
        case .connected: checkKeepAlive(c)
        case .closing:
            close(c.pointee.transport)
            freeConnection(c)
        }
    }

    func armKeepAlive(_ c: ConnectionRef) {
        guard c.pointee.keepAlive > 0 else { return timers.disarm(&c.pointee.timer) }
        timers.arm(&c.pointee.timer, at: c.pointee.transport.pointee.lastRead + keepAliveLimit(c))
    }

    /// One and a half times the interval, with the default backoff. [MQTT-3.1.2-22]
    private func keepAliveLimit(_ c: ConnectionRef) -> UInt64 {
        UInt64(Double(c.pointee.keepAlive) * 2000 * c.pointee.zone.pointee.keepAliveBackoff)
    }

    /// The timer is not moved with every packet: when it fires it looks how long the silence really was.
    private func checkKeepAlive(_ c: ConnectionRef) {
        let t = c.pointee.transport
        let limit = keepAliveLimit(c)
        let isChoked = c.pointee.flags.contains(.choked)
        // While reading is paused for our own reasons the silence is ours.
        if t.pointee.isPaused && !isChoked { return timers.arm(&c.pointee.timer, at: now + limit) }
        // Who is not read from because it takes nothing shows that it lives by taking something.
        let lastSign = isChoked ? max(t.pointee.lastRead, t.pointee.lastProgress) : t.pointee.lastRead
        if now < lastSign + limit {
            timers.arm(&c.pointee.timer, at: lastSign + limit)
        } else if !isChoked, cr_unread(t.pointee.fd) > 0 {
            // It is the broker that was away, stopped or starved: what came meanwhile is about to be read.
            timers.arm(&c.pointee.timer, at: now + 10)
        } else {
            close(c, Refusal(.keepAliveTimeout), counted: "keepalive_timeout")
        }
    }

    // MARK: - Closing

    /// Ends the connection with a reason of ours: DISCONNECT to MQTT 5 clients [MQTT-3.14.0-1], then half-close, so
    /// that the reason arrives even while the client is still sending.
    func close(_ c: ConnectionRef, _ reason: ReasonCode, _ text: ReasonText, counted name: StaticString) {
        close(c, Refusal(reason, text), counted: name)
    }

    func close(_ c: ConnectionRef, _ refusal: Refusal, counted name: StaticString) {
        guard c.pointee.phase != .closing else { return }
        let reason = refusal.reason
        // No DISCONNECT before a CONNACK: during the exchange of AUTH packets the CONNECT is refused. [MQTT-3.14.0-1]
        if c.pointee.phase == .authenticating, reason.rawValue >= 0x80 {
            let allowed = reason.isAllowed(in: .connack, from: .server) ? reason : .notAuthorized
            refuseConnect(c, Refusal(allowed, refusal.text))
            return
        }
        listeners.with(c.pointee.listener) { $0.count(name) }
        if c.pointee.isV5, c.pointee.phase == .connected, reason.rawValue != 0 { sendDisconnect(c, refusal) }
        // The phase it leaves behind lets nothing more out. [MQTT-3.14.4-1] [MQTT-4.13.2-1]
        let publishWill = reason != .success
        end(c, reason: reason, publishWill: publishWill)
        linger(c)
    }

    /// As above, where MQTT has nothing to say: a layer below it failed and has told the peer why.
    func closeSilently(_ c: ConnectionRef, counted name: StaticString) {
        guard c.pointee.phase != .closing else { return }
        listeners.with(c.pointee.listener) { $0.count(name) }
        end(c, reason: .unspecifiedError, publishWill: true)
        linger(c)
    }

    /// - Parameter dismissed: the client has said DISCONNECT.
    func linger(_ c: ConnectionRef, dismissed: Bool = false) {
        if let stack = c.pointee.transport.pointee.stack {
            stack.farewell = Farewell(ReasonCode(rawValue: c.pointee.closeReason))
        }
        self.linger(c.pointee.transport, dismissed: dismissed)
        timers.arm(&c.pointee.timer, at: now + broker.settings.lingerTimeout)
    }

    /// The MQTT side of a connection's end: session, will, hooks. The socket is the caller's.
    func end(_ c: ConnectionRef, reason: ReasonCode, publishWill: Bool) {
        let wasConnected = c.pointee.phase == .connected
        timers.disarm(&c.pointee.timer)
        c.pointee.phase = .closing
        c.pointee.closeReason = reason.rawValue
        dropReplay(c)
        guard wasConnected, let s = c.pointee.session else { return dropWill(c) }
        c.pointee.session = nil
        s.pointee.connection = nil
        onlineCount -= 1
        offlineCount += 1
        runClientHook(MARTLET_HOOK_CLIENT_DISCONNECTED, c, s, code: Int32(reason.rawValue))
        if s.pointee.flags.contains(.hasShares) { sharesWentOffline(s) }
        releasePublishers(of: s)
        if publishWill { willAtEnd(c, s) } else { dropWill(c) }
        if let flapping = broker.flapping { noteEnd(s, reason, flapping) }
        if s.pointee.expiryInterval == 0 {
            // [MQTT-4.1.0-2]
            endSession(s, reason: .sessionEnd)
        } else if s.pointee.expiryInterval != .max {
            // [MQTT-3.1.2-23]
            timers.arm(&s.pointee.timer, at: now + UInt64(s.pointee.expiryInterval) * 1000)
        }
    }

    func freeConnection(_ c: ConnectionRef, keepListener: Bool = false) {
        timers.disarm(&c.pointee.timer)
        dropReplay(c)
        dropWill(c)
        dropLimits(c)
        freeBytes(c.pointee.mountpoint)
        dropCertifiedName(c)
        if let aliases = c.pointee.aliasesIn {
            aliases.deinitialize(count: 1)
            aliases.deallocate()
        }
        if let aliases = c.pointee.aliasesOut {
            aliases.deinitialize(count: 1)
            aliases.deallocate()
        }
        dropEnhanced(c)
        if !keepListener { listeners.with(c.pointee.listener) { $0.leavePlace() } }
        counters.count(.bytesReceived, Int(c.pointee.transport.pointee.bytesIn))
        counters.count(.bytesSent, Int(c.pointee.transport.pointee.bytesOut))
        c.pointee.transport.pointee.owner = nil
        // Even: free. The next use makes it odd again.
        c.pointee.generation &+= 1
        connections.give(c.pointee.slot)
    }

    func dropEnhanced(_ c: ConnectionRef) {
        guard let e = c.pointee.enhanced else { return }
        freeBytes(e.pointee.method)
        freeBytes(e.pointee.connect)
        e.deallocate()
        c.pointee.enhanced = nil
    }
}

extension Farewell {
    init(_ reason: ReasonCode) {
        switch reason {
        case .serverShuttingDown: self = .goingAway
        case .malformedPacket, .protocolError: self = .violation
        case .packetTooLarge: self = .tooBig
        default: self = reason.rawValue < 0x80 ? .normal : .refused
        }
    }
}
