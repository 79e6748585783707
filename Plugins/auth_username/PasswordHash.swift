// SPDX-License-Identifier: Apache-2.0
import CCrypto
import PluginKit

/// A salted PBKDF2-HMAC-SHA256 hash. As text: `pbkdf2-sha256$ITERATIONS$SALT$HASH`, salt and hash in hex.
struct PasswordHash {
    let iterations: Int
    let salt: [UInt8]
    let hash: [UInt8]

    static let scheme: StaticString = "pbkdf2-sha256"
    static var saltSize: Int { 16 }
    static var hashSize: Int { 32 }

    /// nil when the system has no randomness to give.
    init?(of password: Bytes, iterations: Int) {
        guard let salt = randomBytes(Self.saltSize),
            let hash = pbkdf2(password, salt: salt, iterations: iterations)
        else { return nil }
        self.iterations = iterations
        self.salt = salt
        self.hash = hash
    }
    /// nil when the text is not of the form above.
    init?(text: Bytes) {
        let parts = [UInt8](text).split(separator: UInt8(ascii: "$"), omittingEmptySubsequences: false).map(Array.init)
        guard parts.count == 4, parts[0].withBytes({ $0 == Self.scheme }),
            let iterations = parts[1].withBytes({ $0.integer }), iterations >= 1, iterations <= 100_000_000,
            let salt = fromHex(parts[2]), let hash = fromHex(parts[3]), !salt.isEmpty, hash.count == Self.hashSize
        else { return nil }
        self.iterations = iterations
        self.salt = salt
        self.hash = hash
    }
    var text: [UInt8] { Array("\(String(Bytes(Self.scheme)))$\(iterations)$\(hex(salt))$\(hex(hash))".utf8) }

    /// Takes milliseconds: never on a loop. Compares in constant time.
    func matches(_ password: Bytes) -> Bool {
        guard let candidate = pbkdf2(password, salt: salt, iterations: iterations) else { return false }
        return CRYPTO_memcmp(candidate, hash, Self.hashSize) == 0
    }
}

func pbkdf2(_ password: Bytes, salt: [UInt8], iterations: Int) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: PasswordHash.hashSize)
    let done = password.buffer.withMemoryRebound(to: CChar.self) { text in
        PKCS5_PBKDF2_HMAC(
            text.baseAddress, Int32(text.count), salt, Int32(salt.count), Int32(iterations), EVP_sha256(),
            Int32(PasswordHash.hashSize), &out)
    }
    return done == 1 ? out : nil
}

func randomBytes(_ count: Int) -> [UInt8]? {
    var out = [UInt8](repeating: 0, count: count)
    return RAND_bytes(&out, Int32(count)) == 1 ? out : nil
}

private func hex(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] { text.append(digit < 10 ? 48 + digit : 87 + digit) }
    }
    return String(decoding: text, as: UTF8.self)
}

private func fromHex(_ text: [UInt8]) -> [UInt8]? {
    guard text.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: text.count, by: 2) {
        guard let high = digit(text[index]), let low = digit(text[index + 1]) else { return nil }
        bytes.append(high << 4 | low)
    }
    return bytes
}

private func digit(_ character: UInt8) -> UInt8? {
    switch character {
    case 48...57: character - 48
    case 97...102: character - 87
    default: nil
    }
}
