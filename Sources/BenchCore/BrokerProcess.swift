// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// A broker that the benchmark starts and stops itself.
public final class BrokerProcess {
    /// The process that listens, which may be a child of the command.
    public let pid: Int32
    private let child: Int32
    public let port: UInt16

    /// Runs `command` by the shell in a session of its own, `{port}` replaced by a free one unless `port` is given,
    /// and waits until it accepts connections. What it prints goes to `log` (default: nowhere).
    public init(_ command: String, port wanted: UInt16? = nil, log: String = "/dev/null", patience: Double = 30) throws
    {
        let port = try wanted ?? SocketAddress.freePort()
        self.port = port
        let text = command.split(separator: "{port}", omittingEmptySubsequences: false).joined(separator: String(port))
        child = try Self.launch(text, log: log)
        let address = try SocketAddress(host: "127.0.0.1", port: port)
        let start = bench_now()
        while !address.accepts() {
            var status: Int32 = 0
            if waitpid(child, &status, WNOHANG) == child {
                throw BenchError("the broker ended at once (status \(status >> 8)); its command was: \(text)")
            }
            if Double(bench_now() - start) > patience * 1e9 {
                Self.end(child)
                throw BenchError("nothing listens on port \(port) \(Int(patience)) s after: \(text)")
            }
            usleep(20_000)
        }
        pid = ProcessMeter.listener(port: port) ?? child
    }

    private static func launch(_ command: String, log: String) throws -> Int32 {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        posix_spawnattr_setflags(&attributes, bench_spawn_session_flag())
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let words = ["/bin/sh", "-c", "exec " + command]
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: Int32 = 0
        let status = posix_spawn(&pid, "/bin/sh", &actions, &attributes, arguments, environ)
        guard status == 0 else { throw BenchError("cannot start the broker: \(String(cString: strerror(status)))") }
        return pid
    }

    /// Runs a short command by the shell and returns its status.
    @discardableResult
    static func runToEnd(_ command: String) throws -> Int32 {
        let child = try launch(command, log: "/dev/null")
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        return status
    }

    /// SIGTERM, and SIGKILL after `patience` seconds.
    public func stop(patience: Double = 10) {
        if pid != child { kill(pid, SIGTERM) }
        Self.end(child, patience: patience)
    }

    private static func end(_ child: Int32, patience: Double = 10) {
        kill(-child, SIGTERM)
        var status: Int32 = 0
        for _ in 0..<Int(patience * 50) {
            if waitpid(child, &status, WNOHANG) != 0 { return }
            usleep(20_000)
        }
        kill(-child, SIGKILL)
        waitpid(child, &status, 0)
    }
}
