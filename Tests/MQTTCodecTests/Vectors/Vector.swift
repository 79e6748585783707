// SPDX-License-Identifier: Apache-2.0
// The shape of the packet tables. They are read by the decode and encode tests, by the truncation and mutation tests,
// and by the fuzzer, which takes them as seeds.

import MQTTCodec

/// Packet bytes with the strings in them readable: `[0x30, 5, 0, 1, "t", "hi"]`.
struct Wire: ExpressibleByArrayLiteral {
    enum Piece: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
        case byte(UInt8)
        case text(String)

        init(integerLiteral value: UInt8) { self = .byte(value) }
        init(stringLiteral value: String) { self = .text(value) }
    }

    var bytes: [UInt8] = []

    init(arrayLiteral pieces: Piece...) {
        for piece in pieces {
            switch piece {
            case .byte(let byte): bytes.append(byte)
            case .text(let text): bytes += text.utf8
            }
        }
    }
}

/// A packet that is right, and what it says.
struct ValidVector: Sendable {
    let name: String
    let version: ProtocolVersion
    let sender: PacketSender
    let bytes: [UInt8]
    let model: PacketModel
    /// The codec writes these very bytes; false for a longer form that is legal to read.
    let isCanonical: Bool

    init(
        _ name: String, _ version: ProtocolVersion, from sender: PacketSender = .client, _ wire: Wire,
        _ model: PacketModel, isCanonical: Bool = true
    ) {
        self.name = name
        self.version = version
        self.sender = sender
        bytes = wire.bytes
        self.model = model
        self.isCanonical = isCanonical
    }
}

/// A packet that must be refused. Its name ends with the clause it breaks, in brackets.
struct InvalidVector: Sendable {
    let name: String
    let version: ProtocolVersion
    let sender: PacketSender
    let bytes: [UInt8]
    let reason: ReasonCode

    init(
        _ name: String, _ version: ProtocolVersion, from sender: PacketSender = .client, _ reason: ReasonCode,
        _ wire: Wire
    ) {
        self.name = name
        self.version = version
        self.sender = sender
        self.reason = reason
        bytes = wire.bytes
    }

    var clause: String {
        guard let open = name.lastIndex(of: "["), name.hasSuffix("]") else { return "" }
        return String(name[name.index(after: open)...].dropLast())
    }
}

let validVectors =
    validConnects + validConnacks + validPublishes + validAcks + validSubscribes + validSubacks + validUnsubscribes
    + validUnsubacks + validPings + validDisconnects + validAuths

let invalidVectors =
    invalidHeaders + invalidConnects + invalidConnacks + invalidPublishes + invalidAcks + invalidSubscribes
    + invalidSubacks + invalidUnsubscribes + invalidUnsubacks + invalidPings + invalidDisconnects + invalidAuths
