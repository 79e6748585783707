// SPDX-License-Identifier: Apache-2.0
import Glibc

/// What /proc says of a process; everything in it may be gone at any moment.
public struct ProcessMeter: Sendable {
    public let pid: Int32

    public init(pid: Int32) { self.pid = pid }

    public struct CPU: Sendable {
        /// Seconds in user space and in the kernel.
        var user = 0.0
        var system = 0.0
        var total: Double { user + system }

        static func - (a: CPU, b: CPU) -> CPU { CPU(user: a.user - b.user, system: a.system - b.system) }
    }

    /// CPU time of the whole process so far, from /proc/PID/stat (steps of 10 ms).
    func cpu() -> CPU? {
        guard let text = Self.read("/proc/\(pid)/stat"), let afterName = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: afterName)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        return CPU(user: user / ticks, system: system / ticks)
    }

    public struct Memory: Sendable {
        /// Bytes.
        var resident: Int
        /// Bytes that belong to no file: heap, stacks. What connections and messages cost.
        var anonymous: Int
    }

    /// From /proc/PID/smaps_rollup, or /proc/PID/status where that may not be read.
    func memory() -> Memory? {
        if let text = Self.read("/proc/\(pid)/smaps_rollup"), let rss = Self.kilobytes("Rss:", in: text),
            let anonymous = Self.kilobytes("Anonymous:", in: text)
        {
            return Memory(resident: rss, anonymous: anonymous)
        }
        guard let text = Self.read("/proc/\(pid)/status"), let rss = Self.kilobytes("VmRSS:", in: text) else { return nil }
        return Memory(resident: rss, anonymous: Self.kilobytes("RssAnon:", in: text) ?? rss)
    }

    static func own() -> ProcessMeter { ProcessMeter(pid: getpid()) }

    /// Bytes of a line `Name:   123 kB`.
    static func kilobytes(_ name: String, in text: String) -> Int? {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            let fields = line.split(separator: " ")
            return fields.count > 1 ? Int(fields[1]).map { $0 * 1024 } : nil
        }
        return nil
    }

    static func read(_ path: String) -> String? {
        let fd = open(path, O_RDONLY | Int32(O_CLOEXEC))
        guard fd >= 0 else { return nil }
        defer { close(fd) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(fd, &chunk, chunk.count)
            if count <= 0 { break }
            bytes += chunk[0..<count]
        }
        return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// The process that listens on a TCP port of this machine, found by the inode of its socket; nil when it is not ours to see.
    public static func listener(port: UInt16) -> Int32? {
        let inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeningInodes(port, in: read($0) ?? "") }
        guard !inodes.isEmpty, let proc = opendir("/proc") else { return nil }
        defer { closedir(proc) }
        let wanted = Set(inodes.map { "socket:[\($0)]" })
        while let entry = readdir(proc) {
            if let pid = Int32(name(of: entry)), holds(pid, wanted) { return pid }
        }
        return nil
    }

    private static func listeningInodes(_ port: UInt16, in table: String) -> [Substring] {
        let hex = String(port, radix: 16, uppercase: true)
        let suffix = ":" + String(repeating: "0", count: 4 - hex.count) + hex
        return table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ")
            let isListening = fields.count > 9 && fields[3] == "0A" && fields[1].hasSuffix(suffix)
            return isListening ? fields[9] : nil
        }
    }

    private static func holds(_ pid: Int32, _ sockets: Set<String>) -> Bool {
        guard let folder = opendir("/proc/\(pid)/fd") else { return false }
        defer { closedir(folder) }
        var target = [UInt8](repeating: 0, count: 64)
        while let entry = readdir(folder) {
            let length = readlink("/proc/\(pid)/fd/\(name(of: entry))", &target, target.count)
            if length > 0 && sockets.contains(String(decoding: target[0..<length], as: UTF8.self)) { return true }
        }
        return false
    }

    static func name(of entry: UnsafeMutablePointer<dirent>) -> String {
        withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
    }
}
