// SPDX-License-Identifier: Apache-2.0

/// What is to be told of a file that was read again while the values of an earlier load are in force: every problem in
/// a sentence, or which keys wait for the next start. Nothing is changed by it.
public struct ConfigReview: Sendable {
    public enum Level: Sendable { case notice, warning, error }
    public struct Line: Sendable, Equatable {
        public let level: Level
        public let text: String
    }

    public let lines: [Line]

    /// Problems and keys that are named; of more the number is.
    static let limit = 50

    /// - Parameter inForce: what the program runs with.
    public init(_ load: ConfigLoad, inForce: ConfigFile) {
        let path = inForce.path
        var lines = load.diagnostics.prefix(Self.limit).map {
            Line(level: $0.severity == .error ? .error : .warning, text: $0.description)
        }
        let more = load.diagnostics.count - lines.count
        if more > 0 { lines.append(Line(level: .error, text: "\(path): \(more) more problems.")) }
        guard let values = load.values else {
            let rest = "what it read at its start stays in force, and the broker would not start with this file."
            self.lines = lines + [Line(level: .error, text: "\(path) is not valid: \(rest)")]
            return
        }
        let keys = values.changes(since: inForce).map(\.key)
        if keys.isEmpty {
            lines.append(Line(level: .notice, text: "\(path) is valid and sets what is in force."))
        } else {
            var named = keys.prefix(Self.limit).joined(separator: ", ")
            if keys.count > Self.limit { named += " and \(keys.count - Self.limit) more" }
            let verb = keys.count == 1 ? "waits" : "wait"
            lines.append(
                Line(level: .notice, text: "\(path) is valid; \(named) changed and \(verb) for the next start."))
        }
        self.lines = lines
    }
}
