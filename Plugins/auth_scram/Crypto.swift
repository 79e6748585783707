// SPDX-License-Identifier: Apache-2.0
import CCrypto
import PluginKit

/// The primitives of RFC 5802 §2.2 with SHA-256 (RFC 7677), all from libcrypto. nil: libcrypto refused, which it does
/// for want of memory only.
enum Crypto {
    /// Length of a hash, a key and a signature.
    static var size: Int { 32 }

    /// H(bytes)
    static func hash(_ bytes: [UInt8]) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: size)
        var length: UInt32 = 0
        return EVP_Digest(bytes, bytes.count, &out, &length, EVP_sha256(), nil) == 1 ? out : nil
    }

    /// HMAC(key, bytes)
    static func mac(_ key: [UInt8], _ bytes: Bytes) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: size)
        var length = 0
        let done = EVP_Q_mac(
            nil, text("HMAC"), nil, text("SHA256"), nil, key, key.count, bytes.start, bytes.count, &out, size, &length)
        return done != nil && length == size ? out : nil
    }
    static func mac(_ key: [UInt8], _ label: StaticString) -> [UInt8]? { mac(key, Bytes(label)) }

    /// Hi(password, salt, iterations). Takes milliseconds: never on a loop.
    static func hi(_ password: Bytes, salt: [UInt8], iterations: Int) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: size)
        let done = password.buffer.withMemoryRebound(to: CChar.self) { text in
            PKCS5_PBKDF2_HMAC(
                text.baseAddress, Int32(text.count), salt, Int32(salt.count), Int32(iterations), EVP_sha256(),
                Int32(size), &out)
        }
        return done == 1 ? out : nil
    }

    /// From libcrypto's generator, which the system's entropy seeds.
    static func random(_ count: Int) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: count)
        return RAND_bytes(&out, Int32(count)) == 1 ? out : nil
    }

    /// In a time that does not depend on where they differ.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }

    /// Overwrites the array's memory; it must be the only one that holds it.
    static func wipe(_ secret: inout [UInt8]) {
        secret.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
    }

    private static func text(_ literal: StaticString) -> UnsafePointer<CChar> {
        UnsafeRawPointer(literal.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

/// A copy of a password that is overwritten when its last user lets go.
final class Secret {
    private var memory: [UInt8]

    init(_ bytes: Bytes) { memory = [UInt8](bytes) }
    deinit { Crypto.wipe(&memory) }
    func withBytes<R, E: Error>(_ body: (Bytes) throws(E) -> R) throws(E) -> R { try memory.withBytes(body) }
}
