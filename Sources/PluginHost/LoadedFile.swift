// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The loaded-plugins file: one `name.` a line, as EMQ's. Comments (`#`, `%`) and lines nobody understands stay as
/// they are.
struct LoadedFile {
    let path: String
    private(set) var lines: [String] = []

    init(_ path: String) { self.path = path }

    /// A file that is missing, because it could not be written before, says what is known already.
    mutating func read() throws(PluginError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return }
            throw failed("cannot be read", errno)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while bytes.count < 1 << 20 {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 { throw failed("cannot be read", errno) }
            bytes += chunk[..<count]
        }
        lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false).map(
            String.init)
        if lines.last == "" { lines.removeLast() }
    }

    /// In the order of the file, each once, without EMQ's prefixes.
    var names: [String] {
        var all: [String] = []
        for line in lines {
            if let name = Self.name(in: line), !all.contains(name) { all.append(name) }
        }
        return all
    }

    /// Lines that are neither a name nor a comment, with their numbers.
    var strangeLines: [(number: Int, text: String)] {
        lines.enumerated().compactMap { index, line in
            let text = Self.trim(line)
            guard !text.isEmpty, !text.hasPrefix("#"), !text.hasPrefix("%"), Self.name(in: line) == nil else {
                return nil
            }
            return (index + 1, text)
        }
    }

    mutating func add(_ name: String) {
        if !names.contains(name) { lines.append(name + ".") }
    }

    mutating func remove(_ name: String) {
        lines.removeAll { Self.name(in: $0) == name }
    }

    /// Atomic: a reader, or a start after a power failure, sees the old lines or the new ones.
    func write() throws(PluginError) {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failed("cannot be written", errno) }
        let bytes = Array(lines.map { $0 + "\n" }.joined().utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + written, $0.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                close(file)
                unlink(temporary)
                throw failed("cannot be written", code)
            }
            written += count
        }
        let synced = fsync(file)
        close(file)
        guard synced == 0, rename(temporary, path) == 0 else {
            let code = errno
            unlink(temporary)
            throw failed("cannot be replaced", code)
        }
        syncFolder()
    }

    private func syncFolder() {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private func failed(_ what: String, _ code: Int32) -> PluginError {
        PluginError(.host, "", "the list of loaded plugins \(path) \(what): \(systemText(code)).")
    }

    private static func name(in line: String) -> String? {
        let text = trim(line)
        guard text.hasSuffix(".") else { return nil }
        let name = canonicalPluginName(String(text.dropLast()))
        return isPluginName(name) ? name : nil
    }

    private static func trim(_ line: String) -> String {
        var text = Substring(line)
        while let first = text.first, first == " " || first == "\t" || first == "\r" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" || last == "\r" { text.removeLast() }
        return String(text)
    }
}
