// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import Reactor
import Sockets
import TLS

/// martlet.net/1
nonisolated(unsafe) let netTable = permanent(
    martlet_net_v1(
        size: size(of: martlet_net_v1.self),
        listen_tcp: { host, name, address, options, calls, user, out in
            registering(host, "net.listen_tcp", out) { instance throws(RegistrationError) in
                guard let calls = readSized(calls), isPresent(calls.opened), isPresent(calls.data),
                    isPresent(calls.closed)
                else { throw RegistrationError(statusInvalid, "opened, data or closed is NULL, or the size is wrong") }
                var options = try NetOptions(options)
                let profile = try instance.host.tlsProfiles.listening(
                    options.tlsProfile, scope: "\(instance.name):\(cText(name, limit: 64) ?? "")",
                    loops: instance.host.streams.loops.count)
                if let profile { options.terms.layers = { LayerStack([ProfileTLS(profile)]) } }
                let terms = options.terms
                let handler = ConnectionHandler(instance, cText(name, limit: 64) ?? "", terms, calls, user)
                return try listen(instance, name, address, options, profile) { place, there throws(RegistrationError) in
                    if case .tcp(let socket, _, _)? = there { return (.tcp(socket, handler, terms), false) }
                    let listener = try listening(instance, name) { complain throws(SocketError) in
                        try StreamListener(
                            place, backlog: options.backlog, table: instance.host.streams, terms: terms,
                            handler: handler, complain: complain)
                    }
                    return (.tcp(listener, handler, terms), true)
                }
            }
        },
        listen_udp: { host, name, address, options, function, user, out in
            registering(host, "net.listen_udp", out) { instance throws(RegistrationError) in
                guard isPresent(function) else { throw RegistrationError(statusInvalid, "the function is NULL") }
                let options = try NetOptions(options)
                var terms = DatagramTerms(options)
                let profile = try instance.host.tlsProfiles.listening(
                    options.tlsProfile, scope: "\(instance.name):\(cText(name, limit: 64) ?? "")",
                    loops: instance.host.streams.loops.count, isDatagram: true)
                if let profile { terms.dtls = { profile.context } }
                let wanted = terms
                let handler = DatagramFunction(instance, function, user)
                return try listen(instance, name, address, options, profile) { place, there throws(RegistrationError) in
                    if case .udp(let socket, _, _)? = there { return (.udp(socket, handler, wanted), false) }
                    let listener = try listening(instance, name) { _ throws(SocketError) in
                        try DatagramListener(
                            place, loops: instance.host.streams.loops, terms: wanted, handler: handler)
                    }
                    return (.udp(listener, handler, wanted), true)
                }
            }
        },
        unlisten: { host, token in
            let instance = instance(host)
            guard isMainThread else { return instance.wrongThread("net.unlisten", wanted: "the control thread") }
            return unlisten(instance, token)
        },
        listening_on: { host, token, out in
            let instance = instance(host)
            guard isMainThread else { return instance.wrongThread("net.listening_on", wanted: "the control thread") }
            guard let listener = instance.net.listeners[token] else { return statusStale }
            out.pointee = martlet_addr(listener.address)
            return statusOK
        },
        connect: { host, name, address, options, calls, user, out in
            connect(instance(host), name, address, options, calls, user, out)
        },
        send: { host, connection, bytes in
            guard let bytes = bytes.buffer else { return statusInvalid }
            return withStream(host, connection) { stream in
                switch stream.send(bytes) {
                case .taken: statusOK
                case .busy: statusBusy
                case .notOpen: statusState
                case .gone: statusStale
                case .tooLarge: statusInvalid
                }
            }
        },
        close: { host, connection, how in
            guard how == Int32(MARTLET_CLOSE_SENT) || how == Int32(MARTLET_CLOSE_NOW) else { return statusInvalid }
            return withStream(host, connection) { stream in
                stream.close(now: how == Int32(MARTLET_CLOSE_NOW)) ? statusOK : statusStale
            }
        },
        pause: { host, connection in
            withStream(host, connection) { stream in
                if cr_current_loop() == stream.loop.index {
                    stream.pause()
                } else {
                    stream.loop.post { stream.pause() }
                }
                return statusOK
            }
        },
        resume: { host, connection in
            withStream(host, connection) { stream in
                if cr_current_loop() == stream.loop.index {
                    stream.resume()
                } else {
                    stream.loop.post { stream.resume() }
                }
                return statusOK
            }
        },
        peer: { host, connection, out in
            withStream(host, connection) { stream in
                guard let peer = stream.peer else { return statusState }
                out.pointee = martlet_addr(peer)
                return statusOK
            }
        },
        local: { host, connection, out in
            onItsLoop(host, "net.local", connection) { stream, _ in
                guard let local = stream.local else { return statusState }
                out.pointee = martlet_addr(local)
                return statusOK
            }
        },
        conn_stats: { host, connection, out in
            onItsLoop(host, "net.conn_stats", connection) { stream, _ in
                let counts = stream.counts
                writeSized(
                    martlet_conn_stats(
                        size: 0, silent_ms: UInt32(clamping: counts.silentMS), bytes_in: counts.bytesIn,
                        bytes_out: counts.bytesOut, waiting: UInt64(max(0, stream.waiting))), to: out)
                return statusOK
            }
        },
        listener_stats: { host, token, out in
            let instance = instance(host)
            guard isMainThread else { return instance.wrongThread("net.listener_stats", wanted: "the control thread") }
            guard let listener = instance.net.listeners[token] else { return statusStale }
            writeSized(listener.stats, to: out)
            return statusOK
        },
        sendto: { host, token, peer, bytes in
            let instance = instance(host)
            guard instance.phase != .gone else { return statusStale }
            guard let bytes = bytes.buffer, let peer = peer.pointee.socketAddress else { return statusInvalid }
            guard let listener = instance.net.datagrams.withLock({ $0[token] }) else { return statusStale }
            return switch listener.send(bytes, to: peer) {
            case .taken: statusOK
            case .busy: statusBusy
            case .tooLarge, .wrongFamily: statusInvalid
            case .unknownPeer: statusNotFound
            }
        },
        adopt_mqtt: { host, connection, zone in
            onItsLoop(host, "net.adopt_mqtt", connection) { stream, instance in
                guard let zone = instance.host.broker.zone(named: zone.line(limit: 128)) else { return statusNotFound }
                return instance.host.adopt(stream, of: instance, zone) ? statusOK : statusState
            }
        },
        format_addr: { address, to, capacity in
            guard let text = address.pointee.socketAddress?.text else { return 0 }
            if let to {
                var text = text
                text.withUTF8 {
                    UnsafeMutableRawPointer(to).copyMemory(
                        from: $0.baseAddress!, byteCount: min($0.count, room(capacity)))
                }
            }
            return text.utf8.count
        },
        parse_addr: { text, out in
            guard let address = SocketAddress(text.line(limit: 64)) else { return statusInvalid }
            out.pointee = martlet_addr(address)
            return statusOK
        },
        conn_proof: { host, connection, what, to, capacity in
            var proof: [UInt8]?
            _ = onItsLoop(host, "net.conn_proof", connection) { stream, _ in
                proof = PeerProof(rawValue: what).flatMap { stream.proof($0) }
                return statusOK
            }
            return copy(proof, to: to, capacity)
        },
        dgram_proof: { host, token, peer, what, to, capacity in
            let instance = instance(host)
            guard cr_current_loop() >= 0 else {
                _ = instance.wrongThread("net.dgram_proof", wanted: "the loop of the peer's datagrams")
                return 0
            }
            guard let peer = peer.pointee.socketAddress, let what = PeerProof(rawValue: what) else { return 0 }
            let listener = instance.net.datagrams.withLock { $0[token] }
            return copy(listener?.proof(what, of: peer), to: to, capacity)
        }))

