// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// MQTT 5 enhanced authentication (§4.12) with SCRAM-SHA-256 (RFC 5802, RFC 7677). Clients with another method, or
/// with none, are left to the next module.
final class AuthScram: Plugin {
    private let users = Users(remedy: "scram_users passwd")

    override func start() throws(PluginError) {
        try host.config.declare(Self.keys)
        let iterations = try host.config.int("auth.scram.iterations")
        let strangers = Strangers(key: try storedSecret(), iterations: iterations)
        try configureUsers(strangers, iterations)
        try users.load(host)
        try join(try makeConversations(strangers, iterations))
        try addCommand(iterations)
    }

    private static var keys: [ConfigKey] {
        [
            .string(
                "auth.scram.user.*.username", .immutable, example: "admin",
                help: "Name of a user. Any number or word may stand for the 1, and joins a name and its password."),
            .string(
                "auth.scram.user.*.password", [.immutable, .secret], example: "public",
                help: "The password of that user. Keys are derived from it at the start; it is never stored or shown."),
            .int(
                "auth.scram.iterations", default: "10000", range: "4096..1000000", .immutable,
                help: "Rounds of PBKDF2 for new passwords, which clients compute too. Stored users keep their own."),
            .duration(
                "auth.scram.timeout", default: "10s", .immutable,
                help: "How long a client may take from the challenge to its proof."),
            .int(
                "auth.scram.max_exchanges", default: "4096", range: "64..1000000", .immutable,
                help: "Exchanges under way at once; beyond that the oldest is given up."),
        ]
    }

    private func makeConversations(_ strangers: Strangers, _ iterations: Int) throws(PluginError) -> [Conversation] {
        let loops = max(1, Int(host.exec.loopCount))
        let size = try host.config.int("auth.scram.max_exchanges") / loops
        let timeout = Int64(try host.config.int("auth.scram.timeout"))
        var conversations: [Conversation] = []
        for _ in 0..<loops {
            conversations.append(Conversation(users: users, strangers: strangers, size: size, timeout: timeout))
        }
        return conversations
    }

    private func join(_ conversations: [Conversation]) throws(PluginError) {
        let host = host
        func here() -> Conversation? {
            guard case .loop(let index) = host.exec.current, index < conversations.count else { return nil }
            return conversations[Int(index)]
        }
        try host.auth.add(priority: 0) { request in
            guard request.method == "SCRAM-SHA-256" else { return .ignore }
            return here()?.decide(request) ?? .error
        }
        try host.hooks.onClientDisconnected { event in here()?.forget(event.client.id) }
        for index in conversations.indices {
            try host.exec.timer(first: 5000, every: 5000, on: .loop(UInt32(index))) { conversations[index].expire() }
        }
    }

    /// The key behind the salts of names that have none of their own: made once and kept.
    private func storedSecret() throws(PluginError) -> [UInt8] {
        let name: StaticString = "stranger_key"
        if let kept = try host.kv.get("secrets", Bytes(name)), kept.count == Crypto.size { return kept }
        guard let made = Crypto.random(Crypto.size) else { throw Self.refused }
        try made.withBytes { (value) throws(PluginError) in try host.kv.put("secrets", Bytes(name), value) }
        return made
    }

    /// `auth.scram.user.N.username` and `.password` belong together by N, in whatever order they stand.
    private func configureUsers(_ strangers: Strangers, _ iterations: Int) throws(PluginError) {
        var names: [(n: [UInt8], name: Secret)] = []
        var passwords: [(n: [UInt8], password: Secret)] = []
        try host.config.each("auth.scram.user.") { key, value in
            let rest = key.slice(Bytes("auth.scram.user." as StaticString).count)
            guard let dot = rest.index(of: UInt8(ascii: ".")) else { return true }
            let number = [UInt8](rest.slice(0, dot))
            if rest.slice(dot + 1) == "username" { names.append((number, Secret(value))) }
            if rest.slice(dot + 1) == "password" { passwords.append((number, Secret(value))) }
            return true
        }
        for (number, name) in names {
            let which = String(decoding: number, as: UTF8.self)
            guard let at = passwords.firstIndex(where: { $0.n == number }) else {
                throw PluginError(
                    .invalid, "auth.scram.user.\(which).username is set, but auth.scram.user.\(which).password is not.")
            }
            let prepared = try name.withBytes { (text) throws(PluginError) in try prepare(name: text) }
            guard let salt = strangers.salt(prepared) else { throw Self.refused }
            users.configure(prepared, try derive(passwords[at].password, salt, iterations))
        }
    }

