// SPDX-License-Identifier: Apache-2.0
import Config
import Glibc

/// What the command line asks for.
enum Request {
    case run(root: String, conf: String)
    case check(root: String, conf: String)
    case version
    case printDefaultConfig
    /// A path to NAME.so.
    case printPluginConfig(file: String)
    case usage
    /// One sentence; the usage follows it.
    case mistake(String)

    static let text = """
        Usage: martlet-broker [--root DIR] [--config FILE] [--check]
          --root DIR              the install tree; default: the folder above the one of this program
          --config FILE           default: etc/martlet.conf in it
          --check                 check the configuration, start nothing
          --print-default-config  print the commented default configuration
          --print-plugin-config NAME.so
                                  print the commented default configuration of a plugin
          --version               print the version

        """

    static func parse(_ arguments: [String]) -> Request {
        var root: String?
        var conf: String?
        var check = false
        var rest = arguments.dropFirst()
        while let argument = rest.popFirst() {
            switch argument {
            case "--root", "--config", "--print-plugin-config":
                guard let value = rest.popFirst(), !value.isEmpty else {
                    return .mistake("\(argument) needs a \(argument == "--root" ? "folder" : "file").")
                }
                switch argument {
                case "--root": root = value
                case "--config": conf = value
                default: return .printPluginConfig(file: value)
                }
            case "--check": check = true
            case "--version", "-v": return .version
            case "--print-default-config": return .printDefaultConfig
            case "--help", "-h": return .usage
            default: return .mistake("There is no option \(argument).")
            }
        }
        let tree = root ?? ownTree()
        let file = conf ?? tree + "/etc/martlet.conf"
        return check ? .check(root: tree, conf: file) : .run(root: tree, conf: file)
    }

    /// bin/martlet-broker lies one folder below the tree.
    private static func ownTree() -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let path = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
    }
}
