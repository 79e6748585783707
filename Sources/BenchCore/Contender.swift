// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A broker that takes part in a comparison: a name and the command that starts it on `{port}`.
public struct Contender: Sendable {
    public let name: String
    let command: String
    /// Written before the start to `{scratch}/broker.conf`, with the same placeholders.
    let configuration: String?

    public init(name: String, command: String, configuration: String? = nil) {
        (self.name, self.command, self.configuration) = (name, command, configuration)
    }

    /// Martlet from a release tree, with the limits lifted that mosquitto's configuration lifts below.
    public static func martlet(root: String, command: String? = nil) throws -> Contender {
        if let command { return Contender(name: "martlet", command: command) }
        let places = ["\(root)/_rel/martlet/bin/martlet", "\(root)/_rel/bin/martlet", "/opt/martlet/bin/martlet"]
        guard let binary = places.first(where: { access($0, X_OK) == 0 }) else {
            throw BenchError(
                "there is no Martlet in \(places.joined(separator: ", ")); run tools/release, or give a command by --martlet")
        }
        let limits = "MARTLET__MQTT__MQUEUE__MAX_LENGTH=0 MARTLET__MQTT__MQUEUE__MAX_BYTES=0"
        return Contender(
            name: "martlet",
            command: "env MARTLET__LISTENER__TCP__EXTERNAL=127.0.0.1:{port} \(limits) \(binary) console")
    }

    /// Debian's mosquitto with nothing in its way: no log, no disk, no bounds, no Nagle.
    public static func mosquitto(command: String? = nil) throws -> Contender {
        if let command { return Contender(name: "mosquitto", command: command) }
        let places = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
        guard let binary = places.first(where: { access($0, X_OK) == 0 }) else {
            throw BenchError("mosquitto is not installed (Debian: apt-get install mosquitto), or give a command by --mosquitto")
        }
        return Contender(
            name: "mosquitto", command: "\(binary) -c {scratch}/broker.conf",
            configuration: """
                listener {port} 127.0.0.1
                allow_anonymous true
                max_queued_messages 0
                max_inflight_messages 0
                set_tcp_nodelay true
                persistence false
                log_dest none

                """)
    }

    /// Starts it on a free port; `wrap` may put another program in front of the command.
    func start(scratch: Scratch, patience: Double = 30, wrap: (String) -> String = { $0 }) throws -> BrokerProcess {
        let port = try SocketAddress.freePort()
        if let configuration {
            try scratch.write(fill(configuration, port, scratch), to: "broker.conf")
        }
        return try BrokerProcess(
            wrap(fill(command, port, scratch)), port: port, log: scratch.path + "/broker.log", patience: patience)
    }

    private func fill(_ text: String, _ port: UInt16, _ scratch: Scratch) -> String {
        text.replacing("{port}", with: String(port)).replacing("{scratch}", with: scratch.path)
    }
}

/// A folder of the run's own, readable for brokers that give up root; it goes when the run ends.
final class Scratch {
    let path: String

    init() throws {
        var template = Array("/tmp/martlet-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError("cannot create a folder in /tmp: \(errorText())") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o755)
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var list: [String] = []
        while let entry = readdir(folder) {
            let name = ProcessMeter.name(of: entry)
            if name != "." && name != ".." { list.append(name) }
        }
        return list
    }

    func write(_ text: String, to name: String) throws {
        let fd = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        guard fd >= 0 else { throw BenchError("cannot write \(path)/\(name): \(errorText())") }
        defer { close(fd) }
        let bytes = Array(text.utf8)
        guard Glibc.write(fd, bytes, bytes.count) == bytes.count else {
            throw BenchError("cannot write \(path)/\(name): \(errorText())")
        }
    }
}
