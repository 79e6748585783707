// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

/// What the codec makes of `bytes`: one whole packet. Nil: it wants more bytes.
func decodePacket(
    _ bytes: UnsafeRawBufferPointer, version: ProtocolVersion, sender: PacketSender
) throws(DecodeError) -> PacketModel? {
    let isConnect = bytes.first.map { $0 >> 4 == PacketType.connect.rawValue } ?? false
    let header = try readFixedHeader(bytes, maxPacketSize: 1 << 28, version: isConnect ? nil : version)
    guard let header, bytes.count >= header.packetLength else { return nil }
    let body = UnsafeRawBufferPointer(rebasing: bytes[header.headerLength..<header.packetLength])
    return try BodyModel(body: body, header: header, version: version, sender: sender).decode()
}

/// One packet body on its way into a ``PacketModel``.
private struct BodyModel {
    let body: UnsafeRawBufferPointer
    let header: FixedHeader
    let version: ProtocolVersion
    let sender: PacketSender

    func decode() throws(DecodeError) -> PacketModel {
        let flags = header.flags
        switch header.type {
        case .connect: return .connect(try connect())
        case .connack:
            let packet = try ConnackPacket.decode(body, flags: flags, version: version)
            return .connack(
                sessionPresent: packet.sessionPresent, packet.reason, try properties(packet.properties))
        case .publish: return .publish(try publish())
        case .puback, .pubrec, .pubrel, .pubcomp:
            let packet = try AckPacket.decode(body, type: header.type, flags: flags, version: version)
            return .ack(header.type, packet.packetID, packet.reason, try properties(packet.properties))
        case .subscribe: return try subscribe()
        case .suback:
            let packet = try SubackPacket.decode(body, flags: flags, version: version)
            return try codes(packet.packetID, packet.codes, packet.properties)
        case .unsubscribe: return try unsubscribe()
        case .unsuback:
            let packet = try UnsubackPacket.decode(body, flags: flags, version: version)
            return try codes(packet.packetID, packet.codes, packet.properties)
        case .pingreq, .pingresp:
            _ = try PingPacket.decode(body, flags: flags, version: version)
            return .ping(header.type)
        case .disconnect:
            let packet = try DisconnectPacket.decode(body.bytes, from: sender, version: version)
            return .disconnect(packet.reason, try properties(packet.properties))
        case .auth:
            let packet = try AuthPacket.decode(body.bytes, from: sender, version: version)
            return .auth(packet.reason, try properties(packet.properties))
        }
    }

    /// The bytes of a range, which has to lie in the body.
    private func text(_ range: ByteRange) -> Text {
        precondition(Int(range.end) <= body.count, "a range leaves the body")
        guard let base = body.baseAddress else { return "" }
        return Text(Array(range.bytes(in: base)))
    }

    private func properties(_ block: ByteRange) throws(DecodeError) -> [Prop] {
        _ = text(block)
        var reader = PropertyReader(block)
        var list: [Prop] = []
        while let property = try reader.next(in: body) {
            switch property.id.kind {
            case .byte, .uint16, .uint32, .varInt: list.append(.number(property.id, property.number))
            case .string, .binary: list.append(.text(property.id, text(property.bytes)))
            case .stringPair: list.append(.user(text(property.bytes), text(property.pairValue)))
            }
        }
        return list
    }

    private func connect() throws(DecodeError) -> ConnectModel {
        let packet = try ConnectPacket.decode(body, flags: header.flags, version: version)
        var model = ConnectModel(
            isBridge: packet.isBridge, cleanStart: packet.cleanStart, keepAlive: packet.keepAlive,
            clientID: text(packet.clientID), properties: try properties(packet.properties))
        if packet.hasUsername { model.username = text(packet.username) }
        if packet.hasPassword { model.password = text(packet.password) }
        if let will = packet.will {
            model.will = WillModel(
                topic: text(will.topic), payload: text(will.payload), qos: will.qos, retain: will.retain,
                properties: try properties(will.properties))
        }
        return model
    }

    private func publish() throws(DecodeError) -> PublishModel {
        let packet = try PublishPacket.decode(body, flags: header.flags, version: version)
        return PublishModel(
            topic: text(packet.topic), payload: text(packet.payload), qos: packet.qos, retain: packet.retain,
            dup: packet.dup, packetID: packet.packetID, properties: try properties(packet.properties))
    }

    private func subscribe() throws(DecodeError) -> PacketModel {
        let packet = try SubscribePacket.decode(body, flags: header.flags, version: version)
        var entries: [SubscriptionModel] = []
        var filters = packet.filters
        while let entry = filters.next(in: body) {
            entries.append(SubscriptionModel(text(entry.filter), entry.options))
        }
        precondition(entries.count == packet.filterCount, "the iterator loses filters")
        return .subscribe(packet.packetID, entries, try properties(packet.properties))
    }

    private func unsubscribe() throws(DecodeError) -> PacketModel {
        let packet = try UnsubscribePacket.decode(body, flags: header.flags, version: version)
        var entries: [Text] = []
        var filters = packet.filters
        while let filter = filters.next(in: body) { entries.append(text(filter)) }
        precondition(entries.count == packet.filterCount, "the iterator loses filters")
        return .unsubscribe(packet.packetID, entries, try properties(packet.properties))
    }

    private func codes(
        _ packetID: UInt16, _ codes: ByteRange, _ block: ByteRange
    ) throws(DecodeError) -> PacketModel {
        .codes(
            header.type, packetID, text(codes).bytes.map(ReasonCode.init(rawValue:)), try properties(block))
    }
}
