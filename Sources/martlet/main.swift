// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Config
import Glibc

func put(_ text: String, to descriptor: Int32) {
    var text = text
    text.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
}

func fail(_ text: String) -> Never {
    put(text + "\n", to: STDERR_FILENO)
    exit(1)
}

func processEnvironment() -> [String: String] {
    var result: [String: String] = [:]
    var at = environ
    while let entry = at.pointee {
        let text = String(cString: entry)
        if let equals = text.firstIndex(of: "=") {
            result[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        at += 1
    }
    return result
}

/// The configuration, or every diagnostic on standard error and the end.
func loadConfig(_ conf: String, root: String) -> ConfigFile {
    let load = CoreConfig.load(path: conf, environment: processEnvironment(), root: root)
    for diagnostic in load.diagnostics { put("\(diagnostic)\n", to: STDERR_FILENO) }
    guard let values = load.values else { exit(1) }
    return values
}

/// Each connection is an open file: what the system grants is used, so that nobody has to ask for it.
func raiseFileLimit(loops: Int) {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let needed = 32 + 2 * loops
    if limit.rlim_max < needed {
        fail(
            "a broker with \(loops) event loops needs at least \(needed) open files, the limit is \(limit.rlim_max): "
                + "raise it (ulimit -n, LimitNOFILE).")
    }
}

/// A descriptor below 3 that is closed would be given to the next file, and what is printed would end up there.
func openStandardDescriptors() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
        _ = open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY)
    }
}

openStandardDescriptors()
switch Request.parse(CommandLine.arguments) {
case .version: print("martlet \(BrokerSettings.release)")
case .usage: put(Request.text, to: STDOUT_FILENO)
case .mistake(let sentence):
    put(sentence + "\n" + Request.text, to: STDERR_FILENO)
    exit(1)
case .printDefaultConfig: print(CoreFiles.conf.text, terminator: "")
case .printPluginConfig(let file):
    do {
        print(try pluginConf(of: file), terminator: "")
    } catch {
        fail("\(error)")
    }
case .check(let root, let conf):
    _ = loadConfig(conf, root: root)
    print("The configuration is valid.")
case .run(let root, let conf):
    let config = loadConfig(conf, root: root)
    cr_use_small_pages()
    raiseFileLimit(loops: Broker.loopCount(config.int("node.loops")))
    let files = ["plugins.loaded_file", "ctl.socket"].map { config.path($0) }
    let folders = files.compactMap { file in file.lastIndex(of: "/").map { String(file[..<$0]) } }
    for folder in [config.path("node.data_dir"), config.path("log.dir")] + folders { mkdir(folder, 0o755) }
    do {
        try DataFolder.take(config.path("node.data_dir"))
        try Server(config: config, root: root, environment: processEnvironment()).run()
    } catch {
        fail("\(error)")
    }
}
