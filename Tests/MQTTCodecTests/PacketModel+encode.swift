// SPDX-License-Identifier: Apache-2.0

import MQTTCodec

/// Lends out bytes for as long as one packet is encoded.
private final class Arena {
    private var blocks: [UnsafeMutableRawBufferPointer] = []

    func bytes(_ text: Text) -> UnsafeRawBufferPointer {
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: text.bytes.count, alignment: 1)
        block.copyBytes(from: text.bytes)
        blocks.append(block)
        return UnsafeRawBufferPointer(block)
    }

    func block(_ properties: [Prop]) -> UnsafeRawBufferPointer {
        let size = properties.reduce(0) { $0 + $1.maximumSize }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
        blocks.append(room)
        var writer = PropertyWriter(room)
        for property in properties {
            let fits =
                switch property {
                case .number(let id, let value): writer.append(id, value)
                case .text(let id, let value): writer.append(id, bytes(value))
                case .user(let name, let value): writer.appendUserProperty(bytes(name), bytes(value))
                }
            precondition(fits, "the property block does not fit")
        }
        return writer.block
    }

    deinit {
        for block in blocks { block.deallocate() }
    }
}

extension Prop {
    /// No fewer bytes than the property takes.
    fileprivate var maximumSize: Int {
        switch self {
        case .number: 5
        case .text(_, let text): 3 + text.bytes.count
        case .user(let name, let value): 5 + name.bytes.count + value.bytes.count
        }
    }
}

/// Runs an encoder into exactly the room it asked for.
func write(_ size: Int, _ encode: (UnsafeMutableRawPointer) -> Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        count = encode(UnsafeMutableRawPointer(buffer.baseAddress!))
        precondition(count == size, "the encoder wrote \(count) bytes and announced \(size)")
    }
}

extension PacketModel {
    /// The packet as the codec writes it.
    func encode(_ version: ProtocolVersion) -> [UInt8] {
        let arena = Arena()
        return withExtendedLifetime(arena) { encode(version, arena) }
    }

    private func encode(_ version: ProtocolVersion, _ arena: Arena) -> [UInt8] {
        func required(_ properties: [Prop]) -> OutgoingProperties {
            OutgoingProperties(required: arena.block(properties))
        }
        switch self {
        case .connect(let model): return encodeConnect(model, version, arena)
        case .connack(let present, let reason, let properties):
            let encoder = ConnackEncoder(
                version: version, sessionPresent: present, reason: reason, properties: required(properties))
            return write(encoder.size, encoder.encode)
        case .publish(let model): return encodePublish(model, version, arena)
        case .ack(let type, let packetID, let reason, let properties):
            let encoder = AckEncoder(
                type, packetID: packetID, reason: reason, version: version, properties: required(properties))
            return write(encoder.size, encoder.encode)
        case .subscribe(let packetID, let entries, let properties):
            let list = entries.map { SubscribeEncoder.Entry(arena.bytes($0.filter), $0.options) }
            return encodeFilters(.subscribe, packetID, list, arena.block(properties), version)
        case .unsubscribe(let packetID, let filters, let properties):
            let list = filters.map { SubscribeEncoder.Entry(arena.bytes($0)) }
            return encodeFilters(.unsubscribe, packetID, list, arena.block(properties), version)
        case .codes(let type, let packetID, let codes, let properties):
            return codes.withUnsafeBufferPointer { codes in
                let encoder = SubackEncoder(
                    type, version: version, packetID: packetID, codes: codes, properties: required(properties))
                return write(encoder.size, encoder.encode)
            }
        case .ping(let type): return write(2) { encodePing(type, into: $0) }
        case .disconnect(let reason, let properties):
            let encoder = DisconnectEncoder(version: version, reason: reason, properties: required(properties))
            return write(encoder.size, encoder.encode)
        case .auth(let reason, let properties):
            let encoder = DisconnectEncoder(.auth, reason: reason, properties: required(properties))
            return write(encoder.size, encoder.encode)
        }
    }

    private func encodeConnect(_ model: ConnectModel, _ version: ProtocolVersion, _ arena: Arena) -> [UInt8] {
        var encoder = ConnectEncoder(version: version, clientID: arena.bytes(model.clientID))
        encoder.isBridge = model.isBridge
        encoder.cleanStart = model.cleanStart
        encoder.keepAlive = model.keepAlive
        encoder.username = model.username.map(arena.bytes)
        encoder.password = model.password.map(arena.bytes)
        encoder.properties = arena.block(model.properties)
        encoder.will = model.will.map {
            ConnectEncoder.Will(
                topic: arena.bytes($0.topic), payload: arena.bytes($0.payload), qos: $0.qos, retain: $0.retain,
                properties: arena.block($0.properties))
        }
        return write(encoder.size, encoder.encode)
    }

    private func encodePublish(_ model: PublishModel, _ version: ProtocolVersion, _ arena: Arena) -> [UInt8] {
        var header = PublishHeader(
            version: version, topic: arena.bytes(model.topic), qos: model.qos, retain: model.retain, dup: model.dup,
            packetID: model.packetID, payloadCount: model.payload.bytes.count)
        var subscriptionIDs: [UInt32] = []
        for case .number(let id, let value) in model.properties {
            switch id {
            case .topicAlias: header.topicAlias = UInt16(value)
            case .messageExpiryInterval: header.messageExpiry = value
            case .subscriptionIdentifier: subscriptionIDs.append(value)
            default: break
            }
        }
        let all = arena.block(model.properties)
        let rest = UnsafeMutableRawBufferPointer.allocate(byteCount: all.count + 1, alignment: 1)
        defer { rest.deallocate() }
        let restCount = copyPassThroughProperties(from: all, into: rest.baseAddress!)
        precondition(restCount == passThroughSize(of: all))
        header.passThrough = UnsafeRawBufferPointer(rebasing: rest[0..<restCount])
        return subscriptionIDs.withUnsafeBufferPointer { ids in
            header.subscriptionIDs = ids
            let payload = arena.bytes(model.payload)
            return write(header.packetSize) { header.encode(into: $0, payload: payload) }
        }
    }

    private func encodeFilters(
        _ type: PacketType, _ packetID: UInt16, _ entries: [SubscribeEncoder.Entry], _ block: UnsafeRawBufferPointer,
        _ version: ProtocolVersion
    ) -> [UInt8] {
        entries.withUnsafeBufferPointer { entries in
            let encoder = SubscribeEncoder(
                type, version: version, packetID: packetID, entries: entries, properties: block)
            return write(encoder.size, encoder.encode)
        }
    }
}