/// Returns the length of all of them.
private func copy(_ bytes: [UInt8]?, to: UnsafeMutablePointer<UInt8>?, _ capacity: Int) -> Int {
    guard let bytes else { return 0 }
    if let to, capacity != 0 {
        UnsafeMutableRawPointer(to).copyMemory(from: bytes, byteCount: min(bytes.count, room(capacity)))
    }
    return bytes.count
}

// MARK: - Listeners

private typealias MakeSocket = (
    SocketAddress, NetListener.Socket?
) throws(RegistrationError) -> (NetListener.Socket, isOurs: Bool)

/// - Parameter make: gets the place, and the predecessor's socket there if there is one.
private func listen(
    _ instance: PluginInstance, _ name: UnsafePointer<CChar>, _ address: martlet_bytes, _ options: NetOptions,
    _ profile: ListenerProfile?, _ make: MakeSocket
) throws(RegistrationError) -> martlet_token {
    let name = try registeredName(name, limit: 64)
    let text = address.line(limit: 128)
    guard let wanted = SocketAddress(text) else {
        throw RegistrationError(
            statusInvalid, "\"\(text)\" is no address to listen on: give an IPv4 or IPv6 address and a port")
    }
    let net = instance.net
    guard !net.listeners.values.contains(where: { $0.name == name }) else {
        throw RegistrationError(statusExists, "the listener \(name) is registered twice")
    }
    guard net.listeners.count < PluginNet.listenerLimit else {
        throw RegistrationError(statusNoMemory, "\(PluginNet.listenerLimit) listeners are the limit")
    }
    let there = instance.predecessor?.net.listeners.values.first { $0.name == name && $0.wanted == wanted }
    let (socket, isOurs) = try make(wanted, there?.socket)
    let listener = NetListener(
        instance.host.nextToken(), name, wanted, socket, profile, maxConnections: options.terms.maxConnections,
        isOurs: isOurs)
    net.listeners[listener.token] = listener
    if case .udp(let socket, _, _) = socket { net.datagrams.withLock { $0[listener.token] = socket } }
    if instance.phase == .running { listener.start() }
    return listener.token
}

