// SPDX-License-Identifier: Apache-2.0
import Broker
import CtlProtocol
import Glibc
import PluginHost
import Reactor
import Testing

@testable import Control

/// A ctl server with the built-in commands on a control thread of its own.
private final class CtlRig: @unchecked Sendable {
    let root: String
    let loop = EventLoop(index: -1)
    private(set) var host: PluginHost!
    private(set) var control: Control!
    private(set) var server: CtlServer!
    private let broker: Broker
    private let ended = Semaphore()

    var socketPath: String { root + "/ctl.sock" }

    init(_ limits: CtlServer.Limits = CtlServer.Limits()) {
        var template = Array("/tmp/martlet-ctl-XXXXXX".utf8CString)
        root = String(cString: mkdtemp(&template))
        for folder in ["plugins", "data"] { mkdir(root + "/" + folder, 0o755) }
        var settings = BrokerSettings()
        settings.loops = 1
        broker = Broker(settings: settings)
        broker.start()
        let (loop, ended) = (loop, ended)
        startDetachedThread("control") {
            loop.run()
            ended.signal()
        }
        let options = PluginHostOptions(
            directories: [root + "/plugins"], confDirectory: root, dataDirectory: root + "/data",
            loadedFile: root + "/data/loaded_plugins")
        main {
            let quiet = HostLog { _, _ in }
            self.host = try! PluginHost(options: options, broker: self.broker, control: self.loop, log: quiet)
            self.control = Control(host: self.host)
            self.server = CtlServer(
                path: self.socketPath, commands: self.host.commands, control: self.loop, log: quiet, limits: limits)
            try! self.server.start()
        }
    }

    func close() {
        main {
            self.server.stop()
            self.host.shutdown()
        }
        broker.stop()
        loop.stop()
        ended.wait()
        for path in ["/data/plugin-images", "/data", "/plugins", ""] { rmdir(root + path) }
    }

    func main<R>(_ body: @escaping () -> R) -> R {
        nonisolated(unsafe) var result: R?
        nonisolated(unsafe) let body = body
        loop.sync { result = body() }
        return result!
    }

    func connect() -> CtlConnection { CtlConnection(socketPath) }

    func ask(_ line: String) -> Answer {
        let connection = connect()
        connection.send(CtlProtocol.request(line.split(separator: " ").map { Array($0.utf8) }))
        return connection.answer()
    }
}

struct Answer: Equatable {
    var output = ""
    var error = ""
    /// nil: the connection ended without one.
    var status: UInt8?
}

/// The other end: blocking, gives up after a minute.
final class CtlConnection {
    let descriptor: Int32

    init(_ path: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        precondition(connected == 0, "the test's own ctl server does not listen")
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    func answer() -> Answer {
        var reader = CtlFrameReader()
        var answer = Answer()
        var output: [UInt8] = []
        var error: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while answer.status == nil {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { break }
            reader.feed(chunk[..<count])
            while let frame = try? reader.next() {
                switch frame.kind {
                case .output: output += frame.payload
                case .error: error += frame.payload
                case .exit: answer.status = frame.payload[0]
                }
            }
        }
        answer.output = String(decoding: output, as: UTF8.self)
        answer.error = String(decoding: error, as: UTF8.self)
        return answer
    }
}

@Suite(.serialized) struct ControlTests {
    @Test func builtInCommandsAnswerAsEMQ() {
        let rig = CtlRig()
        defer { rig.close() }
        #expect(rig.ask("ping") == Answer(output: "pong\n", error: "", status: 0))
        #expect(
            rig.ask("status")
                == Answer(
                    output: "Node 'martlet@127.0.0.1' is started\nmartlet 0.1.0 is running\n", error: "", status: 0))
        let broker = rig.ask("broker").output.split(separator: "\n")
        #expect(broker[0] == "sysdescr  : Martlet MQTT Broker" && broker[1] == "version   : 0.1.0")
        #expect(broker[2].hasPrefix("uptime    : ") && broker[2].hasSuffix(" seconds"))
        #expect(broker[3].hasPrefix("datetime  : 20") && broker[3].utf8.count == "datetime  : ".utf8.count + 19)
        #expect(rig.ask("plugins list") == Answer(status: 0))
        #expect(rig.ask("hooks") == Answer(status: 0))
        #expect(rig.ask("alarms list") == Answer(status: 0))
    }

