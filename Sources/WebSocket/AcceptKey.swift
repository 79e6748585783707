// SPDX-License-Identifier: Apache-2.0
import CCrypto

/// The proof that a server has understood the request: SHA-1 of the client's key and a fixed text, in base64.
/// RFC 6455 §4.2.2
func acceptKey(_ key: String) -> String {
    let text = Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8)
    var digest = [UInt8](repeating: 0, count: 20)
    var count: UInt32 = 0
    precondition(
        EVP_Digest(text, text.count, &digest, &count, EVP_sha1(), nil) == 1 && count == 20,
        "libcrypto cannot compute SHA-1")
    // 28 characters and a terminating zero.
    var encoded = [UInt8](repeating: 0, count: 29)
    let length = EVP_EncodeBlock(&encoded, digest, 20)
    return String(decoding: encoded[..<Int(length)], as: UTF8.self)
}

/// Whether this is 16 bytes in base64, as a client's key must be. RFC 6455 §4.2.1
func isNonce(_ key: String) -> Bool {
    let bytes = Array(key.utf8)
    guard bytes.count == 24, bytes[22] == 0x3D, bytes[23] == 0x3D else { return false }
    return bytes[..<22].allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2F: true
        default: false
        }
    }
}
