// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A blocking MQTT 3.1.1 client of a few packets, one thread's.
final class MQTTClient {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(connected == 0, "the test's own broker does not listen")
    }

    deinit { close(descriptor) }

    /// The CONNACK return code; nil when the broker closed instead.
    func connect(_ id: String, user: String? = nil) -> UInt8? {
        sendConnect(id, user: user)
        return acknowledged()
    }

    /// The return code of the CONNACK that is due.
    func acknowledged() -> UInt8? {
        guard let packet = packet(), packet.type == 2 else { return nil }
        return packet.body[1]
    }

    func sendConnect(_ id: String, user: String? = nil) {
        var body = text("MQTT") + [4, user == nil ? 0x02 : 0x82, 0, 60] + text(id)
        if let user { body += text(user) }
        send(0x10, body)
    }

    func subscribe(_ filter: String, qos: UInt8) -> Bool {
        send(0x82, [0, 1] + text(filter) + [qos])
        return packet()?.type == 9
    }

    /// QoS 1; returns when the PUBACK is here.
    func publish(_ topic: String, _ payload: String, id: UInt16) -> Bool {
        send(0x32, text(topic) + [UInt8(id >> 8), UInt8(id & 0xFF)] + Array(payload.utf8))
        return packet()?.type == 4
    }

    /// The payload of the next PUBLISH, acknowledged.
    func receive() -> String? {
        guard let packet = packet(), packet.type == 3 else { return nil }
        let length = Int(packet.body[0]) << 8 | Int(packet.body[1])
        var rest = packet.body[(2 + length)...]
        if packet.flags & 0x06 != 0 {
            send(0x40, Array(rest.prefix(2)))
            rest = rest.dropFirst(2)
        }
        return String(decoding: rest, as: UTF8.self)
    }

    func sendRaw(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The next bytes, whatever they are; nil when there are not so many.
    func take(_ count: Int) -> [UInt8]? {
        guard fill(count) else { return nil }
        defer { buffer.removeFirst(count) }
        return Array(buffer.prefix(count))
    }

    private func send(_ first: UInt8, _ body: [UInt8]) {
        var length = body.count
        var bytes = [first]
        repeat {
            bytes.append(UInt8(length & 0x7F) | (length > 0x7F ? 0x80 : 0))
            length >>= 7
        } while length > 0
        bytes += body
        sendRaw(bytes)
    }

    /// nil at the end of the stream or after a minute.
    private func packet() -> (type: UInt8, flags: UInt8, body: [UInt8])? {
        guard fill(2) else { return nil }
        var at = 1
        var length = 0
        while true {
            guard fill(at + 1) else { return nil }
            length |= Int(buffer[at] & 0x7F) << ((at - 1) * 7)
            at += 1
            if buffer[at - 1] & 0x80 == 0 { break }
        }
        guard fill(at + length) else { return nil }
        let first = buffer[0]
        let body = Array(buffer[at..<at + length])
        buffer.removeFirst(at + length)
        return (first >> 4, first & 0x0F, body)
    }

    private func fill(_ count: Int) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 4096)
        while buffer.count < count {
            let got = recv(descriptor, &chunk, chunk.count, 0)
            if got <= 0 { return false }
            buffer += chunk[..<got]
        }
        return true
    }

    private func text(_ text: String) -> [UInt8] {
        [UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xFF)] + Array(text.utf8)
    }
}
