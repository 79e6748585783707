// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Glibc
import PluginHost
import Reactor

/// The commented conf file of the plugin in FILE, which must be called NAME.so. Runs a broker without listeners in a
/// scratch folder for as long as that takes; a plugin without keys has an empty one.
func pluginConf(of file: String) throws(PluginError) -> String {
    let (folder, name) = parts(of: file)
    var template = Array("\(temporaryFolder())/martlet-conf-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
        throw PluginError(.host, name, "no scratch folder can be made in \(temporaryFolder()).")
    }
    let scratch = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { removeFolder(scratch) }
    var settings = BrokerSettings()
    settings.loops = 1
    let broker = Broker(settings: settings)
    cr_set_current_loop(-1)
    let options = PluginHostOptions(
        directories: [folder], confDirectory: scratch, dataDirectory: scratch, loadedFile: scratch + "/loaded_plugins",
        root: scratch)
    let log = HostLog(threshold: .warning) { _, text in put(text + "\n", to: STDERR_FILENO) }
    let host = try PluginHost(options: options, broker: broker, control: EventLoop(index: -1), log: log)
    broker.start()
    defer {
        host.shutdown()
        broker.stop()
    }
    return try host.defaultConf(name)
}

/// `plugins/retainer.so` → (`plugins`, `retainer`)
private func parts(of file: String) -> (folder: String, name: String) {
    let slash = file.lastIndex(of: "/")
    let folder = slash.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
    let base = slash.map { file[file.index(after: $0)...] } ?? file[...]
    return (folder, String(base.hasSuffix(".so") ? base.dropLast(3) : base))
}

private func temporaryFolder() -> String { getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp" }

private func removeFolder(_ path: String) {
    if let folder = opendir(path) {
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            // A link is removed, never followed.
            if unlink(path + "/" + name) != 0 { removeFolder(path + "/" + name) }
        }
        closedir(folder)
    }
    rmdir(path)
}
