// SPDX-License-Identifier: Apache-2.0
import CReactor
import Glibc
import Reactor
import Synchronization

@testable import PluginHost

/// A plugin host on a control thread of its own, with two data loops and a scratch install tree.
final class Rig: @unchecked Sendable {
    let root: String
    let control = EventLoop(index: -1)
    let broker: FakeBroker!
    private let port: any BrokerPort
    private(set) var host: PluginHost!
    /// The first 200.
    private let lines = Mutex<[(HostLog.Level, String)]>([])
    private let ended = Semaphore()

    var plugins: String { root + "/plugins" }
    var loadedFile: String { root + "/data/loaded_plugins" }

    /// - Parameter real: the broker to use instead of the fake one; its loops run.
    init(real: (any BrokerPort)? = nil, _ change: (inout PluginHostOptions) -> Void = { _ in }) {
        root = scratchFolder()
        for folder in ["plugins", "etc", "data"] { mkdir(root + "/" + folder, 0o755) }
        broker = real == nil ? FakeBroker(loops: 2) : nil
        port = real ?? broker
        let control = control
        let ended = ended
        startDetachedThread("control") {
            control.run()
            ended.signal()
        }
        var options = PluginHostOptions(
            directories: [root + "/plugins"], confDirectory: root + "/etc", dataDirectory: root + "/data",
            loadedFile: root + "/data/loaded_plugins", root: root)
        options.blockingThreads = 2
        change(&options)
        let log = HostLog { [unowned self] level, line in
            lines.withLock { if $0.count < 200 { $0.append((level, line)) } }
        }
        host = main { try! PluginHost(options: options, broker: self.port, control: self.control, log: log) }
    }

    /// Ends all plugins and threads and removes the tree.
    func close() {
        main { self.host.shutdown() }
        broker?.stop()
        control.stop()
        ended.wait()
        removeTree(root)
    }

    /// Runs on the control thread and waits.
    func main<R>(_ body: @escaping () -> R) -> R {
        nonisolated(unsafe) var result: R?
        nonisolated(unsafe) let body = body
        control.sync { result = body() }
        return result!
    }

    // MARK: - Plugins

    /// Compiles Tests/PluginABI/<source>.c into the plugin folder as <id>.so.
    func add(_ source: String, as id: String? = nil, _ defines: String...) {
        compile(source, to: plugins + "/" + (id ?? source) + ".so", id: id ?? source, defines)
    }

    /// nil when it worked, otherwise the error.
    func load(_ name: String) -> PluginError? {
        main { do throws(PluginError) { _ = try self.host.load(name); return nil } catch { return error } }
    }

    func unload(_ name: String) -> PluginError? {
        main { do throws(PluginError) { _ = try self.host.unload(name); return nil } catch { return error } }
    }

    func reload(_ name: String) -> PluginError? {
        main { do throws(PluginError) { _ = try self.host.reload(name); return nil } catch { return error } }
    }

    /// What became of an unload's image.
    func unloadReport(_ name: String) -> UnloadReport? { main { try? self.host.unload(name) } }

    var running: [String] { main { self.host.running.map(\.name) } }

    /// Runs a plugin's ctl command: its output, or "!" and the failure.
    func ctl(_ line: String) -> String {
        main {
            let call = CommandCall(line.split(separator: " ").map { Array($0.utf8) })
            guard let command = self.host.commands.find(call.argument(0)!) else { return "!no command" }
            do throws(CommandFailure) {
                try self.host.commands.run(command, call)
                return String(decoding: call.output, as: UTF8.self)
            } catch {
                return "!\(error)"
            }
        }
    }

    /// The `key=value` lines of a command's output.
    func values(_ line: String) -> [String: Int] {
        var values: [String: Int] = [:]
        for line in ctl(line).split(separator: "\n") {
            let parts = line.split(separator: "=")
            if parts.count == 2, let number = Int(parts[1]) { values[String(parts[0])] = number }
        }
        return values
    }

    // MARK: - Observing

    var logLines: [String] { lines.withLock { $0.map(\.1) } }
    var errorLines: [String] { lines.withLock { $0.filter { $0.0 >= .warning }.map(\.1) } }

    /// Waits until something other threads do has happened; a minute, where all tests at once have few cores.
    func eventually(_ done: () -> Bool) -> Bool {
        let pause = Semaphore()
        let end = cr_clock_ms() + 60_000
        while cr_clock_ms() < end {
            if done() { return true }
            _ = pause.wait(milliseconds: 5)
        }
        return done()
    }

    func write(_ text: String, to path: String) { writeFile(root + "/" + path, Array(text.utf8)) }
    func read(_ path: String) -> String { String(decoding: readFile(root + "/" + path), as: UTF8.self) }
}

func writeFile(_ path: String, _ bytes: [UInt8]) {
    let file = fopen(path, "w")!
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
}

func readFile(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes += chunk[..<count]
    }
}

func scratchFolder() -> String {
    var template = Array("/tmp/martlet-host-XXXXXX".utf8CString)
    return String(cString: mkdtemp(&template))
}

func removeTree(_ path: String) {
    _ = run(["rm", "-rf", path])
}
