// SPDX-License-Identifier: Apache-2.0
import Glibc

/// A broker that takes part in a comparison: a name and the command that starts it on `{port}`.
public struct Contender: Sendable {
    public let name: String
    let command: String
    /// Written before the start to `{scratch}/broker.conf`, with the same placeholders; with a tree to the place where
    /// Martlet looks for it.
    let configuration: String?
    /// Copied before the start to `{scratch}/tree`, its data left out.
    let tree: String?
    /// Loaded instead of the default ones; empty: those.
    let plugins: [String]

    public init(
        name: String, command: String, configuration: String? = nil, tree: String? = nil, plugins: [String] = []
    ) {
        (self.name, self.command, self.configuration, self.tree) = (name, command, configuration, tree)
        self.plugins = plugins
    }

    /// What a broker in use has loaded; its cost beside the default ones is what hooks cost.
    public static let usualPlugins = ["retainer", "acl_file", "auth_username", "plugin_template"]

    /// Martlet from a copy of its install tree, so that neither its data nor a running node is touched, with those
    /// limits lifted that mosquitto's configuration lifts below.
    public static func martlet(root: String, command: String? = nil, plugins: [String] = []) throws -> Contender {
        let name = plugins.isEmpty ? "martlet" : "martlet-plugins"
        if let command { return Contender(name: name, command: command) }
        let places = ["\(root)/_rel/martlet", "\(root)/_rel", root]
        guard let tree = places.first(where: { access("\($0)/bin/martlet", X_OK) == 0 }) else {
            throw BenchError(
                "there is no install tree in \(root)/_rel/martlet: run tools/run once, or give --martlet a command")
        }
        return Contender(
            name: name, command: "{scratch}/tree/bin/martlet console",
            configuration: """
                listener.{transport}.bench = 127.0.0.1:{port}
                {martlet-certificate}
                mqtt.mqueue.max_length = 0
                mqtt.mqueue.max_bytes = 4GB
                mqtt.session.max_inflight = 0
                mqtt.session.max_awaiting_rel = 0
                log.level = warning

                """, tree: tree, plugins: plugins)
    }

    /// Debian's mosquitto with nothing in its way: no log, no disk, no bounds, no Nagle. It keeps its user, as under
    /// callgrind it must write what it opened before it changed. Nobody uses the second listener: 2.0.11 ends at once
    /// when all it has is one for WebSocket.
    public static func mosquitto(command: String? = nil) throws -> Contender {
        if let command { return Contender(name: "mosquitto", command: command) }
        let places = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/usr/bin/mosquitto"]
        guard let binary = places.first(where: { access($0, X_OK) == 0 }) else {
            throw BenchError(
                "mosquitto is not installed (Debian: apt-get install mosquitto), or give a command by --mosquitto")
        }
        return Contender(
            name: "mosquitto", command: "\(binary) -c {scratch}/broker.conf",
            configuration: """
                listener {port} 127.0.0.1
                protocol {protocol}
                {mosquitto-certificate}
                listener 0 {scratch}/unused.sock
                allow_anonymous true
                max_queued_messages 0
                max_inflight_messages 0
                set_tcp_nodelay true
                persistence false
                log_dest none
                user root

                """)
    }

    /// Starts it on a free port; `wrap` may put another program in front of the command.
    func start(
        scratch: Scratch, transport: Transport, patience: Double = 30, wrap: (String) -> String = { $0 }
    ) throws -> BrokerProcess {
        let port = try SocketAddress.freePort()
        if let tree { try scratch.copy(tree: tree) }
        if transport.isTLS { try scratch.makeCertificate() }
        if let configuration {
            try scratch.write(
                fill(configuration, port, scratch, transport), to: tree == nil ? "broker.conf" : "tree/etc/martlet.conf"
            )
        }
        if !plugins.isEmpty {
            try scratch.write(plugins.map { $0 + ".\n" }.joined(), to: "tree/data/loaded_plugins")
        }
        return try BrokerProcess(
            wrap(fill(command, port, scratch, transport)), port: port, log: scratch.path + "/broker.log",
            patience: patience)
    }

    /// `{transport}` is Martlet's word for it, `{protocol}` mosquitto's.
    private func fill(_ text: String, _ port: UInt16, _ scratch: Scratch, _ transport: Transport) -> String {
        let certificate = ("{scratch}/cert.pem", "{scratch}/key.pem")
        let martlet =
            "listener.{transport}.bench.certfile = \(certificate.0)\nlistener.{transport}.bench.keyfile = \(certificate.1)"
        let mosquitto = "certfile \(certificate.0)\nkeyfile \(certificate.1)"
        return text.replacing("{martlet-certificate}", with: transport.isTLS ? martlet : "")
            .replacing("{mosquitto-certificate}", with: transport.isTLS ? mosquitto : "")
            .replacing("{port}", with: String(port)).replacing("{scratch}", with: scratch.path)
            .replacing("{transport}", with: transport.listener)
            .replacing("{protocol}", with: transport.isWebSocket ? "websockets" : "mqtt")
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

    deinit { _ = try? BrokerProcess.runToEnd("rm -rf '\(path)'") }

    func copy(tree: String) throws {
        let places = ["bin", "etc", "plugins"].map { "'\(tree)/\($0)'" }.joined(separator: " ")
        let copy = "sh -c \"mkdir -p '\(path)/tree/data' '\(path)/tree/log' && cp -a \(places) '\(path)/tree'\""
        guard try BrokerProcess.runToEnd(copy) == 0 else {
            throw BenchError("cannot copy the install tree \(tree) to \(path)")
        }
    }

    /// `cert.pem` and `key.pem`, as brokers on small devices have them: P-256.
    func makeCertificate() throws {
        let command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost "
            + "-keyout '\(path)/key.pem' -out '\(path)/cert.pem'"
        guard try BrokerProcess.runToEnd(command) == 0 else {
            throw BenchError("openssl, which is needed for TLS, makes no certificate")
        }
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
