// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// What the server knows of a password: enough to check a proof, not enough to make one (RFC 5802 §3).
/// As text: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, the last three in Base64.
final class Credential {
    let iterations: Int
    let salt: [UInt8]
    let storedKey: [UInt8]
    let serverKey: [UInt8]

    static var saltSize: Int { 16 }

    init(iterations: Int, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
        self.iterations = iterations
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// Takes milliseconds: never on a loop. `password` is prepared; nil when libcrypto refuses.
    convenience init?(password: Bytes, salt: [UInt8], iterations: Int) {
        guard var salted = Crypto.hi(password, salt: salt, iterations: iterations) else { return nil }
        defer { Crypto.wipe(&salted) }
        guard var clientKey = Crypto.mac(salted, "Client Key") else { return nil }
        defer { Crypto.wipe(&clientKey) }
        guard let storedKey = Crypto.hash(clientKey), let serverKey = Crypto.mac(salted, "Server Key") else {
            return nil
        }
        self.init(iterations: iterations, salt: salt, storedKey: storedKey, serverKey: serverKey)
    }

    /// nil when the text is not of the form above.
    convenience init?(text: Bytes) {
        guard text.hasPrefix("SCRAM-SHA-256$") else { return nil }
        let rest = text.slice(14)
        guard let dollar = rest.index(of: UInt8(ascii: "$")) else { return nil }
        guard let (count, salt) = pair(rest.slice(0, dollar)), let (stored, server) = pair(rest.slice(dollar + 1)),
            let iterations = count.integer, (1...100_000_000).contains(iterations),
            let salt = Base64.decode(salt), !salt.isEmpty, salt.count <= 64,
            let storedKey = Base64.decode(stored), storedKey.count == Crypto.size,
            let serverKey = Base64.decode(server), serverKey.count == Crypto.size
        else { return nil }
        self.init(iterations: iterations, salt: salt, storedKey: storedKey, serverKey: serverKey)
    }

    var text: [UInt8] {
        var out = Array("SCRAM-SHA-256$\(iterations):".utf8)
        out += Base64.encode(salt)
        out.append(UInt8(ascii: "$"))
        out += Base64.encode(storedKey)
        out.append(UInt8(ascii: ":"))
        out += Base64.encode(serverKey)
        return out
    }
}

private func pair(_ text: Bytes) -> (Bytes, Bytes)? {
    guard let colon = text.index(of: UInt8(ascii: ":")) else { return nil }
    return (text.slice(0, colon), text.slice(colon + 1))
}

/// Makes what a name without a user is asked with. The same name gets the same salt at every attempt, also after a
/// restart, because the key is kept in the store: otherwise a salt that changes would tell that nobody is behind it.
final class Strangers {
    private let key: [UInt8]
    private let iterations: Int

    init(key: [UInt8], iterations: Int) {
        self.key = key
        self.iterations = iterations
    }

    /// Also the salt of the users of the conf file, who have none stored.
    func salt(_ name: [UInt8]) -> [UInt8]? { derived("salt ", name).map { Array($0.prefix(Credential.saltSize)) } }

    /// No password fits.
    func credential(_ name: [UInt8]) -> Credential? {
        guard let salt = salt(name), let stored = derived("stored ", name), let server = derived("server ", name)
        else { return nil }
        return Credential(iterations: iterations, salt: salt, storedKey: stored, serverKey: server)
    }

    private func derived(_ what: StaticString, _ name: [UInt8]) -> [UInt8]? {
        var input = [UInt8](Bytes(what))
        input += name
        return input.withBytes { Crypto.mac(key, $0) }
    }
}
