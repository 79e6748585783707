// SPDX-License-Identifier: Apache-2.0
import CtlProtocol
import Glibc

/// One sentence for the user: why there is no answer.
struct NoAnswer: Error {
    let reason: String
}

/// The stream socket to the broker.
struct Connection {
    static let patienceMS: Int32 = 60_000
    private let socketFD: Int32

    init(path: String) throws(NoAnswer) {
        let made = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw NoAnswer(reason: "no socket: \(systemText(errno))") }
        guard connectUnix(made, path) == 0 else {
            let code = errno
            close(made)
            throw NoAnswer(reason: Self.reason(code, path))
        }
        socketFD = made
    }

    /// Sends everything. A broker that has already refused and closed is no failure here: its sentence is still to be read.
    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(socketFD, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 { return }
            sent += count
        }
    }

    /// The next bytes; empty at the end of the stream.
    func receive() throws(NoAnswer) -> ArraySlice<UInt8> {
        var waiting = pollfd(fd: socketFD, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = poll(&waiting, 1, Self.patienceMS)
            if ready == 0 { throw NoAnswer(reason: "no answer within \(Self.patienceMS / 1000) s") }
            if ready > 0 { break }
            if errno != EINTR { throw NoAnswer(reason: systemText(errno)) }
        }
        var chunk = [UInt8](repeating: 0, count: CtlProtocol.maxFrameBytes)
        let count = recv(socketFD, &chunk, chunk.count, 0)
        if count < 0 { throw NoAnswer(reason: "the connection broke: \(systemText(errno))") }
        return chunk.prefix(count)
    }

    private static func reason(_ code: Int32, _ path: String) -> String {
        switch code {
        case ENOENT: "no broker is running, there is no socket \(path)"
        case ECONNREFUSED: "no broker is running, nobody listens on \(path)"
        case EACCES: "this user may not open \(path)"
        default: "cannot connect to \(path): \(systemText(code))"
        }
    }
}

func systemText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A socket address holds 108 bytes; a longer path is reached through a descriptor of its folder.
private func connectUnix(_ socketFD: Int32, _ path: String) -> Int32 {
    guard path.utf8.count > 107, let slash = path.lastIndex(of: "/") else { return connectShort(socketFD, path) }
    let folder = open(String(path[...slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { return -1 }
    defer { close(folder) }
    return connectShort(socketFD, "/proc/self/fd/\(folder)/\(path[path.index(after: slash)...])")
}

private func connectShort(_ socketFD: Int32, _ path: String) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
        errno = ENAMETOOLONG
        return -1
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(socketFD, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
