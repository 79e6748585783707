// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Topics

/// A Reason String: what happened, in words for people, behind the code for programs. MQTT 5 §4.13, `mqtt.reason_strings`
///
/// Mostly a literal, so that an error costs two words more and a success nothing. It never tells what only the other
/// side should know: which of user name and password was wrong, what another client does.
struct ReasonText: ExpressibleByStringLiteral {
    /// UTF-8 without U+0000; borrowed. Empty: nothing to say.
    let bytes: Bytes

    init(stringLiteral text: StaticString) {
        bytes = Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    init(_ bytes: Bytes) { self.bytes = bytes }

    /// The words of a plugin, or where it has none what the code says.
    static func with<R>(_ words: [UInt8], else reason: ReasonCode, _ body: (ReasonText) -> R) -> R {
        words.isEmpty ? body(ReasonText(reason)) : words.withUnsafeBytes { body(ReasonText($0)) }
    }

    static var none: ReasonText { ReasonText(noBytes) }

    var isEmpty: Bool { bytes.isEmpty }

    /// The most bytes a plugin may say.
    static let limit = 1024
}

extension Shard {
    /// Whether this client is told in words: it can read them, the zone allows them and the client did not decline
    /// them. [MQTT-3.1.2-29] would let CONNACK and DISCONNECT have them all the same.
    func wantsText(_ c: ConnectionRef) -> Bool {
        c.pointee.isV5 && c.pointee.zone.pointee.reasonStrings && c.pointee.flags.contains(.problemInformation)
    }

    /// The properties of an answer that has no others.
    func explanation(_ c: ConnectionRef, _ text: ReasonText) -> OutgoingProperties {
        wantsText(c) ? OutgoingProperties(reasonString: text.bytes) : .none
    }
}