    @Test func numbersAreSortedIntoStatsAndMetrics() {
        let rig = CtlRig()
        defer { rig.close() }
        rig.main {
            rig.control.addNumbers {
                [
                    Metric(name: "topics/count", kind: .gauge, help: "", value: 3),
                    Metric(name: "clients/count", kind: .gauge, help: "", value: 12),
                    Metric(name: "packets/sent", kind: .counter, help: "", value: 5),
                    Metric(name: "retained/count", kind: .gauge, help: "", value: 7),
                ]
            }
        }
        let stats = "clients/count       : 12\nretained/count      : 7\ntopics/count        : 3\n"
        #expect(rig.ask("broker stats").output == stats)
        // EMQ has the number of retained messages in both places.
        #expect(rig.ask("broker metrics").output == "messages/retained       : 7\npackets/sent            : 5\n")
    }

    @Test func helpShowsEveryUsageLine() {
        let rig = CtlRig()
        defer { rig.close() }
        let help = rig.ask("help")
        #expect(help.output.hasPrefix("Usage: martlet_ctl\n" + String(repeating: "-", count: 80) + "\n"))
        #expect(help.output.contains("plugins load <Plugin>                           # Load plugin\n"))
        #expect(help.status == 0)
        let long = CommandUsage(String(repeating: "x", count: 48), "Long")
        #expect(usageLine(long) == long.synopsis + " # Long\n")
        let empty = rig.connect()
        empty.send(CtlProtocol.request([]))
        #expect(empty.answer() == help, "no command at all is help")
    }

