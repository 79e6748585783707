// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Rules from a file in the syntax of EMQ's acl.conf: the first rule that matches decides, none leaves it to the next
/// module.
final class AclFile: Plugin {
    override func start() throws(PluginError) {
        try host.config.declare([
            .path(
                "acl.file", default: "etc/acl.conf", .immutable,
                help: "The file with the rules; `martlet_ctl acl reload` reads it again.")
        ])
        let path = try host.config.string("acl.file")
        let rules = Published(try AclFile.read(path), host)
        try host.acl.add { request in rules.read { $0.decide(request) } }
        try host.ctl.command("acl", usage: [("acl reload", "reload etc/acl.conf")]) {
            [host] (args, out) throws(PluginError) in
            guard args.count == 2, args[1] == "reload" else { throw .usage }
            // A file that does not parse throws here, and the old rules stay.
            rules.replace(try AclFile.read(path))
            host.acl.forget()
            out.line("reload acl_internal successfully")
        }
    }

    private static func read(_ path: String) throws(PluginError) -> Rules {
        try File.read(path) { (text) throws(PluginError) in
            var parser = Parser(text, path: path)
            return try parser.rules()
        }
    }
}
