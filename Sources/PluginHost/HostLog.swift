// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Where lines of plugins and about plugins go.
public struct HostLog: Sendable {
    /// Same numbers as MARTLET_LOG_*.
    public enum Level: Int32, Sendable, Comparable {
        case debug, info, notice, warning, error, critical
        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }

    /// The lowest level that is written. A value and not a question: plugins ask on the data path.
    let threshold: Level
    let write: @Sendable (Level, String) -> Void

    public init(
        threshold: Level = .info, write: @escaping @Sendable (Level, String) -> Void
    ) {
        self.threshold = threshold
        self.write = write
    }

    /// Plain lines on standard error.
    public static let standardError = HostLog { level, line in
        let bytes = Array("[\(level)] \(line)\n".utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    func line(_ level: Level, _ text: String) {
        if level >= threshold { write(level, text) }
    }
}

/// Longest text a plugin can put into one line.
let maxLineBytes = 8192

/// Bytes of a plugin as one line of text: no control characters, so that no line can be forged.
func oneLine(_ bytes: some Collection<UInt8>, limit: Int = maxLineBytes) -> String {
    let cut = bytes.prefix(limit)
    let clean = cut.contains { $0 < 0x20 || $0 == 0x7F } ? cut.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 } : Array(cut)
    return String(decoding: clean, as: UTF8.self) + (bytes.count > limit ? "..." : "")
}
