// SPDX-License-Identifier: Apache-2.0
import PluginKit
import Synchronization

/// RFC 862 on addresses of the operator's choice. It lives through `plugins reload` with all its connections.
final class Echo: Plugin {
    private let counts = Counts()
    private var udp: Registration?

    override func start() throws(PluginError) {
        let options = try configure()
        let counts = counts
        let greets = try host.config.bool("echo.greet")
        if let address = try host.config.optionalString("echo.tcp") {
            try host.net.listenTCP(
                "tcp", on: address, options, rebound: { _, _, state in EchoPeer(counts, state) }
            ) { connection, _ in
                counts.accepted.add(1, ordering: .relaxed)
                if greets { connection.send(greeting { connection.proof($0) }) }
                return EchoPeer(counts)
            }
        }
        if let address = try host.config.optionalString("echo.udp") {
            var options = options
            options.tlsProfile = try host.config.optionalString("echo.dtls") ?? ""
            let listener = Holder()
            let net = host.net
            let registration = try host.net.listenUDP("udp", on: address, options) { peer, bytes in
                counts.datagrams.add(1, ordering: .relaxed)
                guard let from = listener.registration else { return }
                guard greets, bytes == "who\n" else {
                    net.send(bytes, to: peer, from: from)
                    return
                }
                greeting { net.proof($0, of: peer, from: from) }
                    .withBytes { _ = net.send($0, to: peer, from: from) }
            }
            listener.registration = registration
            udp = registration
        }
        try host.ctl.command("echo", usage: [("echo", "Show what was sent back")]) {
            [self] (args, out) throws(PluginError) in
            guard args.count == 1 else { throw .usage }
            report(out)
        }
    }

    private func configure() throws(PluginError) -> NetOptions {
        try host.config.declare([
            .string(
                "echo.tcp", .immutable, example: "127.0.0.1:7007",
                help: "Where TCP connections are accepted; without it, nowhere."),
            .string(
                "echo.udp", .immutable, example: "127.0.0.1:7007",
                help: "Where datagrams are received; without it, nowhere."),
            .int(
                "echo.max_connections", default: "10000", range: "1..1000000", .immutable,
                help: "TCP connections at a time, and as many DTLS associations; more are refused."),
            .duration(
                "echo.idle_timeout", default: "0", .immutable,
                help: "A TCP connection or DTLS association that sends nothing for this long is closed; 0: never."),
            .string(
                "echo.tls", .immutable, example: "gateway",
                help:
                    "The NAME of tls.NAME.* in martlet.conf with which TCP connections are encrypted; plain if not set."
            ),
            .string(
                "echo.dtls", .immutable, example: "gateway",
                help: "The NAME of tls.NAME.* with which datagrams are encrypted (DTLS 1.2); plain if not set."),
            .bool(
                "echo.greet", default: "off", .immutable,
                help:
                    "Tell a TCP client first, in one line, whom TLS has shown it to be; with DTLS, who sends \"who\" alone in a line."
            ),
            .string(
                "echo.access", default: "allow all", .immutable,
                help: "Who may come: allow or deny, then all, an address or a network; several are separated by commas."
            ),
        ])
        var options = NetOptions()
        options.maxConnections = UInt32(try host.config.int("echo.max_connections"))
        options.idleTimeout = UInt32(clamping: try host.config.int("echo.idle_timeout"))
        options.tlsProfile = try host.config.optionalString("echo.tls") ?? ""
        options.access = lines(try host.config.string("echo.access"))
        return options
    }

    private func report(_ out: borrowing Output) {
        out.line("connections   : \(counts.open.load(ordering: .relaxed))")
        out.line("accepted      : \(counts.accepted.load(ordering: .relaxed))")
        out.line("taken over    : \(counts.takenOver.load(ordering: .relaxed))")
        out.line("bytes         : \(counts.bytes.load(ordering: .relaxed))")
        out.line("datagrams     : \(counts.datagrams.load(ordering: .relaxed))")
    }
}

/// "CN=device-1,O=Acme 9f86d081…", "psk sensor-1" or "nobody": what a peer has proven.
private func greeting(_ proof: (PeerProof) -> [UInt8]) -> String {
    let name = proof(.distinguishedName)
    let key = proof(.sharedKey)
    let bytes = !key.isEmpty ? Array("psk ".utf8) + key : !name.isEmpty ? name + [0x20] + proof(.fingerprint) : []
    return bytes.isEmpty ? "nobody\n" : String(decoding: bytes, as: UTF8.self) + "\n"
}

/// All loops count here; an echo is no benchmark.
final class Counts {
    let open = Atomic<Int>(0)
    let accepted = Atomic<Int>(0)
    let takenOver = Atomic<Int>(0)
    let bytes = Atomic<Int>(0)
    let datagrams = Atomic<Int>(0)
}

/// The registration a datagram is answered from, known only after its closure is made.
private final class Holder {
    var registration: Registration?
}

/// One TCP client. What it does not take stays in its own socket: nothing more is read from it until it does.
private final class EchoPeer: Peer {
    private let counts: Counts
    /// Bytes sent back on this connection, by every image that had it.
    private var total: Int

    init(_ counts: Counts) {
        self.counts = counts
        total = 0
        counts.open.add(1, ordering: .relaxed)
    }

    init(_ counts: Counts, _ state: Bytes) {
        self.counts = counts
        total = state.integer ?? 0
        counts.open.add(1, ordering: .relaxed)
        counts.takenOver.add(1, ordering: .relaxed)
    }

    override func data(_ connection: Connection, _ bytes: Bytes) -> Int {
        switch connection.send(bytes) {
        case .ok:
            total += bytes.count
            counts.bytes.add(bytes.count, ordering: .relaxed)
            return bytes.count
        case .busy:
            connection.pause()
            return 0
        default: return bytes.count
        }
    }

    override func writable(_ connection: Connection) { connection.resume() }

    override func closed(_ connection: Connection, _ why: Status) { counts.open.subtract(1, ordering: .relaxed) }

    override func leave(_ connection: Connection, _ out: StateWriter) { out.write("\(total)") }
}

private func lines(_ list: String) -> String {
    var bytes = [UInt8](list.utf8)
    for index in bytes.indices where bytes[index] == UInt8(ascii: ",") { bytes[index] = UInt8(ascii: "\n") }
    return String(decoding: bytes, as: UTF8.self)
}
