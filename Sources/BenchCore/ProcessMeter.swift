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
        /// Seconds that the scheduler counted for the threads that exist now; finer, but without those that have ended.
        var scheduled = 0.0

        var total: Double { user + system }

        /// The time between two readings: as fine as the scheduler counts, split as the coarse clock says.
        static func - (later: CPU, earlier: CPU) -> CPU {
            let coarse = CPU(user: later.user - earlier.user, system: later.system - earlier.system)
            let fine = later.scheduled - earlier.scheduled
            // A thread that ended in between took its fine count with it: then the coarse one is the better.
            guard fine > 0 && fine > coarse.total - 0.1 else { return coarse }
            let model = coarse.total >= 0.1 ? coarse : later
            let share = model.total > 0 ? model.user / model.total : 0.5
            return CPU(user: fine * share, system: fine * (1 - share), scheduled: fine)
        }
    }

    /// CPU time of the whole process so far, from /proc/PID/stat (steps of 10 ms) and its threads' schedstat
    /// (nanoseconds).
    func cpu() -> CPU? {
        guard let text = Self.read("/proc/\(pid)/stat"), let afterName = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: afterName)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        return CPU(user: user / ticks, system: system / ticks, scheduled: scheduledSeconds())
    }

    /// Its threads' numbers. The folder's dots are none: `task/..` is the process, whose schedstat is the first
    /// thread's once more.
    var threads: [Int32] { Self.entries(of: "/proc/\(pid)/task").compactMap { Int32($0) } }

    private func scheduledSeconds() -> Double {
        threads.reduce(0) { sum, thread in
            let text = Self.read("/proc/\(pid)/task/\(thread)/schedstat")
            return sum + (text?.split(separator: " ").first.flatMap { Double($0) } ?? 0) / 1e9
        }
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
        guard let text = Self.read("/proc/\(pid)/status"), let rss = Self.kilobytes("VmRSS:", in: text) else {
            return nil
        }
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

    /// The process that listens on a TCP port of this machine, found by the inode of its socket; nil when it is not
    /// ours to see.
    public static func listener(port: UInt16) -> Int32? {
        let inodes = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listeningInodes(port, in: read($0) ?? "") }
        guard !inodes.isEmpty else { return nil }
        let wanted = Set(inodes.map { "socket:[\($0)]" })
        return entries(of: "/proc").lazy.compactMap { Int32($0) }.first { holds($0, wanted) }
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
        var target = [UInt8](repeating: 0, count: 64)
        return entries(of: "/proc/\(pid)/fd").contains { entry in
            let length = readlink("/proc/\(pid)/fd/\(entry)", &target, target.count)
            return length > 0 && sockets.contains(String(decoding: target[0..<length], as: UTF8.self))
        }
    }

    /// What a folder holds, the two dots included; nothing when it cannot be read.
    private static func entries(of path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }
}
