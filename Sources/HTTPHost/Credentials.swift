// SPDX-License-Identifier: Apache-2.0
import CMartlet
import PluginHost

extension HTTPCredentials {
    /// From the value of an Authorization header. Nil when it is of no scheme the route takes, or broken. RFC 7617, 6750
    init?(_ value: String, accepting schemes: UInt32) {
        let parts = value.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        guard parts.count == 2 else { return nil }
        let rest = String(parts[1].drop { $0 == " " })
        switch parts[0].lowercased() {
        case "basic" where schemes & UInt32(MARTLET_HTTP_AUTH_BASIC) != 0:
            guard let bytes = base64(rest.utf8), let text = String(validating: bytes, as: UTF8.self),
                let colon = text.utf8.firstIndex(of: UInt8(ascii: ":"))
            else { return nil }
            self.init(
                .basic(username: String(text[..<colon]), password: String(text[text.utf8.index(after: colon)...])))
        case "bearer" where schemes & UInt32(MARTLET_HTTP_AUTH_BEARER) != 0:
            guard !rest.isEmpty, !rest.utf8.contains(UInt8(ascii: " ")) else { return nil }
            self.init(.bearer(token: rest))
        default: return nil
        }
    }

    /// Who it says it is, when an authenticator names nobody else.
    var claimed: String {
        switch secret {
        case .basic(let username, _): username
        case .bearer: ""
        }
    }
}

/// The challenges of a route, for WWW-Authenticate. RFC 9110 §11.6.1
func challenges(_ schemes: UInt32) -> [String] {
    var challenges: [String] = []
    if schemes & UInt32(MARTLET_HTTP_AUTH_BASIC) != 0 {
        challenges.append("Basic realm=\"martlet\", charset=\"UTF-8\"")
    }
    if schemes & UInt32(MARTLET_HTTP_AUTH_BEARER) != 0 { challenges.append("Bearer realm=\"martlet\"") }
    return challenges
}

/// RFC 4648 §4; nil when it is none. Padding may be missing.
func base64(_ text: some Collection<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    var isPadded = false
    for byte in text {
        if byte == UInt8(ascii: "=") {
            isPadded = true
            continue
        }
        guard !isPadded, let value = sextet(byte) else { return nil }
        bits = bits << 6 | value
        count += 1
        // After 2, 3 and 4 digits of a group there are 4, 2 and 0 bits left over.
        if count % 4 != 1 { bytes.append(UInt8(truncatingIfNeeded: bits >> (UInt32(4 - count % 4) % 4 * 2))) }
    }
    return count % 4 == 1 ? nil : bytes
}

private func sextet(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - UInt8(ascii: "a")) + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0")) + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
