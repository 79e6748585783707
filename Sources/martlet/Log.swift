// SPDX-License-Identifier: Apache-2.0
import Glibc
import PluginHost
import Synchronization

/// The broker's log: one line an event, ISO time first, to the console, to a file that is rotated, or to both.
final class Log: Sendable {
    struct Options {
        var toConsole = true
        /// Full path; nil: no file.
        var file: String?
        var level = HostLog.Level.info
        /// Bytes after which the file is put aside.
        var rotateAt = 10 << 20
        /// Files kept, the current one included.
        var keep = 5
    }

    private struct State {
        var options: Options
        var descriptor: Int32 = -1
        var written = 0
    }

    private let state: Mutex<State>
    private let level: HostLog.Level

    init(_ options: Options) {
        level = options.level
        state = Mutex(State(options: options))
        state.withLock { Self.open(&$0) }
    }

    var hostLog: HostLog {
        HostLog(threshold: level) { [self] level, text in write(level, text) }
    }

    func write(_ level: HostLog.Level, _ text: String) {
        guard level >= self.level else { return }
        let line = "\(Self.timestamp()) [\(level)] \(text)\n"
        state.withLock { state in
            if state.options.toConsole { Self.put(STDOUT_FILENO, line) }
            guard state.descriptor >= 0 else { return }
            Self.put(state.descriptor, line)
            state.written += line.utf8.count
            if state.written >= state.options.rotateAt { Self.rotate(&state) }
        }
    }

    private static func put(_ descriptor: Int32, _ line: String) {
        var line = line
        line.withUTF8 { _ = Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    private static func open(_ state: inout State) {
        guard let path = state.options.file else { return }
        state.descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        if state.descriptor < 0 {
            // The reason a file cannot be written must be seen somewhere.
            put(STDERR_FILENO, "The log file \(path) cannot be written: \(String(cString: strerror(errno))).\n")
            return
        }
        state.written = max(0, Int(lseek(state.descriptor, 0, SEEK_END)))
    }

    /// martlet.log → martlet.log.1 → …; the oldest goes.
    private static func rotate(_ state: inout State) {
        guard let path = state.options.file else { return }
        close(state.descriptor)
        for i in stride(from: state.options.keep - 2, through: 1, by: -1) {
            rename("\(path).\(i)", "\(path).\(i + 1)")
        }
        if state.options.keep > 1 { rename(path, "\(path).1") } else { unlink(path) }
        open(&state)
    }

    /// `2026-01-31T12:34:56.789+01:00`
    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        localtime_r(&now.tv_sec, &parts)
        func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
        let ms = now.tv_nsec / 1_000_000
        let zone = abs(parts.tm_gmtoff) / 60
        return "\(parts.tm_year + 1900)-\(two(Int(parts.tm_mon) + 1))-\(two(Int(parts.tm_mday)))T"
            + "\(two(Int(parts.tm_hour))):\(two(Int(parts.tm_min))):\(two(Int(parts.tm_sec)))."
            + "\(ms < 100 ? "0" : "")\(two(ms))\(parts.tm_gmtoff < 0 ? "-" : "+")\(two(zone / 60)):\(two(zone % 60))"
    }
}
