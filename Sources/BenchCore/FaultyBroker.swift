// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A broker that is wrong on purpose, and knows exactly how often: the yardstick for the generator's own accounts.
///
/// MQTT 3.1.1, QoS 0, one filter per client, exact topics; of the messages it forwards it drops, doubles and swaps
/// some.
public final class FaultyBroker: @unchecked Sendable {
    public struct Faults: Sendable {
        /// Every so many messages; 0: never.
        public var dropEvery = 0
        public var doubleEvery = 0
        public var swapEvery = 0
        public init(dropEvery: Int = 0, doubleEvery: Int = 0, swapEvery: Int = 0) {
            (self.dropEvery, self.doubleEvery, self.swapEvery) = (dropEvery, doubleEvery, swapEvery)
        }
    }

    public let port: UInt16
    /// What it did. Read after `stop`.
    public private(set) var forwarded = 0
    public private(set) var dropped = 0
    public private(set) var doubled = 0
    public private(set) var swapped = 0

    private let faults: Faults
    private let listener: Int32
    private let bell: (read: Int32, write: Int32)
    private var connections: [Int32: [UInt8]] = [:]
    private var subscribers: [String: Int32] = [:]
    /// A message that goes out after the next one of its topic.
    private var held: [String: [UInt8]] = [:]
    private var count = 0
    private var thread = pthread_t()

    public init(_ faults: Faults) throws {
        self.faults = faults
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard listener >= 0, try SocketAddress(host: "127.0.0.1", port: 0).bind(listener) == 0,
            listen(listener, 64) == 0
        else {
            throw BenchError("cannot listen: \(errorText())")
        }
        port = SocketAddress.port(of: listener)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw BenchError("cannot create a pipe: \(errorText())") }
        bell = (ends[0], ends[1])
        let context = Unmanaged.passRetained(self).toOpaque()
        pthread_create(
            &thread, nil,
            { context in
                Unmanaged<FaultyBroker>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, context)
    }

    /// Ends its thread; call once.
    public func stop() {
        close(bell.write)
        pthread_join(thread, nil)
    }

    private func run() {
        while true {
            var polled = ([bell.read, listener] + connections.keys).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            guard poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
            if polled[0].revents != 0 { break }
            if polled[1].revents != 0 { connections[accept(listener, nil, nil)] = [] }
            for item in polled.dropFirst(2) where item.revents != 0 { receive(item.fd) }
        }
        for fd in Array(connections.keys) + [listener, bell.read] { close(fd) }
    }

    private func receive(_ fd: Int32) {
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        let count = recv(fd, &chunk, chunk.count, 0)
        guard count > 0 else {
            close(fd)
            connections[fd] = nil
            subscribers = subscribers.filter { $0.value != fd }
            return
        }
        var bytes = (connections[fd] ?? []) + chunk[0..<count]
        var used = 0
        bytes.withUnsafeBufferPointer { buffer in
            var packet = PacketView(first: 0, body: buffer.baseAddress!, length: 0)
            while case .packet(let size) = PacketView.read(
                buffer.baseAddress! + used, buffer.count - used, into: &packet)
            {
                answer(fd, packet, Array(buffer[used..<used + size]))
                used += size
                if used == buffer.count { break }
            }
        }
        bytes.removeFirst(used)
        connections[fd] = bytes
    }

    private func answer(_ fd: Int32, _ packet: PacketView, _ bytes: [UInt8]) {
        switch packet.type {
        case 1: send(fd, Packet.connack())
        case 8:
            let length = bigEndian16(packet.body + 2)
            subscribers[String(decoding: UnsafeBufferPointer(start: packet.body + 4, count: length), as: UTF8.self)] =
                fd
            send(fd, Packet.suback(packetID: packet.packetID, codes: [0]))
        case PacketType.publish:
            guard let publish = PublishView(packet, version: 4) else { return }
            let topic = UnsafeBufferPointer(start: publish.topic, count: publish.topicLength)
            forward(String(decoding: topic, as: UTF8.self), bytes)
        default: break
        }
    }

    private func forward(_ topic: String, _ bytes: [UInt8]) {
        guard let fd = subscribers[topic] else { return }
        count += 1
        if let earlier = held.removeValue(forKey: topic) {
            send(fd, bytes)
            send(fd, earlier)
            forwarded += 2
            swapped += 1
        } else if hits(faults.dropEvery) {
            dropped += 1
        } else if hits(faults.swapEvery) {
            held[topic] = bytes
        } else {
            send(fd, bytes)
            forwarded += 1
            if hits(faults.doubleEvery) {
                send(fd, bytes)
                doubled += 1
            }
        }
    }

    private func hits(_ every: Int) -> Bool { every > 0 && count % every == 0 }

    private func send(_ fd: Int32, _ bytes: [UInt8]) { _ = Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
}
