// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A blocking TCP client that talks in lines, one thread's.
final class TCPClient {
    let descriptor: Int32
    private var buffer: [UInt8] = []

    init(port: UInt16, receiveBuffer: Int32 = 0) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var room = receiveBuffer
        if room > 0 { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, 4) }
        _ = loopback(port) { Glibc.connect(descriptor, $0, $1) }
    }

    deinit { Glibc.close(descriptor) }

    @discardableResult func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult func send(_ bytes: [UInt8]) -> Bool {
        Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// Without its end; nil at the end of the stream, and when nothing comes.
    func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            guard receive() > 0 else { return nil }
        }
    }

    /// A line for a line.
    func ask(_ text: String) -> String? { send(text + "\n") ? line() : nil }

    /// Nothing more comes from here.
    func end() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// True when the other side has closed, whatever came before.
    func isClosed() -> Bool {
        var got = 1
        while got > 0 { got = receive() }
        return got == 0 || errno == ECONNRESET
    }

    /// Bytes until `count` are here; fewer at the end.
    func take(_ count: Int) -> [UInt8] {
        while buffer.count < count, receive() > 0 {}
        defer { buffer.removeFirst(min(count, buffer.count)) }
        return Array(buffer.prefix(count))
    }

    private func receive() -> Int {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let got = recv(descriptor, &chunk, chunk.count, 0)
        if got > 0 { buffer += chunk[..<got] }
        return got
    }
}

/// Sends datagrams to a port of this machine and receives the answers.
final class UDPClient {
    private let descriptor: Int32

    init(port: UInt16) {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        _ = loopback(port) { Glibc.connect(descriptor, $0, $1) }
    }

    deinit { Glibc.close(descriptor) }

    func ask(_ bytes: [UInt8]) -> [UInt8]? {
        guard Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count else { return nil }
        var answer = [UInt8](repeating: 0, count: 65536)
        let got = recv(descriptor, &answer, answer.count, 0)
        return got >= 0 ? Array(answer[..<got]) : nil
    }
}

/// A listening socket whose owner decides whether and when it accepts; or one that only keeps a port from everybody.
final class Door {
    let descriptor: Int32
    private(set) var port: UInt16 = 0

    init(listens: Bool = true) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        _ = loopback(0) { bind(descriptor, $0, $1) }
        if listens { listen(descriptor, 8) }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }

    func accept() -> TCPClient { TCPClient(accepted: Glibc.accept(descriptor, nil, nil)) }
}

extension TCPClient {
    convenience init(accepted fd: Int32) {
        self.init(port: 0)
        dup2(fd, descriptor)
        close(fd)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
}

private func loopback<R>(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
