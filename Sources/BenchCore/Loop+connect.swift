// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// The life of a connection: socket, CONNECT, SUBSCRIBE, DISCONNECT.
extension Loop {
    func add(_ more: [ClientSpec]) {
        for spec in more {
            let client = ClientPointer.allocate(capacity: 1)
            client.initialize(to: Client(index: clients.count))
            client.pointee.churnLeft = spec.churn
            clients.append(client)
            specs.append(spec)
            if let publishing = spec.publishing { addPublisher(client, publishing) }
            if let rule = spec.receiver { addReceiver(client, rule, hears: spec.hears) }
            connectQueue.append(client.pointee.index)
        }
    }

    private func addPublisher(_ client: ClientPointer, _ publishing: ClientSpec.Publishing) {
        let template = PublishTemplate(
            publishing.topic, size: traffic.size, qos: traffic.qos, retain: traffic.retain, version: traffic.version,
            run: traffic.run, publisher: UInt32(publishing.index))
        let publisher = UnsafeMutablePointer<Publisher>.allocate(capacity: 1)
        publisher.initialize(
            to: Publisher(
                index: publishing.index, template: template, limit: publishing.limit,
                inflight: traffic.qos > 0 ? Inflight(window: min(traffic.window, 65_535)) : nil, batch: traffic.batch))
        client.pointee.publisher = publisher
        publisherClients[publishing.index] = client
        ownPublishers.append(client)
    }

    private func addReceiver(_ client: ClientPointer, _ rule: ReceiverRule, hears: Range<Int>) {
        client.pointee.receiver = rule
        client.pointee.firstStream = hears.lowerBound
        client.pointee.streamCount = hears.count
        let streams = UnsafeMutablePointer<SequenceTracker>.allocate(capacity: max(1, hears.count))
        var expectation = SequenceTracker.Expectation.everyNumber
        if case .someReceiver = rule { expectation = .rising }
        if case .collector = rule { expectation = .anyOrder }
        streams.initialize(repeating: SequenceTracker(expectation), count: hears.count)
        client.pointee.streams = streams
        receivers.append(client)
    }

    var mayConnect: Bool {
        connectQueueHead < connectQueue.count && counters[.outstandingConnects] < UInt64(traffic.parallelConnects)
    }

    func startConnects(_ now: UInt64) {
        while mayConnect {
            if let rate = traffic.connectRate {
                guard now >= nextConnectAt else { return }
                nextConnectAt = max(nextConnectAt, now - min(now, 100_000_000)) + UInt64(1_000_000_000 / rate)
            }
            let client = clients[connectQueue[connectQueueHead]]
            connectQueueHead += 1
            open(client)
        }
        if connectQueueHead == connectQueue.count && connectQueueHead > 0 {
            connectQueue.removeAll(keepingCapacity: true)
            connectQueueHead = 0
        }
    }

