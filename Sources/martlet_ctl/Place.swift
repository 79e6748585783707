// SPDX-License-Identifier: Apache-2.0
import Config
import CtlProtocol
import Glibc

/// Where the broker of this install tree listens for commands, and what it calls itself.
struct Place {
    let socket: String
    let node: String

    /// The environment wins over etc/martlet.conf, which is only skimmed: a mistake in it must not silence the command
    /// that would help to find it.
    static func find() -> Place {
        let root = installRoot()
        let conf = ConfigText(head(of: root + "/etc/martlet.conf"), file: "")
        let socket = variable("MARTLET_CTL_SOCKET") ?? conf.last("ctl.socket") ?? CtlProtocol.defaultSocket
        let node = variable("MARTLET_NODE_NAME") ?? conf.last("node.name") ?? CtlProtocol.defaultNode
        return Place(socket: socket.hasPrefix("/") ? socket : root + "/" + socket, node: node)
    }
}

private func variable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
}

/// The parent of the folder this binary lies in, symbolic links resolved.
private func installRoot() -> String {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let levels = buffer.prefix(max(0, length)).split(separator: UInt8(ascii: "/")).dropLast(2)
    return levels.map { "/" + String(decoding: $0, as: UTF8.self) }.joined()
}

/// The file's bytes as far as anybody writes a conf; none when it cannot be read.
private func head(of path: String) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 18)
    var used = 0
    while used < bytes.count {
        let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress! + used, $0.count - used) }
        if count <= 0 { break }
        used += count
    }
    return Array(bytes.prefix(used))
}
