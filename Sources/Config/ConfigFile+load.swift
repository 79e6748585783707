// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What a load found: values only when no diagnostic is an error.
public struct ConfigLoad: Sendable {
    public let values: ConfigFile?
    /// All of them, errors and warnings, in the order of the file, the environment's last.
    public let diagnostics: [Diagnostic]

    public var errors: [Diagnostic] { diagnostics.filter { $0.severity == .error } }
    public var warnings: [Diagnostic] { diagnostics.filter { $0.severity == .warning } }
}

extension ConfigFile {
    /// Reads and checks a file against its declarations.
    ///
    /// - Parameters:
    ///   - optional: a missing file then means defaults instead of an error.
    ///   - scope: which `MARTLET__` variables this schema answers for.
    ///   - root: the folder that relative paths are resolved against.
    public static func load(
        path: String, schema: Schema, environment: [String: String] = [:], scope: EnvironmentScope = .own,
        root: String = ".", optional: Bool = false
    ) -> ConfigLoad {
        switch readFile(path) {
        case .success(let bytes):
            return check(bytes, path: path, schema: schema, environment: environment, scope: scope, root: root)
        case .failure(let error) where error.code == ENOENT && optional:
            return check([], path: path, schema: schema, environment: environment, scope: scope, root: root)
        case .failure(let error):
            return ConfigLoad(
                values: nil, diagnostics: [Diagnostic(.error, file: path, message: "cannot be read: \(error.text)")])
        }
    }

    /// As `load`, on text that is already in memory.
    public static func check(
        _ bytes: [UInt8], path: String, schema: Schema, environment: [String: String] = [:],
        scope: EnvironmentScope = .own, root: String = "."
    ) -> ConfigLoad {
        let text = ConfigText(bytes, file: path)
        var loader = Loader(path: path, schema: schema, root: root)
        loader.diagnostics = text.diagnostics
        for entry in text.entries {
            loader.take(entry.key, entry.value, from: .file(path: path, line: entry.line), known: nil)
        }
        loader.diagnostics.sort { $0.line < $1.line }
        loader.takeEnvironment(environment, scope: scope)
        let failed = loader.diagnostics.contains { $0.severity == .error }
        return ConfigLoad(values: failed ? nil : loader.values, diagnostics: loader.diagnostics)
    }
}

/// Collects values and everything that is wrong with them, so that a user sees all mistakes at once.
struct Loader {
    let schema: Schema
    var values: ConfigFile
    var diagnostics: [Diagnostic] = []
    /// Canonical name → where and under which spelling it was set, per kind of source.
    private var seenInFile: [String: (spelling: String, line: Int)] = [:]
    private var seenInEnvironment: [String: String] = [:]

    init(path: String, schema: Schema, root: String) {
        self.schema = schema
        values = ConfigFile(path: path, schema: schema, root: root)
    }

    /// `known` is the resolved key when the caller already looked it up.
    mutating func take(_ spelling: String, _ text: String, from source: ConfigSource, known: Schema.Match?) {
        guard let match = known ?? schema.resolve(spelling) else { return unknown(spelling, source) }
        guard isFirst(match.name, spelling, source) else { return }
        if let reason = match.key.noEffect {
            return note(.warning, source, spelling, "no effect here: \(reason)")
        }
        guard let scalar = match.key.scalar(of: text) else { return bad(text, match.key, spelling, source) }
        values.put(match.name, ConfigValue(text: text, scalar: scalar, source: source))
    }

    private mutating func isFirst(_ name: String, _ spelling: String, _ source: ConfigSource) -> Bool {
        switch source {
        case .file(_, let line):
            guard let earlier = seenInFile[name] else {
                seenInFile[name] = (spelling, line)
                return true
            }
            let other = earlier.spelling == spelling ? "" : " as \(earlier.spelling)"
            note(.error, source, spelling, "already set\(other) on line \(earlier.line), expected once")
        case .environment(let variable):
            guard let earlier = seenInEnvironment[name] else {
                seenInEnvironment[name] = variable
                return true
            }
            note(.error, source, spelling, "already set by \(earlier), expected one variable for a key")
        case .declaredDefault: return true
        }
        return false
    }

    mutating func unknown(_ spelling: String, _ source: ConfigSource) {
        let hint = schema.nearest(spelling).map { "; did you mean \($0)?" } ?? ""
        note(.error, source, spelling, "unknown key\(hint)")
    }

    private mutating func bad(_ text: String, _ key: ConfigKey, _ spelling: String, _ source: ConfigSource) {
        let shown = key.flags.contains(.secret) ? "the value (not shown)" : "\"\(text)\""
        var message = text.isEmpty ? "no value" : "\(shown) is not valid"
        message += ", expected \(key.expectation)"
        if case .enumeration(let words) = key.type,
            let near = nearest(to: text, in: words + key.words.keys.sorted())
        {
            message += "; did you mean \(near)?"
        }
        note(.error, source, spelling, message)
    }

    private mutating func note(
        _ severity: Diagnostic.Severity, _ source: ConfigSource, _ key: String, _ message: String
    ) {
        diagnostics.append(Diagnostic(severity, at: source, key: key, message: message))
    }
}

extension ConfigKey {
    /// Extra words belong to the sentence, except synonyms of an enumeration, which only exist for old files.
    var expectation: String {
        if case .enumeration = type { return type.expectation }
        return words.keys.sorted().map { "\($0) or " }.joined() + type.expectation
    }
}

private struct ReadFailure: Error {
    let code: Int32
    let text: String
}

/// No configuration is larger; a wrong path should not fill the memory.
private let maxFileBytes = 4 << 20

private func readFile(_ path: String) -> Result<[UInt8], ReadFailure> {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return .failure(systemFailure()) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = read(file, &chunk, chunk.count)
        if count < 0 { return .failure(systemFailure()) }
        if count == 0 { return .success(bytes) }
        bytes.append(contentsOf: chunk[..<count])
        if bytes.count > maxFileBytes {
            return .failure(ReadFailure(code: EFBIG, text: "it is larger than \(formatBytes(maxFileBytes))"))
        }
    }
}

private func systemFailure() -> ReadFailure {
    let code = errno
    return ReadFailure(code: code, text: String(cString: strerror(code)))
}