    private func open(_ client: ClientPointer) {
        client.pointee.startedAt = bench_now()
        counters[.outstandingConnects] += 1
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let fd = socket(address.family, kind, 0)
        client.pointee.fd = fd
        client.pointee.state = .connecting
        client.pointee.generation &+= 1
        guard fd >= 0 else { return fail(client, "cannot open a socket: \(errorText())") }
        var on: Int32 = 1
        setsockopt(fd, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        if client.pointee.receiver != nil {
            // A queue of tiny segments overruns a small buffer; what the kernel then drops costs seconds of back-off.
            var size: Int32 = 4 << 20
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        if let source = source(of: client), source.bindAddress(fd) != 0 {
            return fail(client, "cannot use a source address: \(errorText())")
        }
        guard address.connect(fd) == 0 || errno == EINPROGRESS else {
            return fail(client, "cannot connect: \(errorText())")
        }
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
        event.data.u64 = UInt64(client.pointee.generation) << 32 | UInt64(client.pointee.index)
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)
    }

    /// Each time the next one, so that a port rests while its connection is still in TIME_WAIT.
    private func source(of client: ClientPointer) -> SocketAddress? {
        guard !traffic.sources.isEmpty else { return nil }
        return traffic.sources[(client.pointee.index + Int(client.pointee.generation)) % traffic.sources.count]
    }

    /// The first event of a new socket. False: it failed.
    func finishConnect(_ client: ClientPointer) -> Bool {
        var error: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(client.pointee.fd, SOL_SOCKET, SO_ERROR, &error, &size)
        guard error == 0 else {
            errno = error
            fail(client, "cannot connect: \(errorText())")
            return false
        }
        if traffic.transport.isTLS { beginHandshake(client) } else { transportIsThere(client) }
        return true
    }

    /// Bytes can be sent, encrypted or not: CONNECT is next, or WebSocket's opening.
    func transportIsThere(_ client: ClientPointer) {
        guard traffic.transport.isWebSocket else { return sendConnect(client) }
        client.pointee.frames = FrameReader()
        client.pointee.state = .upgrading
        WebSocket.request(host: traffic.host, port: traffic.port).withUnsafeBufferPointer {
            sendFramed(client, $0.baseAddress!, $0.count)
        }
        markDirty(client)
    }

    func sendConnect(_ client: ClientPointer) {
        let spec = specs[client.pointee.index]
        client.pointee.output.append(
            Packet.connect(
                .init(
                    clientID: spec.name, version: traffic.version, keepAlive: traffic.keepAlive,
                    persistent: spec.persistent,
                    username: traffic.username, password: traffic.password)))
        client.pointee.state = .awaitingConnack
        markDirty(client)
    }

    func connected(_ client: ClientPointer, _ packet: PacketView, _ now: UInt64) {
        guard client.pointee.state == .awaitingConnack, let answer = ConnackView(packet, version: traffic.version)
        else {
            return protocolError(client, "a CONNACK that was not expected or is malformed")
        }
        guard answer.reason == 0 else {
            counters[.refused] += 1
            return fail(client, "the broker refused the connection with code \(answer.reason)")
        }
        connectTime.record(now - client.pointee.startedAt)
        counters[.connected] += 1
        counters[.outstandingConnects] -= 1
        if answer.sessionPresent { counters[.sessionsPresent] += 1 }
        if let publisher = client.pointee.publisher {
            publisher.pointee.inflight?.limit(to: max(1, answer.receiveMaximum))
            publisher.pointee.batch = min(traffic.batch, max(1, answer.receiveMaximum / 4))
        }
        let spec = specs[client.pointee.index]
        if client.pointee.churnLeft > 0 {
            disconnect(client)
        } else if spec.filters.isEmpty {
            client.pointee.state = .ready
            markDirty(client)
        } else {
            client.pointee.output.append(
                Packet.subscribe(spec.filters, qos: spec.subscribeQoS, version: traffic.version))
            client.pointee.state = .awaitingSuback
            markDirty(client)
        }
    }

    func subscribed(_ client: ClientPointer, _ packet: PacketView) {
        let codesAt = traffic.version == 5 ? propertiesSize(packet.body + 2, packet.length - 2).map { 2 + $0 } : 2
        guard client.pointee.state == .awaitingSuback, let codesAt, codesAt < packet.length else {
            return protocolError(client, "a SUBACK that was not expected or is malformed")
        }
        for i in codesAt..<packet.length {
            counters[packet.body[i] < 0x80 ? .subscribed : .subscriptionsRefused] += 1
        }
        client.pointee.state = .ready
    }

    /// Says goodbye and waits for the broker to close.
    func disconnect(_ client: ClientPointer) {
        guard client.pointee.fd >= 0 && client.pointee.state != .closing else { return }
        client.pointee.startedAt = bench_now()
        client.pointee.state = .closing
        client.pointee.output.append(Packet.disconnect)
        markDirty(client)
    }

    /// The socket is at its end, whoever ended it.
    func closed(_ client: ClientPointer) {
        let state = client.pointee.state
        discard(client)
        switch state {
        case .closing:
            counters[.finished] += 1
            if client.pointee.churnLeft > 1 {
                client.pointee.churnLeft -= 1
                connectQueue.append(client.pointee.index)
            }
        case .connecting, .shaking, .upgrading, .awaitingConnack:
            counters[.outstandingConnects] -= 1
            counters[.failed] += 1
            lastComplaint = "the broker closed a connection before it answered CONNECT"
        default:
            counters[.lostConnections] += 1
            lastComplaint = lastComplaint ?? "the broker closed a connection"
        }
    }

    func fail(_ client: ClientPointer, _ reason: String) {
        lastComplaint = reason
        counters[.failed] += 1
        if [.connecting, .shaking, .upgrading, .awaitingConnack].contains(client.pointee.state) {
            counters[.outstandingConnects] -= 1
        }
        discard(client)
    }

    func protocolError(_ client: ClientPointer, _ reason: String) {
        counters[.protocolErrors] += 1
        fail(client, "the broker sent \(reason)")
    }

    /// Closes the socket and forgets what waited for it; the counts of its streams stay.
    func discard(_ client: ClientPointer) {
        if client.pointee.fd >= 0 { Glibc.close(client.pointee.fd) }
        dropTLS(client)
        client.pointee.fd = -1
        client.pointee.state = .closed
        client.pointee.isBlocked = false
        client.pointee.output.free()
        client.pointee.wire.free()
        client.pointee.partial.free()
    }

    /// Connects again and, as the session is still there, does not subscribe again.
    func resume(_ client: ClientPointer) {
        guard client.pointee.fd < 0 else { return }
        specs[client.pointee.index].filters = []
        connectQueue.append(client.pointee.index)
    }
}
