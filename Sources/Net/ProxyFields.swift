// SPDX-License-Identifier: Apache-2.0

/// The fields behind the addresses of a PROXY version 2 header, byte by byte: kind, length, value. Of interest is what
/// the proxy says about the client's certificate (PP2_TYPE_SSL): its fields lie inside that field, behind five bytes.
struct ProxyFields {
    private var head: InlineArray<3, UInt8> = InlineArray(repeating: 0)
    private var headCount = 0
    /// Bytes of the value still to come, and those that need no look.
    private var value = 0
    private var skipped = 0
    private var ssl = SSL()
    private var name: [UInt8] = []

    private struct SSL {
        var seen = 0
        var hasCertificate = false
        /// The proxy has verified it.
        var isTrusted = true
    }

    private static let sslField: UInt8 = 0x20
    private static let commonNameField: UInt8 = 0x22
    private static let longestName = 1024

    var commonName: String? {
        guard ssl.seen == 5, ssl.hasCertificate, ssl.isTrusted, !name.isEmpty, !name.contains(0) else { return nil }
        return String(validating: name, as: UTF8.self)
    }

    mutating func skip(_ count: Int) { skipped = count }

    mutating func take(_ byte: UInt8) {
        if skipped > 0 {
            skipped -= 1
        } else if value > 0 {
            value -= 1
            takeValue(byte)
        } else {
            head[headCount] = byte
            headCount += 1
            if headCount == 3 { begin() }
        }
    }

    private mutating func begin() {
        headCount = 0
        let length = Int(head[1]) << 8 | Int(head[2])
        switch head[0] {
        // What is inside it follows as fields like any other.
        case Self.sslField where ssl.seen == 0: value = min(length, 5)
        case Self.commonNameField where name.isEmpty && length <= Self.longestName: value = length
        default: skipped = length
        }
    }

    private mutating func takeValue(_ byte: UInt8) {
        guard head[0] == Self.sslField else { return name.append(byte) }
        ssl.seen += 1
        // PP2_CLIENT_CERT_CONN, PP2_CLIENT_CERT_SESS; then four bytes that are zero for a verified certificate.
        if ssl.seen == 1 { ssl.hasCertificate = byte & 0x06 != 0 } else if byte != 0 { ssl.isTrusted = false }
    }
}
