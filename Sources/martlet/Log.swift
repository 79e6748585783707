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
        var console = LogOutput(STDOUT_FILENO)
        var file = LogOutput(-1)
        /// Bytes in the file.
        var written = 0
        /// When a file that cannot be opened is tried again, Unix seconds.
        var retryAt = 0
    }

    private let state: Mutex<State>
    private let level: HostLog.Level
    private static let retrySeconds = 10

    init(_ options: Options) {
        level = options.level
        state = Mutex(State(options: options))
        state.withLock { state in
            guard let path = state.options.file, let code = Self.open(&state) else { return }
            // The reason a file cannot be written must be seen somewhere.
            var errors = LogOutput(STDERR_FILENO)
            _ = errors.put("The log file \(path) cannot be written: \(String(cString: strerror(code))).\n") { $0 }
        }
    }

    var hostLog: HostLog {
        HostLog(threshold: level) { [self] level, text in write(level, text) }
    }

    func write(_ level: HostLog.Level, _ text: String) {
        guard level >= self.level else { return }
        let line = Self.line(level, text)
        let notice = { (text: String) in Self.line(.warning, text) }
        state.withLock { state in
            if state.options.toConsole { _ = state.console.put(line, notice: notice) }
            guard state.options.file != nil else { return }
            if state.file.descriptor < 0 { Self.openAgain(&state) }
            state.written += state.file.put(line, notice: notice)
            if state.written >= state.options.rotateAt { Self.rotate(&state) }
        }
    }

    /// Lines that the console or the file did not take.
    var linesLost: Int { state.withLock { $0.console.lostInAll + $0.file.lostInAll } }

    private static func line(_ level: HostLog.Level, _ text: String) -> String {
        "\(timestamp()) [\(level)] \(text)\n"
    }

    /// nil, or why the file could not be opened.
    private static func open(_ state: inout State) -> Int32? {
        guard let path = state.options.file else { return nil }
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0o640)
        let code = errno
        state.file.replace(with: descriptor)
        state.written = descriptor < 0 ? 0 : max(0, Int(lseek(descriptor, 0, SEEK_END)))
        state.retryAt = time(nil) + retrySeconds
        return descriptor < 0 ? code : nil
    }

    private static func openAgain(_ state: inout State) {
        if abs(state.retryAt - time(nil)) > retrySeconds || time(nil) >= state.retryAt { _ = open(&state) }
    }

    /// martlet.log → martlet.log.1 → …; the oldest goes.
    private static func rotate(_ state: inout State) {
        guard let path = state.options.file else { return }
        close(state.file.descriptor)
        for i in stride(from: state.options.keep - 2, through: 1, by: -1) {
            rename("\(path).\(i)", "\(path).\(i + 1)")
        }
        if state.options.keep > 1 { rename(path, "\(path).1") } else { unlink(path) }
        _ = open(&state)
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
