// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A descriptor that log lines go to: it may be slow, full or gone, and none of that holds the broker up. What it does
/// not take is counted, and told there as soon as it takes lines again.
struct LogOutput {
    private(set) var descriptor: Int32
    /// Lines lost since the last that was taken, and in all.
    private var lost = 0
    private(set) var lostInAll = 0
    private var reason: Int32 = 0
    /// The last line was taken in part only.
    private var isCut = false

    /// A console that takes nothing is waited for once for so long, then not at all until it takes something again.
    private static let patienceMS: Int32 = 50
    /// What a pipe that is ready for writing takes without blocking: PIPE_BUF.
    private static let piece = 4096

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Returns how many bytes were written. `notice` makes a line of a text of the log's own.
    mutating func put(_ line: String, notice: (String) -> String) -> Int {
        var written = 0
        if lost > 0 {
            let why = reason == EAGAIN ? "nobody took them" : String(cString: strerror(reason))
            let text = notice("\(lost) lines were lost here: \(why).")
            written = write(isCut ? "\n" + text : text)
            if reason == 0 { lost = 0 }
        }
        if lost == 0 { written += write(line) }
        if reason != 0 {
            lost += 1
            lostInAll += 1
        }
        return written
    }

    /// The file behind the descriptor was closed, and another one is open.
    mutating func replace(with new: Int32) {
        descriptor = new
        isCut = false
    }

    /// Returns how much of it was written; `reason` says why not all of it, or is 0.
    private mutating func write(_ text: String) -> Int {
        var text = text
        let patience = lost == 0 ? Self.patienceMS : 0
        return text.withUTF8 { bytes in
            var written = 0
            reason = descriptor < 0 ? EBADF : 0
            while written < bytes.count, reason == 0 {
                let rest = UnsafeBufferPointer(rebasing: bytes[written...].prefix(Self.piece))
                let n = Self.write(descriptor, rest, patience)
                if n < 0 { reason = errno } else { written += n }
            }
            if written > 0 { isCut = written < bytes.count }
            return written
        }
    }

    /// Bytes that were taken, or -1 with errno set.
    private static func write(_ descriptor: Int32, _ bytes: UnsafeBufferPointer<UInt8>, _ patience: Int32) -> Int {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&ready, 1, patience) != 0 else {
            errno = EAGAIN
            return -1
        }
        let n = Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        return n < 0 && errno == EINTR ? 0 : n
    }
}
