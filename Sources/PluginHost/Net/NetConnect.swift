// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import CReactor
import Glibc
import Sockets

/// net.connect
func connect(
    _ instance: PluginInstance, _ name: UnsafePointer<CChar>, _ address: martlet_bytes,
    _ options: UnsafePointer<martlet_net_options>?, _ calls: UnsafePointer<martlet_conn_cb>,
    _ user: UnsafeMutableRawPointer?, _ out: UnsafeMutablePointer<martlet_conn>?
) -> martlet_status {
    guard instance.isOpen else { return instance.wrongPhase("net.connect") }
    do throws(RegistrationError) {
        guard let calls = readSized(calls), isPresent(calls.opened), isPresent(calls.data), isPresent(calls.closed)
        else { throw RegistrationError(statusInvalid, "opened, data or closed is NULL, or the size is wrong") }
        guard let name = cText(name, limit: 64) else {
            throw RegistrationError(statusInvalid, "a name has 64 characters at most")
        }
        let options = try NetOptions(options)
        let connection = try dial(
            instance, name, address.line(limit: 512), options,
            ConnectionHandler(instance, name, options.terms, calls, user))
        out?.pointee = connection
        return statusOK
    } catch {
        instance.setError(error.status, "net.connect: \(error.text)")
        return error.status
    }
}

private func dial(
    _ instance: PluginInstance, _ name: String, _ address: String, _ options: NetOptions, _ handler: ConnectionHandler
) throws(RegistrationError) -> martlet_conn {
    if let inherited = try claim(instance, name, handler) { return inherited }
    guard let (host, port) = SocketAddress.parts(of: address), !host.isEmpty, port != 0 else {
        throw RegistrationError(statusInvalid, "\"\(address)\" is no address to connect to: give host:port")
    }
    let layers =
        options.tlsProfile.isEmpty
        ? nil : try instance.host.tlsProfiles.connecting(options.tlsProfile, host: host)
    let streams = instance.host.streams
    let here = Int(cr_current_loop())
    let loop = here >= 0 ? here : instance.host.dealt.add(1, ordering: .relaxed).newValue % streams.loops.count
    let stream = streams.outgoing(on: streams.loops[loop], handler, options.terms.limits, name: name)
    let entry = instance.net.enter(stream, now: instance.phase == .running) {
        stream.dial(host, port, resolver: resolver(of: instance), layers: layers)
    }
    switch entry {
    case .entered: return stream.handle
    case .nameTaken:
        streams.withdraw(stream)
        throw RegistrationError(statusExists, "there is a connection \(name) already")
    case .full:
        streams.withdraw(stream)
        throw RegistrationError(statusNoMemory, "\(PluginNet.dialLimit) outgoing connections are the limit")
    case .ended:
        streams.withdraw(stream)
        throw RegistrationError(statusState, "the plugin is being stopped")
    }
}

/// In an upgrade: the old image's connection of this name.
private func claim(
    _ instance: PluginInstance, _ name: String, _ handler: ConnectionHandler
) throws(RegistrationError) -> martlet_conn? {
    guard !name.isEmpty, instance.phase == .starting, let old = instance.predecessor, handler.canRebind,
        let connection = old.net.dialed(name), instance.host.streams.find(connection) != nil
    else { return nil }
    guard instance.net.claim(name, handler, connection) else {
        throw RegistrationError(statusExists, "there is a connection \(name) already")
    }
    return connection
}

/// Names are looked up where threads may wait.
private func resolver(of instance: PluginInstance) -> Resolver {
    { host, port, done in
        let question = Unmanaged.passRetained(Question(host, port, done))
        let task = PluginTask(
            function: { user in
                let question = Unmanaged<Question>.fromOpaque(user!).takeRetainedValue()
                question.done(lookUp(question.host, question.port))
            }, user: question.toOpaque())
        let isTaken = instance.host.pool.submit(task, for: instance, limit: instance.host.options.queueLimit)
        if !isTaken { question.release() }
        return isTaken
    }
}

private final class Question {
    let host: String
    let port: UInt16
    let done: @Sendable ([SocketAddress]) -> Void

    init(_ host: String, _ port: UInt16, _ done: @escaping @Sendable ([SocketAddress]) -> Void) {
        self.host = host
        self.port = port
        self.done = done
    }
}

/// At most eight, in the order the system prefers.
private func lookUp(_ host: String, _ port: UInt16) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next, found.count < 8 {
        next = entry.pointee.ai_next
        guard let address = entry.pointee.ai_addr, [AF_INET, AF_INET6].contains(entry.pointee.ai_family) else {
            continue
        }
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) {
            $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(entry.pointee.ai_addrlen)))
        }
        found.append(SocketAddress(&storage))
    }
    return found
}

extension PluginHost {
    /// [loop] Hands a stream to the MQTT core; false when it is not open.
    func adopt(_ stream: Stream, of instance: PluginInstance, _ zone: Int) -> Bool {
        let broker = broker
        let listener = gateway(stream, instance)
        return stream.handOver { transport, peer in
            var storage = peer.storage
            broker.adopt(transport, peer: PeerAddress(&storage), listener: listener, zone: zone)
        }
    }

    /// `listeners` and the clients' details show it under the plugin's name.
    private func gateway(_ stream: Stream, _ instance: PluginInstance) -> UInt16 {
        let handler = stream.handler as? ConnectionHandler
        var terms = ListenerTerms(name: "\(instance.name):\(handler?.name ?? "")")
        if let handler { terms.maxConnections = handler.maxConnections }
        return broker.gateway(terms)
    }
}
