// SPDX-License-Identifier: Apache-2.0
import CtlProtocol
import Glibc

/// Why the ctl socket cannot be had, in one sentence.
public struct ControlError: Error, Sendable, CustomStringConvertible {
    public let sentence: String
    public var description: String { sentence }
}

/// A listening unix stream socket that only its owner may open.
enum UnixSocket {
    /// Non-blocking. A socket file that nobody listens on is a leftover and is replaced; one that answers belongs to a
    /// running broker.
    static func listen(_ path: String) throws(ControlError) -> Int32 {
        if isAnswered(path) {
            throw ControlError(sentence: "another broker listens on \(path); stop it first or set ctl.socket.")
        }
        try clear(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard descriptor >= 0 else { throw failed(path, errno) }
        // Nobody can connect before listen, so the mode is in force from the first client on.
        guard UnixAddress.with(path, { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o600) == 0,
            Glibc.listen(descriptor, 64) == 0
        else {
            let code = errno
            close(descriptor)
            throw failed(path, code)
        }
        return descriptor
    }

    /// Takes a leftover away, but nothing that is not ours: a mistyped path must not cost a file.
    private static func clear(_ path: String) throws(ControlError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ControlError(sentence: "\(path) is there already and is no socket; set ctl.socket to another path.")
        }
        unlink(path)
    }

    private static let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)

    private static func isAnswered(_ path: String) -> Bool {
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        return UnixAddress.with(path) { connect(probe, $0, $1) } == 0 || errno == EAGAIN
    }

    private static func failed(_ path: String, _ code: Int32) -> ControlError {
        ControlError(sentence: "the ctl socket \(path) cannot be opened: \(String(cString: strerror(code))).")
    }
}