private func listening<L>(
    _ instance: PluginInstance, _ name: UnsafePointer<CChar>,
    _ make: (_ complain: @escaping @Sendable (String) -> Void) throws(SocketError) -> L
) throws(RegistrationError) -> L {
    let name = cText(name, limit: 64) ?? ""
    do throws(SocketError) {
        let log = instance.host.log
        let plugin = instance.name
        return try make { log.line(.error, "\(plugin): its listener \(name) \($0)") }
    } catch {
        throw RegistrationError(
            error.code == EADDRINUSE ? statusExists : statusIO, "the listener \(name): \(error.description)")
    }
}

private func unlisten(_ instance: PluginInstance, _ token: martlet_token) -> martlet_status {
    guard let listener = instance.net.listeners.removeValue(forKey: token) else { return statusStale }
    _ = instance.net.datagrams.withLock { $0.removeValue(forKey: token) }
    listener.stop()
    if case .tcp(let socket, _, _) = listener.socket {
        instance.host.streams.stop(owner: instance.owner) { $0.listener === socket }
    }
    return statusOK
}

// MARK: - Connections

/// [any] The stream behind a handle, if it is this plugin's.
private func withStream(
    _ host: HostPointer, _ connection: martlet_conn, _ body: (Stream) -> martlet_status
) -> martlet_status {
    let instance = instance(host)
    guard let stream = instance.host.streams.find(connection), stream.owner == instance.owner else {
        return statusStale
    }
    return body(stream)
}

private func onItsLoop(
    _ host: HostPointer, _ function: StaticString, _ connection: martlet_conn,
    _ body: (Stream, PluginInstance) -> martlet_status
) -> martlet_status {
    let instance = instance(host)
    return withStream(host, connection) { stream in
        guard cr_current_loop() == stream.loop.index else {
            return instance.wrongThread(function, wanted: "the connection's loop")
        }
        return body(stream, instance)
    }
}
