// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// Lets clients in by user name and password. A known user with a wrong password is refused; an unknown one is left to
/// the next module, unless `auth.username.unknown = deny`.
final class AuthUsername: Plugin {
    private let users = Users(remedy: "users passwd")

    override func start() throws(PluginError) {
        try host.config.declare(Self.keys)
        let iterations = try host.config.int("auth.username.iterations")
        try configureUsers(iterations)
        try users.load(host)
        try host.auth.add(priority: 0, try makeCheck(iterations))
        try addCommand(iterations)
    }

    private static var keys: [ConfigKey] {
        [
            .string(
                "auth.user.*.username", .immutable, example: "admin",
                help: "Name of a user. Any number or word may stand for the 1, and joins a name and its password."),
            .string(
                "auth.user.*.password", [.immutable, .secret], example: "public",
                help: "The password of that user. It is hashed at the start and never stored or shown."),
            .int(
                "auth.username.iterations", default: "10000", range: "1..10000000", .immutable,
                help: "Rounds of PBKDF2 for new passwords; 10000 take about 3 ms. Stored passwords keep their own."),
            .choice(
                "auth.username.unknown", "ignore|deny", default: "ignore", .immutable,
                help: "What becomes of a user name that is not known: ask the next module, or refuse."),
            .int(
                "auth.username.cache_size", default: "4096", range: "0..1000000", .immutable,
                help: "How many proven passwords are remembered, so that reconnects are cheap; 0 remembers none."),
            .duration(
                "auth.username.cache_ttl", default: "10m", .immutable,
                help: "How long a proven password is remembered."),
        ]
    }

    private func makeCheck(_ iterations: Int) throws(PluginError) -> Auth.Decide {
        let cache = VerifiedCache(
            size: try host.config.int("auth.username.cache_size"), ttl: try host.config.int("auth.username.cache_ttl"))
        // Nobody knows its password: an unknown user costs as much time as a wrong password.
        let nobody = randomBytes(32).flatMap { $0.withBytes { PasswordHash(of: $0, iterations: iterations) } }
        guard let cache, let nobody else { throw Self.noRandomness }
        let refusesUnknown = try host.config.int("auth.username.unknown") == 1
        let check = PasswordCheck(users: users, cache: cache, stranger: refusesUnknown ? nobody : nil)
        // What a method asks for is not what is looked at here. [MQTT-4.12.0-1]
        return { $0.method.isEmpty ? check.decide($0) : .ignore }
    }

    /// `auth.user.N.username` and `auth.user.N.password` belong together by N, in whatever order they stand.
    private func configureUsers(_ iterations: Int) throws(PluginError) {
        var names: [(n: [UInt8], name: [UInt8])] = []
        var passwords: [(n: [UInt8], password: Secret)] = []
        try host.config.each("auth.user.") { key, value in
            let rest = key.slice(Bytes("auth.user." as StaticString).count)
            guard let dot = rest.index(of: UInt8(ascii: ".")) else { return true }
            let number = [UInt8](rest.slice(0, dot))
            if rest.slice(dot + 1) == "username" { names.append((number, [UInt8](value))) }
            if rest.slice(dot + 1) == "password" { passwords.append((number, Secret(value))) }
            return true
        }
        for (number, name) in names where !name.isEmpty {
            guard let at = passwords.firstIndex(where: { $0.n == number }) else {
                let which = String(decoding: number, as: UTF8.self)
                throw PluginError(
                    .invalid, "auth.user.\(which).username is set, but auth.user.\(which).password is not.")
            }
            users.configure(name, try hash(passwords[at].password, iterations))
        }
    }

    private func hash(_ password: Secret, _ iterations: Int) throws(PluginError) -> PasswordHash {
        guard let made = PasswordHash(of: password.bytes, iterations: iterations) else {
            throw Self.noRandomness
        }
        return made
    }
    private static var noRandomness: PluginError { PluginError(.io, "The system's random generator does not answer.") }
}

// `martlet_ctl users`, as emq_auth_username has it, and passwd.
extension AuthUsername {
    private func addCommand(_ iterations: Int) throws(PluginError) {
        try host.ctl.command(
            "users",
            usage: [
                ("users list", "List users"),
                ("users add <Username> <Password>", "Add a user"),
                ("users passwd <Username> <Password>", "Change the password of a user"),
                ("users del <Username>", "Delete a user"),
            ]
        ) { [self] (args, out) throws(PluginError) in
            let name = [UInt8](args[2])
            if args.count == 2 && args[1] == "list" {
                for name in users.names() { out.line("User(\(String(decoding: name, as: UTF8.self)))") }
            } else if args.count == 4 && args[1] == "add" {
                try add(name, Secret(args[3]), iterations)
                out.line("ok")
            } else if args.count == 4 && args[1] == "passwd" {
                try change(name, Secret(args[3]), iterations)
                out.line("ok")
            } else if args.count == 3 && args[1] == "del" {
                try remove(name)
                out.line("ok")
            } else {
                throw .usage
            }
        }
    }

    private func add(_ name: [UInt8], _ password: Secret, _ iterations: Int) throws(PluginError) {
        guard !name.isEmpty, name.count <= Users.longestName else {
            throw PluginError(.invalid, "A user name has 1 to \(Users.longestName) bytes.")
        }
        guard users.source(name) == .nowhere else {
            throw PluginError(.exists, "User \(text(name)) exists; users passwd changes the password.")
        }
        try users.store(name, try hash(password, iterations), host)
    }

    private func change(_ name: [UInt8], _ password: Secret, _ iterations: Int) throws(PluginError) {
        guard users.source(name) != .nowhere else { throw unknown(name) }
        try users.store(name, try hash(password, iterations), host)
    }

    private func remove(_ name: [UInt8]) throws(PluginError) {
        switch users.source(name) {
        case .nowhere: throw unknown(name)
        case .conf:
            throw PluginError(
                .denied, "User \(text(name)) comes from etc/plugins/auth_username.conf: remove it there and reload.")
        case .store: try users.remove(name, host)
        }
    }

    private func unknown(_ name: [UInt8]) -> PluginError {
        PluginError(.notFound, "There is no user \(text(name)).")
    }
    private func text(_ name: [UInt8]) -> String { String(decoding: name, as: UTF8.self) }
}