    @Test func mistakesEndWithStatusOneOnStandardError() {
        let rig = CtlRig()
        defer { rig.close() }
        let unknown = rig.ask("frobnicate now")
        #expect(unknown.output == "" && unknown.status == 1)
        #expect(unknown.error.hasPrefix("there is no command frobnicate.\nUsage: martlet_ctl\n"))
        let wrong = rig.ask("plugins burn x")
        #expect(wrong.output == "" && wrong.status == 1)
        #expect(wrong.error.hasPrefix("plugins list                                    # Show loaded plugins\n"))
        let absent = rig.ask("plugins load nothing")
        #expect(absent.status == 1 && absent.output == "")
        #expect(
            absent.error
                == "load plugin error: there is no plugin nothing (not_found): no nothing.so in \(rig.root)/plugins.\n")
        #expect(
            rig.ask("plugins unload nothing").error == "unload plugin error: there is no plugin nothing (not_found).\n")
    }

    @Test func requestsThatAreNone() {
        let rig = CtlRig()
        defer { rig.close() }
        for bytes: [UInt8] in [[0, 0, 0, 4, 0, 0, 0, 9], [0, 0, 0, 0], [0, 0, 0, 5, 0, 0, 0, 0, 0]] {
            let connection = rig.connect()
            connection.send(bytes)
            #expect(connection.answer() == Answer(error: "the request is not in the ctl protocol.\n", status: 1))
        }
        let long = rig.connect()
        long.send([0xFF, 0, 0, 0])
        #expect(long.answer().error == "the request is longer than 1048576 bytes.\n")
        #expect(rig.ask("ping").status == 0)
    }

    @Test func aRequestMayComeInPieces() {
        let rig = CtlRig()
        defer { rig.close() }
        let connection = rig.connect()
        for byte in CtlProtocol.request([Array("ping".utf8)]) {
            connection.send([byte])
            rig.main {}
        }
        #expect(connection.answer() == Answer(output: "pong\n", status: 0))
    }

    @Test func clientsThatStallAreBoundedAndClosed() {
        var limits = CtlServer.Limits()
        limits.clients = 2
        let patient = CtlRig(limits)
        defer { patient.close() }
        let waiting = [patient.connect(), patient.connect()]
        waiting[0].send([0, 0])
        patient.main {}
        let third = patient.connect().answer()
        #expect(third == Answer(error: "2 commands are under way already, try again.\n", status: 1))
        // Apart from that: whoever is late for the third one would find room.
        limits.idleMS = 80
        let rig = CtlRig(limits)
        defer { rig.close() }
        let silent = [rig.connect(), rig.connect()]
        silent[0].send([0, 0])
        for connection in silent { #expect(connection.answer() == Answer()) }
        #expect(rig.ask("ping").status == 0)
    }

    @Test func outputThatNobodyReadsCostsABufferAndNoTime() {
        var limits = CtlServer.Limits()
        limits.outputBytes = 4 << 20
        limits.waitingBytes = 6 << 20
        let rig = CtlRig(limits)
        defer { rig.close() }
        rig.main {
            rig.control.register("flood", []) { call throws(CommandFailure) in
                for _ in 0..<100 { call.print(String(repeating: "x", count: 99_999) + "\n") }
            }
        }
        let request = CtlProtocol.request([Array("flood".utf8)])
        let slow = [rig.connect(), rig.connect()]
        for connection in slow { connection.send(request) }
        rig.main {}
        let late = rig.connect()
        late.send(CtlProtocol.request([Array("ping".utf8)]))
        #expect(late.answer().status != nil, "it is served or refused at once")
        let first = slow[0].answer()
        #expect(first.output.utf8.count == 4_100_000, "whole lines up to the limit")
        #expect(first.error == "the output is longer than 4194304 bytes and was cut.\n" && first.status == 1)
    }

    @Test func theSocketIsPrivateAndASecondBrokerIsRefused() {
        let rig = CtlRig()
        defer { rig.close() }
        var status = stat()
        #expect(stat(rig.socketPath, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let refused = rig.main { () -> String? in
            do throws(ControlError) {
                try CtlServer(path: rig.socketPath, commands: CommandTable(), control: rig.loop).start()
                return nil
            } catch {
                return error.sentence
            }
        }
        #expect(refused == "another broker listens on \(rig.socketPath); stop it first or set ctl.socket.")
        #expect(rig.ask("ping").status == 0)
    }

    @Test func aLeftoverSocketIsReplaced() {
        let rig = CtlRig()
        defer { rig.close() }
        let path = rig.root + "/leftover.sock"
        // A socket that is closed leaves its file behind.
        let left = rig.main { try! UnixSocket.listen(path) }
        close(left)
        let other = rig.main { CtlServer(path: path, commands: rig.host.commands, control: rig.loop) }
        #expect(rig.main { (try? other.start()) != nil })
        let connection = CtlConnection(path)
        connection.send(CtlProtocol.request([Array("ping".utf8)]))
        #expect(connection.answer().output == "pong\n")
        rig.main { other.stop() }
        #expect(access(path, F_OK) != 0)
    }

    @Test func aFileThatIsNoSocketIsLeftAlone() {
        let rig = CtlRig()
        defer { rig.close() }
        let path = rig.root + "/martlet.conf"
        let file = fopen(path, "w")!
        fputs("precious", file)
        fclose(file)
        let refused = rig.main { () -> String? in
            do throws(ControlError) {
                try CtlServer(path: path, commands: rig.host.commands, control: rig.loop).start()
                return nil
            } catch {
                return error.sentence
            }
        }
        #expect(refused == "\(path) is there already and is no socket; set ctl.socket to another path.")
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_size == 8)
        unlink(path)
    }

    @Test(arguments: [
        (5, "5 seconds"), (65, "1 minutes, 5 seconds"), (3_605, "1 hours, 0 minutes, 5 seconds"),
        (93_784, "1 days,2 hours, 3 minutes, 4 seconds"),
    ]) func uptimeIsWrittenAsEMQWritesIt(_ seconds: Int, _ text: String) {
        #expect(uptimeText(seconds: seconds) == text)
    }
}
