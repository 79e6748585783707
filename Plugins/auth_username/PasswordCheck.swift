// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// The decision itself. On the loop it only looks things up; the slow hash runs on the blocking pool.
final class PasswordCheck {
    private let users: Users
    private let cache: VerifiedCache
    /// What an unknown user is measured against when unknown users are refused; nil leaves them to the next module.
    private let stranger: PasswordHash?

    /// MQTT 5 §3.2.2.2: server busy.
    private static var busy: AuthAnswer { .deny(0x89) }

    init(users: Users, cache: VerifiedCache, stranger: PasswordHash?) {
        self.users = users
        self.cache = cache
        self.stranger = stranger
    }

    /// [loop]
    func decide(_ request: borrowing AuthRequest) -> AuthAnswer {
        guard let username = request.username, !username.isEmpty else { return .ignore }
        let found = users.find([UInt8](username))
        guard let expected = found ?? stranger else { return .ignore }
        guard let password = request.password else { return .deny }
        let proof = found == nil ? nil : cache.proof(username, password, expected)
        if let proof, cache.knows(proof) { return .allow }
        return verify(Secret(password), expected, isKnown: found != nil, proof, request)
    }

    private func verify(
        _ password: Secret, _ expected: PasswordHash, isKnown: Bool, _ proof: SIMD4<UInt64>?,
        _ request: borrowing AuthRequest
    ) -> AuthAnswer {
        guard let answer = request.later() else { return .error }
        let status = request.host.exec.blocking { [cache] in
            let isRight = expected.matches(password.bytes) && isKnown
            if isRight, let proof { cache.learn(proof) }
            answer.answer(isRight ? .allow : .deny)
        }
        // A full queue means that many passwords are being tried: the client may come again, the broker goes on.
        if status != .ok { answer.answer(status == .busy ? Self.busy : .error) }
        return .pending
    }
}
