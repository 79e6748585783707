// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Rules from a file in the syntax of EMQ's acl.conf: the first rule that matches decides, none leaves it to the next
/// module.
final class AclFile: Plugin {
    private var path = ""
    private var rules: Published<Rules>?
    private var peers: LastPeers?

    override func start() throws(PluginError) {
        try host.config.declare([
            .path(
                "acl.file", default: "etc/acl.conf",
                help: "The rules, of which the first that matches decides. `martlet_ctl acl reload` reads them again.")
        ]) { [self] (_, value) throws(PluginError) in
            try load(String(value))
        }
        path = try host.config.string("acl.file")
        let rules = Published(try AclFile.read(path), host)
        self.rules = rules
        let peers = LastPeers(host.exec)
        self.peers = peers
        try host.acl.add { request in rules.read { $0.decide(request, peers) } }
        try host.ctl.command("acl", usage: [("acl reload", "reload etc/acl.conf")]) {
            [self] (args, out) throws(PluginError) in
            guard args.count == 2, args[1] == "reload" else { throw .usage }
            try load(path)
            out.line("reload acl_internal successfully")
        }
    }

    deinit { peers?.deallocate() }

    /// A file that does not parse throws, and the old rules stay.
    private func load(_ file: String) throws(PluginError) {
        rules?.replace(try AclFile.read(file))
        path = file
        host.acl.forget()
    }

    private static func read(_ path: String) throws(PluginError) -> Rules {
        try File.read(path) { (text) throws(PluginError) in
            var parser = Parser(text, path: path)
            return try parser.rules()
        }
    }
}
