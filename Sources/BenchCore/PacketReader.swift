// SPDX-License-Identifier: Apache-2.0

/// The packet types the generator meets, as the upper half of the first byte (MQTT 5 §2.1.2).
enum PacketType {
    static let connack: UInt8 = 2
    static let publish: UInt8 = 3
    static let puback: UInt8 = 4
    static let pubrec: UInt8 = 5
    static let pubrel: UInt8 = 6
    static let pubcomp: UInt8 = 7
    static let suback: UInt8 = 9
    static let unsuback: UInt8 = 11
    static let pingresp: UInt8 = 13
    static let disconnect: UInt8 = 14
}

@inline(__always)
func bigEndian16(_ p: UnsafePointer<UInt8>) -> Int { Int(p[0]) << 8 | Int(p[1]) }

/// One packet inside a receive buffer; valid as long as the buffer is.
struct PacketView {
    var first: UInt8
    var body: UnsafePointer<UInt8>
    var length: Int

    var type: UInt8 { first >> 4 }

    enum Found: Equatable {
        /// Bytes the packet takes, its fixed header included.
        case packet(Int)
        case incomplete
        case malformed
    }

    /// Reads the packet at `p`, of which `available` bytes are here.
    @inline(__always)
    static func read(_ p: UnsafePointer<UInt8>, _ available: Int, into view: inout PacketView) -> Found {
        guard available >= 2 else { return .incomplete }
        var length = Int(p[1] & 0x7F)
        var header = 2
        if p[1] & 0x80 != 0 {
            var shift = 7
            while true {
                if header == 5 { return .malformed }  // [MQTT-1.5.5-1]
                if header == available { return .incomplete }
                let byte = p[header]
                length |= Int(byte & 0x7F) << shift
                header += 1
                shift += 7
                if byte & 0x80 == 0 { break }
            }
        }
        guard header + length <= available else { return .incomplete }
        view = PacketView(first: p[0], body: p + header, length: length)
        return .packet(header + length)
    }

    /// The packet identifier of PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK; 0 (never valid) when it is missing.
    @inline(__always)
    var packetID: Int { length >= 2 ? bigEndian16(body) : 0 }

    /// The reason code of an acknowledgement; MQTT 5 leaves it out for success (MQTT 5 §3.4.2.1).
    @inline(__always)
    var ackReason: UInt8 { length > 2 ? body[2] : 0 }
}

/// The parts of a PUBLISH packet (MQTT 5 §3.3).
struct PublishView {
    var topic: UnsafePointer<UInt8>
    var topicLength: Int
    /// 0 for QoS 0.
    var packetID: Int
    var payload: UnsafePointer<UInt8>
    var payloadLength: Int

    @inline(__always)
    init?(_ packet: PacketView, version: UInt8) {
        guard packet.length >= 2 else { return nil }
        let length = bigEndian16(packet.body)
        var at = 2 + length
        topic = packet.body + 2
        topicLength = length
        packetID = 0
        if packet.first & 0x06 != 0 {
            guard at + 2 <= packet.length else { return nil }
            packetID = bigEndian16(packet.body + at)
            at += 2
            guard packetID != 0 else { return nil }  // [MQTT-2.2.1-3]
        }
        if version == 5 {
            guard let size = propertiesSize(packet.body + at, packet.length - at) else { return nil }
            at += size
        }
        guard at <= packet.length else { return nil }
        payload = packet.body + at
        payloadLength = packet.length - at
    }
}

/// Bytes that a property list takes with its length in front (MQTT 5 §2.2.2); nil when the length is broken.
@inline(__always)
func propertiesSize(_ p: UnsafePointer<UInt8>, _ available: Int) -> Int? {
    var length = 0
    for i in 0..<4 {
        guard i < available else { return nil }
        length |= Int(p[i] & 0x7F) << (7 * i)
        if p[i] & 0x80 == 0 { return i + 1 + length }
    }
    return nil
}

/// What a CONNACK says that changes how the generator must behave.
struct ConnackView: Equatable {
    var reason: UInt8
    var sessionPresent: Bool
    /// How many QoS 1 and 2 messages the broker takes at once (MQTT 5 §3.2.2.3.3).
    var receiveMaximum = 65_535
    var maximumQoS: UInt8 = 2

    init?(_ packet: PacketView, version: UInt8) {
        guard packet.length >= 2 else { return nil }
        sessionPresent = packet.body[0] & 1 != 0
        reason = packet.body[1]
        guard version == 5 && packet.length > 2 else { return }
        guard let size = propertiesSize(packet.body + 2, packet.length - 2), 2 + size <= packet.length else {
            return nil
        }
        var at = 2
        while packet.body[at] & 0x80 != 0 { at += 1 }
        at += 1
        while at < 2 + size {
            guard let width = Self.width(packet.body + at, 2 + size - at) else { return nil }
            if packet.body[at] == 0x21 { receiveMaximum = bigEndian16(packet.body + at + 1) }
            if packet.body[at] == 0x24 { maximumQoS = packet.body[at + 1] }
            at += width
        }
    }

    /// Bytes of one property with its identifier (MQTT 5 §2.2.2.2), of those that a CONNACK may carry.
    private static func width(_ p: UnsafePointer<UInt8>, _ available: Int) -> Int? {
        let width: Int
        switch p[0] {
        case 0x24, 0x25, 0x28, 0x29, 0x2A: width = 2
        case 0x13, 0x21, 0x22: width = 3
        case 0x11, 0x27: width = 5
        case 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F:
            guard available >= 3 else { return nil }
            width = 3 + bigEndian16(p + 1)
        case 0x26:
            guard available >= 3 else { return nil }
            let value = 3 + bigEndian16(p + 1)
            guard available >= value + 2 else { return nil }
            width = value + 2 + bigEndian16(p + value)
        default: return nil
        }
        return width <= available ? width : nil
    }
}
