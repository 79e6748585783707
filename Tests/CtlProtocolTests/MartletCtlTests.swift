// SPDX-License-Identifier: Apache-2.0
import CtlProtocol
import Foundation
import Testing

/// Runs the real martlet_ctl against a broker of a few lines.
@Suite struct MartletCtlTests {
    @Test func itSendsItsArgumentsAndPrintsTheAnswer() throws {
        let broker = try FakeBroker { arguments in
            CtlProtocol.frames(.output, Array(arguments.joined(separator: "|").utf8))
                + CtlProtocol.frames(.error, Array("sorry\n".utf8)) + CtlProtocol.exit(7)
        }
        let run = try ctl(["plugins", "", "lo ad", "ü"], socket: broker.path)
        #expect(run == Run(output: "plugins||lo ad|ü", error: "sorry\n", status: 7))
    }

    @Test func aLongAnswerArrivesWhole() throws {
        let long = [UInt8](repeating: 0x61, count: 3_000_000)
        let broker = try FakeBroker { _ in CtlProtocol.frames(.output, long) + CtlProtocol.exit(0) }
        let run = try ctl(["clients", "list"], socket: broker.path)
        #expect(run.output.utf8.count == long.count)
        #expect(run.status == 0)
    }

    @Test func aSocketWithALongPathIsReached() throws {
        let broker = try FakeBroker(folderName: String(repeating: "d", count: 120)) { _ in CtlProtocol.exit(0) }
        #expect(broker.path.utf8.count > 108)
        #expect(try ctl(["ping"], socket: broker.path) == Run(output: "", error: "", status: 0))
    }

    @Test func withoutABrokerItSaysSoInOneSentence() throws {
        let run = try ctl(["status"], socket: "/nonexistent/martlet.sock")
        let sentence = "no broker is running, there is no socket /nonexistent/martlet.sock."
        #expect(run == Run(output: "", error: "Node 'martlet@127.0.0.1' not responding: \(sentence)\n", status: 1))
    }

    @Test func aCutAnswerIsAFailure() throws {
        let broker = try FakeBroker { _ in CtlProtocol.frames(.output, Array("half".utf8)) }
        let run = try ctl(["status"], socket: broker.path)
        #expect(run.output == "half")
        #expect(run.error == "Node 'martlet@127.0.0.1' not responding: the answer was cut short.\n")
        #expect(run.status == 1)
    }

    @Test func aStrangeAnswerIsAFailure() throws {
        let broker = try FakeBroker { _ in Array("HTTP/1.1 400 Bad Request".utf8) }
        let run = try ctl(["status"], socket: broker.path)
        #expect(run.error.contains("the answer is not in the ctl protocol"))
        #expect(run.status == 1)
    }

    @Test func aClosedPipeEndsItInSilence() throws {
        let broker = try FakeBroker { _ in
            CtlProtocol.frames(.output, [UInt8](repeating: 0x0A, count: 1_000_000)) + CtlProtocol.exit(0)
        }
        let run = try execute(
            "/bin/sh", ["-c", "'\(binary)' clients list | head -n 1"], environment: ["MARTLET_CTL_SOCKET": broker.path])
        #expect(run == Run(output: "\n", error: "", status: 0))
    }

    @Test func theConfOfTheInstallTreeNamesSocketAndNode() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: root) }
        for folder in ["bin", "etc"] {
            try FileManager.default.createDirectory(
                at: root.appending(path: folder), withIntermediateDirectories: true)
        }
        #expect(try execute("/bin/cp", [binary, root.path + "/bin/martlet_ctl"]).status == 0)
        let conf = "node.name = a@b\r\nctl.socket = run/x.sock\nnonsense\n"
        try Data(conf.utf8).write(to: root.appending(path: "etc/martlet.conf"))
        let run = try execute(root.path + "/bin/martlet_ctl", ["status"])
        #expect(run.error.hasPrefix("Node 'a@b' not responding: no broker is running"))
        #expect(run.error.hasSuffix("\(root.lastPathComponent)/run/x.sock.\n"))
    }
}

private let binary = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appending(path: "martlet_ctl").path

private func ctl(_ arguments: [String], socket: String) throws -> Run {
    try execute(binary, arguments, environment: ["MARTLET_CTL_SOCKET": socket])
}

/// Answers one request on a unix socket and closes.
private final class FakeBroker {
    let path: String
    private let folder: String

    init(folderName: String = "", answer: @escaping @Sendable ([String]) -> [UInt8]) throws {
        folder = "/tmp/martlet-ctl-\(UUID().uuidString.prefix(8))"
        let inner = folderName.isEmpty ? folder : folder + "/" + folderName
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        path = inner + "/martlet.sock"
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        try #require(bindShort(listener, folder + "/s") == 0 && listen(listener, 1) == 0)
        try #require(rename(folder + "/s", path) == 0)
        Thread.detachNewThread {
            let connection = accept(listener, nil, nil)
            close(listener)
            let arguments = readRequest(connection).map { String(decoding: $0, as: UTF8.self) }
            let bytes = answer(arguments)
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    send(connection, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
                }
                if count <= 0 { break }
                sent += count
            }
            // A program that another test starts just now may hold a copy of the descriptor: closing is not enough.
            shutdown(connection, Int32(SHUT_RDWR))
            close(connection)
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }
}

private func bindShort(_ descriptor: Int32, _ path: String) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}

private func readRequest(_ connection: Int32) -> [[UInt8]] {
    func take(_ size: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: size)
        return recv(connection, &bytes, size, Int32(MSG_WAITALL)) == size ? bytes : []
    }
    var head = take(4)[...]
    guard let size = CtlProtocol.takeUInt32(&head) else { return [] }
    return CtlProtocol.arguments(ofRequest: take(size)[...]) ?? []
}
