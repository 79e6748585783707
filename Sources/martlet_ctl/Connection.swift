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
        guard UnixAddress.with(path, { connect(made, $0, $1) }) == 0 else {
            let code = errno
            close(made)
            throw NoAnswer(reason: Self.reason(code, path))
        }
        socketFD = made
    }

    /// Sends everything. A broker that has already refused and closed is no failure here: its sentence is still to be
    /// read.
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
