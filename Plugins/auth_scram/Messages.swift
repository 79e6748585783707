// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// `client-first-message` of RFC 5802 §7.
struct ClientFirst {
    /// `gs2-header`, which the second message repeats in Base64.
    let header: Bytes
    /// `client-first-message-bare`.
    let bare: Bytes
    /// Prepared.
    let username: [UInt8]
    let nonce: Bytes

    static var longest: Int { 2048 }
    static var longestNonce: Int { 256 }

    /// nil when it is malformed, too long, asks for channel binding ("p"), which no listener offers, wants to act for
    /// somebody else, or needs an extension ("m").
    init?(_ text: Bytes) {
        guard text.count <= Self.longest, text.at(0) == UInt8(ascii: "n") || text.at(0) == UInt8(ascii: "y"),
            text.at(1) == UInt8(ascii: ","), let end = text.index(of: UInt8(ascii: ","), from: 2)
        else { return nil }
        header = text.slice(0, end + 1)
        bare = text.slice(end + 1)
        var fields = Fields(bare)
        guard let name = fields.next(), name.key == UInt8(ascii: "n"), let username = saslName(name.value),
            let nonce = fields.next(), nonce.key == UInt8(ascii: "r"), isNonce(nonce.value),
            nonce.value.count <= Self.longestNonce, fields.areOptional()
        else { return nil }
        self.username = username
        self.nonce = nonce.value
        let authorization = text.slice(2, end)
        guard authorization.isEmpty || authorization.hasPrefix("a=") && saslName(authorization.slice(2)) == username
        else { return nil }
    }
}

/// `client-final-message` of RFC 5802 §7.
struct ClientFinal {
    /// `client-final-message-without-proof`.
    let withoutProof: Bytes
    /// Decoded: the gs2-header, as there is no channel binding.
    let binding: [UInt8]
    let nonce: Bytes
    let proof: [UInt8]

    init?(_ text: Bytes) {
        guard text.count <= ClientFirst.longest else { return nil }
        var fields = Fields(text)
        guard let binding = fields.next(), binding.key == UInt8(ascii: "c"), let header = Base64.decode(binding.value),
            let nonce = fields.next(), nonce.key == UInt8(ascii: "r")
        else { return nil }
        self.binding = header
        self.nonce = nonce.value
        var last: Fields.Field?
        var before = fields.at
        while !fields.isAtEnd {
            before = fields.at
            guard let field = fields.next() else { return nil }
            guard last?.key != UInt8(ascii: "p"), field.key != UInt8(ascii: "m") else { return nil }
            last = field
        }
        guard let last, last.key == UInt8(ascii: "p"), let proof = Base64.decode(last.value),
            proof.count == Crypto.size
        else { return nil }
        self.proof = proof
        withoutProof = text.slice(0, before - 1)
    }
}

/// `k=value` with commas between.
private struct Fields {
    struct Field {
        let key: UInt8
        let value: Bytes
    }
    private let text: Bytes
    /// Where the next field begins.
    private(set) var at = 0

    init(_ text: Bytes) { self.text = text }

    var isAtEnd: Bool { at > text.count }

    /// nil when there is none, or it is not of the form.
    mutating func next() -> Field? {
        guard !isAtEnd else { return nil }
        let end = text.index(of: UInt8(ascii: ","), from: at) ?? text.count
        let field = text.slice(at, end)
        guard let key = field.at(0), isLetter(key), field.at(1) == UInt8(ascii: "="), !field.slice(2).contains(0)
        else { return nil }
        at = end + 1
        return Field(key: key, value: field.slice(2))
    }

    /// What is left are extensions that may be ignored; "m" stands for one that must not be.
    mutating func areOptional() -> Bool {
        while !isAtEnd {
            guard let field = next(), field.key != UInt8(ascii: "m") else { return false }
        }
        return true
    }
}

private func isLetter(_ byte: UInt8) -> Bool {
    (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
}

/// Printable ASCII without the comma, at least one.
private func isNonce(_ text: Bytes) -> Bool {
    !text.isEmpty && text.buffer.allSatisfy { $0 >= 0x21 && $0 <= 0x7E && $0 != UInt8(ascii: ",") }
}

/// A `saslname` decoded (=2C is a comma, =3D an equals sign) and prepared.
private func saslName(_ text: Bytes) -> [UInt8]? {
    var name: [UInt8] = []
    name.reserveCapacity(text.count)
    var at = 0
    while let byte = text.at(at) {
        if byte == UInt8(ascii: "=") {
            let escape = text.slice(at, at + 3)
            guard escape == "=2C" || escape == "=3D" else { return nil }
            name.append(escape == "=2C" ? UInt8(ascii: ",") : UInt8(ascii: "="))
            at += 3
        } else {
            name.append(byte)
            at += 1
        }
    }
    guard let prepared = name.withBytes({ Prepare.string($0) }), prepared.count <= Users.longestName else { return nil }
    return prepared
}
