// SPDX-License-Identifier: Apache-2.0
import Foundation

@testable import Reactor
@testable import TLS

/// Certificates of tools/make-certs, made once, and the odd ones beside them.
struct Certificates {
    static let shared = Certificates()
    let folder: String

    private init() {
        folder = NSTemporaryDirectory() + "martlet-tls-\(getpid())"
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
        Self.run(root + "/tools/make-certs", folder)
        // A second world, whose authority nobody knows.
        Self.run(root + "/tools/make-certs", folder + "/other", "second.example")
        atexit { try? FileManager.default.removeItem(atPath: Certificates.shared.folder) }
    }

    static func run(_ arguments: String...) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        try! process.run()
        process.waitUntilExit()
        precondition(process.terminationStatus == 0, arguments.joined(separator: " "))
    }

    func path(_ name: String) -> String { folder + "/" + name }
    var server: TLSOptions.Certificate { .init(chain: path("cert.pem"), key: path("key.pem")) }
    var client: TLSOptions.Certificate { .init(chain: path("client-cert.pem"), key: path("client-key.pem")) }
    var otherServer: TLSOptions.Certificate { .init(chain: path("other/cert.pem"), key: path("other/key.pem")) }
    var otherClient: TLSOptions.Certificate {
        .init(chain: path("other/client-cert.pem"), key: path("other/client-key.pem"))
    }

    /// SHA-256 of a certificate, by openssl.
    func fingerprint(_ name: String) -> [UInt8] {
        // Tests run beside each other.
        let out = path("\(UUID()).sha256")
        Self.run("sh", "-c", "openssl x509 -in '\(path(name))' -noout -fingerprint -sha256 > '\(out)'")
        let line = (try? String(contentsOfFile: out, encoding: .utf8)) ?? ""
        return line.drop { $0 != "=" }.lowercased().utf8.filter { $0 != 0x3A && $0 != 0x3D && $0 != 0x0A }
    }

    /// One end of a revocation list that names the client's certificate, signed by its authority.
    func revocationList() -> String {
        let script = """
            cd "$0" && [ -e crl.pem ] || { touch index && echo 01 > crlnumber
            printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase=index\\ncrlnumber=crlnumber\\ndefault_md=sha256\\n' > ca.cnf
            printf 'certificate=cacert.pem\\nprivate_key=cakey.pem\\ndefault_crl_days=30\\n' >> ca.cnf
            openssl ca -config ca.cnf -revoke client-cert.pem 2>/dev/null
            openssl ca -config ca.cnf -gencrl -out crl.pem 2>/dev/null; }
            """
        Self.run("sh", "-c", script, folder)
        return path("crl.pem")
    }
}

/// Under the layer that is tested: keeps what would go to the socket.
final class Wire: StreamLayer, @unchecked Sendable {
    var sent: [UInt8] = []
    override func send(_ bytes: UnsafeRawBufferPointer) { sent += bytes }
    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        up(bytes)
        return .open
    }
}

/// Above it: keeps what has arrived.
final class Owner: StreamLayer, @unchecked Sendable {
    var received: [UInt8] = []
    override func receive(_ bytes: UnsafeMutableRawBufferPointer) -> LayerState {
        received += UnsafeRawBufferPointer(bytes)
        return .open
    }
    override func send(_ bytes: UnsafeRawBufferPointer) { down(bytes) }
}

/// Notes what happens to it.
final class NotedLayer: TLSLayer, @unchecked Sendable {
    var failures: [TLSFailure] = []
    var handshakes = (begun: 0, ended: 0)
    var room: Handshakes?
    override func handshakePlaces() -> Handshakes? { room }
    override func failed(_ failure: TLSFailure) { failures.append(failure) }
    override func handshakeBegan() { handshakes.begun += 1 }
    override func handshakeEnded() { handshakes.ended += 1 }
}

/// One end of a connection without sockets.
final class End {
    let wire = Wire()
    let tls: NotedLayer
    let owner = Owner()
    let stack: LayerStack
    private let loop = EventLoop(index: -1)
    private let transport = TransportRef.allocate(capacity: 1)

    init(_ context: TLSContext, host: String? = nil, session: [UInt8]? = nil) {
        tls = NotedLayer(context, host: host, session: session)
        stack = LayerStack([wire, tls, owner])
        stack.loop = loop
        transport.initialize(
            to: Transport(
                fd: -1, slot: 0, generation: 1, flags: [.open], restCount: 0, lastRead: 0, bytesIn: 0, pending: 0,
                bytesOut: 0, lastProgress: 0, nextDirty: .max, restRoom: 0, needed: 0))
        stack.transport = transport
        for layer in stack.layers { layer.begin() }
    }

    deinit { transport.deallocate() }

    var state: String {
        switch stack.state {
        case .open: "open"
        case .ended: "ended"
        case .failed(let reason): reason.description
        }
    }

    func send(_ bytes: [UInt8]) { bytes.withUnsafeBytes { stack.send($0) } }

    func receive(_ bytes: [UInt8]) {
        var bytes = bytes
        bytes.withUnsafeMutableBytes { stack.feed($0, to: 0) }
    }

    fileprivate func take() -> [UInt8] {
        defer { wire.sent = [] }
        return wire.sent
    }
}

/// A client and a server, and the bytes between them.
final class Link {
    let client: End
    let server: End
    /// How many bytes cross at once.
    var piece = Int.max

    init(_ client: End, _ server: End) {
        self.client = client
        self.server = server
    }

    /// Carries bytes until there are no more.
    func pump() {
        while true {
            let (toServer, toClient) = (client.take(), server.take())
            if toServer.isEmpty && toClient.isEmpty { return }
            carry(toServer, to: server)
            carry(toClient, to: client)
        }
    }

    private func carry(_ bytes: [UInt8], to end: End) {
        var at = 0
        while at < bytes.count {
            let n = min(piece, 32_768, bytes.count - at)
            end.receive(Array(bytes[at..<at + n]))
            at += n
        }
    }
}

extension TLSOptions {
    static func server(_ change: (inout TLSOptions) -> Void = { _ in }) -> TLSOptions {
        var options = TLSOptions(.server)
        options.certificate = Certificates.shared.server
        change(&options)
        return options
    }

    static func client(_ change: (inout TLSOptions) -> Void = { _ in }) -> TLSOptions {
        var options = TLSOptions(.client)
        options.authorities = Certificates.shared.path("cacert.pem")
        change(&options)
        return options
    }
}

/// A link after as much of a handshake as there is.
func link(
    _ server: TLSOptions, _ client: TLSOptions, host: String? = "localhost", keys: TLSContext.KeyLookup? = nil
) throws -> Link {
    let link = Link(End(try TLSContext(client), host: host), End(try TLSContext(server, scope: "test", keys: keys)))
    link.pump()
    return link
}
