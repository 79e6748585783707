// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// The keys of TLS clients that come with a shared key, from a file of lines IDENTITY:HEXKEY.
final class AuthPSK: Plugin {
    private var path = ""
    private var keys: Published<Keys>?

    override func start() throws(PluginError) {
        try host.config.declare([
            .path(
                "auth.psk.file", default: "etc/psk.conf",
                help: "Lines IDENTITY:HEXKEY, readable by their owner only. `martlet_ctl psk reload` reads them again.")
        ]) { [self] (_, value) throws(PluginError) in
            try load(String(value))
        }
        path = try host.config.string("auth.psk.file")
        let keys = Published(try Keys.read(path), host)
        self.keys = keys
        try host.psk.add { identity, room in keys.read { $0.copy(of: identity, to: room) } }
        try addCommand()
    }

    private func addCommand() throws(PluginError) {
        try host.ctl.command(
            "psk",
            usage: [
                ("psk list", "List identities of shared keys"), ("psk reload", "Read the file of shared keys again"),
            ]
        ) { [self] (args, out) throws(PluginError) in
            guard args.count == 2 else { throw .usage }
            if args[1] == "list" {
                keys?.read { for identity in $0.identities { out.line(String(decoding: identity, as: UTF8.self)) } }
            } else if args[1] == "reload" {
                try load(path)
                let count = keys?.read { $0.identities.count } ?? 0
                out.line(count == 1 ? "1 shared key is loaded." : "\(count) shared keys are loaded.")
            } else {
                throw .usage
            }
        }
    }

    /// A file with a mistake throws, and the old keys stay.
    private func load(_ file: String) throws(PluginError) {
        keys?.replace(try Keys.read(file))
        path = file
    }
}
