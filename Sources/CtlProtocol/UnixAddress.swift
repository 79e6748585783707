// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The address of a unix socket, for bind and connect.
public enum UnixAddress {
    /// Lends the address of `path`; what `body` returns, or -1 with errno where there is no such address.
    ///
    /// A socket address holds 108 bytes; a longer path is reached through a descriptor of its folder.
    public static func with(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        guard path.utf8.count > 107, let slash = path.lastIndex(of: "/") else { return withShort(path, body) }
        let folder = open(String(path[...slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return -1 }
        defer { close(folder) }
        return withShort("/proc/self/fd/\(folder)/\(path[path.index(after: slash)...])", body)
    }

    private static func withShort(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            errno = ENAMETOOLONG
            return -1
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
