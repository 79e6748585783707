// SPDX-License-Identifier: Apache-2.0
import Glibc
import PluginHost

/// Finding a file in a plugin's folder.
extension HTTPFolder {
    enum Found {
        case file(OpenFile, name: String)
        /// A folder with an index page; its address has to end with a slash, for the page's relative links.
        case folder
        case nothing
    }

    /// - Parameter rest: the decoded path below the prefix.
    func find(_ rest: String, endsWithSlash: Bool) -> Found {
        guard let path = real(rest) else { return .nothing }
        guard Self.isFolder(path) else {
            return OpenFile(path).map { .file($0, name: path) } ?? .nothing
        }
        guard let index = real(rest + "/index.html"), let file = OpenFile(index) else { return .nothing }
        return endsWithSlash || rest.isEmpty ? .file(file, name: index) : .folder
    }

    /// The page for paths that name no file.
    var fallbackFile: Found {
        guard let fallback, let path = real(fallback), let file = OpenFile(path) else { return .nothing }
        return .file(file, name: path)
    }

    /// The file behind a path, symbolic links resolved. Nil when there is none, when it is outside of the folder,
    /// or when a level begins with a dot.
    private func real(_ rest: String) -> String? {
        let levels = rest.split(separator: "/", omittingEmptySubsequences: true)
        guard levels.allSatisfy({ $0.utf8.first != UInt8(ascii: ".") }), !rest.utf8.contains(0) else { return nil }
        guard let resolved = realpath(path + "/" + levels.joined(separator: "/"), nil) else { return nil }
        defer { free(resolved) }
        let found = String(cString: resolved)
        return found == path || found.hasPrefix(path == "/" ? "/" : path + "/") ? found : nil
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}

/// By the name's ending; text is UTF-8.
func mediaType(_ name: String) -> String {
    let base = name.split(separator: "/").last.map(String.init) ?? ""
    guard let dot = base.lastIndex(of: ".") else { return "application/octet-stream" }
    return mediaTypes[base[base.index(after: dot)...].lowercased()] ?? "application/octet-stream"
}

private let mediaTypes = [
    "html": "text/html; charset=utf-8", "htm": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8", "mjs": "text/javascript; charset=utf-8",
    "json": "application/json", "map": "application/json", "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8", "csv": "text/csv; charset=utf-8", "xml": "application/xml",
    "svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "ico": "image/x-icon", "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf",
    "wasm": "application/wasm", "pdf": "application/pdf", "webmanifest": "application/manifest+json",
]