    private func prepare(name: Bytes) throws(PluginError) -> [UInt8] {
        guard let prepared = Prepare.string(name), prepared.count <= Users.longestName else {
            throw PluginError(
                .invalid, "A user name is UTF-8 text of 1 to \(Users.longestName) bytes without control characters.")
        }
        return prepared
    }

    /// Takes milliseconds; the control thread has them.
    private func derive(_ password: Secret, _ salt: [UInt8], _ iterations: Int) throws(PluginError) -> Credential {
        try password.withBytes { (text) throws(PluginError) in
            guard var prepared = Prepare.string(text) else {
                throw PluginError(.invalid, "A password is UTF-8 text of at least one byte without control characters.")
            }
            defer { Crypto.wipe(&prepared) }
            guard let made = prepared.withBytes({ Credential(password: $0, salt: salt, iterations: iterations) })
            else { throw Self.refused }
            return made
        }
    }

    private static var refused: PluginError {
        PluginError(.io, "libcrypto has no randomness or memory.")
    }
}

// `martlet_ctl scram_users`
extension AuthScram {
    private func addCommand(_ iterations: Int) throws(PluginError) {
        try host.ctl.command(
            "scram_users",
            usage: [
                ("scram_users list", "List SCRAM users"),
                ("scram_users add <Username> <Password>", "Add a SCRAM user"),
                ("scram_users passwd <Username> <Password>", "Change the password of a SCRAM user"),
                ("scram_users del <Username>", "Delete a SCRAM user"),
            ]
        ) { [self] (args, out) throws(PluginError) in
            if args.count == 2 && args[1] == "list" {
                for name in users.names() { out.line("User(\(String(decoding: name, as: UTF8.self)))") }
            } else if args.count == 4 && args[1] == "add" {
                try add(try prepare(name: args[2]), Secret(args[3]), iterations)
                out.line("ok")
            } else if args.count == 4 && args[1] == "passwd" {
                try change(try prepare(name: args[2]), Secret(args[3]), iterations)
                out.line("ok")
            } else if args.count == 3 && args[1] == "del" {
                try remove(try prepare(name: args[2]))
                out.line("ok")
            } else {
                throw .usage
            }
        }
    }

    private func add(_ name: [UInt8], _ password: Secret, _ iterations: Int) throws(PluginError) {
        guard users.source(name) == .nowhere else {
            throw PluginError(.exists, "User \(text(name)) exists; scram_users passwd changes the password.")
        }
        try users.store(name, try derive(password, try freshSalt(), iterations), host)
    }

    private func change(_ name: [UInt8], _ password: Secret, _ iterations: Int) throws(PluginError) {
        guard users.source(name) != .nowhere else { throw unknown(name) }
        try users.store(name, try derive(password, try freshSalt(), iterations), host)
    }

    private func remove(_ name: [UInt8]) throws(PluginError) {
        switch users.source(name) {
        case .nowhere: throw unknown(name)
        case .conf:
            throw PluginError(
                .denied, "User \(text(name)) comes from etc/plugins/auth_scram.conf: remove it there and reload.")
        case .store: try users.remove(name, host)
        }
    }

    private func freshSalt() throws(PluginError) -> [UInt8] {
        guard let salt = Crypto.random(Credential.saltSize) else { throw Self.refused }
        return salt
    }
    private func unknown(_ name: [UInt8]) -> PluginError {
        PluginError(.notFound, "There is no user \(text(name)).")
    }
    private func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }
}
