// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// The server's side of SCRAM-SHA-256 on one loop. Two steps of a few microseconds each; the slow key derivation is
/// the client's.
final class Conversation {
    private let users: Users
    private let strangers: Strangers
    private let exchanges: Exchanges
    /// Milliseconds.
    private let timeout: Int64
    /// What the last answer points at: the host copies it before anything else runs on this loop.
    private let memory: UnsafeMutablePointer<UInt8>

    /// Server-first with the longest nonces, or a user name and a signature.
    private static var room: Int { 4096 }
    private static var nonceSize: Int { 24 }
    /// Every refusal is the same, whatever was wrong: MQTT 5 §4.12, Not authorized.
    private static var refusal: AuthAnswer { .deny(0x87) }

    init(users: Users, strangers: Strangers, size: Int, timeout: Int64) {
        self.users = users
        self.strangers = strangers
        self.timeout = timeout
        exchanges = Exchanges(size: size)
        memory = .allocate(capacity: Self.room)
    }
    deinit { memory.deallocate() }

    /// [loop]
    func decide(_ request: borrowing AuthRequest) -> AuthAnswer {
        request.step == 0 ? challenge(request) : conclude(request)
    }
    /// [loop] The client is gone.
    func forget(_ client: martlet_client) { exchanges.drop(client) }
    /// [loop]
    func expire() { exchanges.expire(now: Clock.monotonic) }

    // MARK: - client-first → server-first

    private func challenge(_ request: borrowing AuthRequest) -> AuthAnswer {
        exchanges.drop(request.client.id)
        guard let first = ClientFirst(request.data), isSameUser(first.username, request) else { return Self.refusal }
        // Both ways cost the same, whether the user exists or not.
        let known = users.find(first.username)
        guard let stranger = strangers.credential(first.username), let random = Crypto.random(Self.nonceSize)
        else { return .error }
        let credential = known ?? stranger
        let nonce = [UInt8](first.nonce) + Base64.encode(random)
        var serverFirst = Array("r=".utf8)
        serverFirst += nonce
        serverFirst += Array(",s=".utf8)
        serverFirst += Base64.encode(credential.salt)
        serverFirst += Array(",i=\(credential.iterations)".utf8)
        var messages = [UInt8](first.bare)
        messages.append(comma)
        messages += serverFirst
        messages.append(comma)
        exchanges.begin(
            Exchange(
                client: request.client.id, expires: Clock.monotonic + timeout, username: first.username,
                credential: credential, isKnown: known != nil, header: [UInt8](first.header), nonce: nonce,
                messages: messages))
        return .proceed(lend(serverFirst, at: 0))
    }

    /// A CONNECT that carries a user name too must carry this one, and a re-authentication proves the same user again:
    /// neither bans nor rules may be met by one name and passed by another.
    private func isSameUser(_ username: [UInt8], _ request: borrowing AuthRequest) -> Bool {
        if request.isReauthentication { return request.client.get(.username).map { $0 == username } ?? false }
        guard let given = request.username, !given.isEmpty else { return true }
        return Prepare.string(given) == username
    }

    // MARK: - client-final → server-final

    private func conclude(_ request: borrowing AuthRequest) -> AuthAnswer {
        guard let exchange = exchanges.take(request.client.id, now: Clock.monotonic),
            let final = ClientFinal(request.data)
        else { return Self.refusal }
        var message = exchange.messages
        message += [UInt8](final.withoutProof)
        guard let signature = message.withBytes({ Crypto.mac(exchange.credential.storedKey, $0) }),
            let verifier = message.withBytes({ Crypto.mac(exchange.credential.serverKey, $0) }),
            let key = Crypto.hash(xor(final.proof, signature))
        else { return .error }
        let isProven = Crypto.areEqual(key, exchange.credential.storedKey)
        let isOurs = final.nonce == exchange.nonce && final.binding == exchange.header
        // A password that was changed or a user deleted meanwhile is out at once.
        let isCurrent = exchange.isKnown && users.find(exchange.username) === exchange.credential
        guard isProven, isOurs, isCurrent else { return Self.refusal }
        var answer = AuthAnswer.allow
        let serverFinal = Array("v=".utf8) + Base64.encode(verifier)
        answer.data = lend(serverFinal, at: 0)
        answer.username = lend(exchange.username, at: serverFinal.count)
        return answer
    }

    private var comma: UInt8 { UInt8(ascii: ",") }

    private func xor(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        var out = left
        for index in 0..<min(left.count, right.count) { out[index] ^= right[index] }
        return out
    }

    private func lend(_ bytes: [UInt8], at offset: Int) -> Bytes {
        let count = min(bytes.count, Self.room - offset)
        for index in 0..<count { memory[offset + index] = bytes[index] }
        return Bytes(start: memory + offset, count: count)
    }
}
