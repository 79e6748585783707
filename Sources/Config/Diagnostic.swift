// SPDX-License-Identifier: Apache-2.0

/// One sentence about one place of the configuration.
public struct Diagnostic: Sendable, Equatable, CustomStringConvertible {
    public enum Severity: Sendable, Equatable { case error, warning }

    public let severity: Severity
    /// The file's path, or `environment NAME` (then `line` is 0).
    public let file: String
    /// Counted from 1; 0 where there is no line.
    public let line: Int
    /// Empty when the line has no key.
    public let key: String
    public let message: String

    public init(_ severity: Severity, file: String, line: Int = 0, key: String = "", message: String) {
        self.severity = severity
        self.file = file
        self.line = line
        self.key = key
        self.message = message
    }

    init(_ severity: Severity, at source: ConfigSource, key: String, message: String) {
        switch source {
        case .file(let path, let line): self.init(severity, file: path, line: line, key: key, message: message)
        default: self.init(severity, file: source.description, key: key, message: message)
        }
    }

    /// `file:line: key: message`.
    public var description: String {
        var text = line > 0 ? "\(file):\(line): " : "\(file): "
        if !key.isEmpty { text += "\(key): " }
        return text + message
    }
}
