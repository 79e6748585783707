// SPDX-License-Identifier: Apache-2.0
// What must hold of any bytes at all; the mutation test and the fuzzer share it.

import MQTTCodec

/// Decodes `bytes`, and when they are a packet, encodes what it said and decodes that again.
/// - Returns: the outcome; nil: more bytes are wanted.
/// - Throws: the packet is refused, as most mutations are.
@discardableResult
func checkRoundTrip(
    _ bytes: [UInt8], _ version: ProtocolVersion, _ sender: PacketSender
) throws(DecodeError) -> PacketModel? {
    guard let model = try decodeCopy(bytes, version, sender) else { return nil }
    // CONNECT brings its own version.
    let spoken = model.announcedVersion(bytes) ?? version
    let again = try? decodeCopy(model.encode(spoken), spoken, sender)
    precondition(
        again?.comparable(spoken) == model.comparable(spoken), "\(model) became \(String(describing: again))")
    return model
}

/// The packet in `bytes`, which are moved to an allocation of their own so that reading past them is noticed.
func decodeCopy(
    _ bytes: [UInt8], _ version: ProtocolVersion, _ sender: PacketSender
) throws(DecodeError) -> PacketModel? {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { copy.deallocate() }
    copy.copyBytes(from: bytes)
    return try decodePacket(UnsafeRawBufferPointer(copy), version: version, sender: sender)
}

extension PacketModel {
    fileprivate func announcedVersion(_ bytes: [UInt8]) -> ProtocolVersion? {
        let packet = bytes.span.bytes
        guard case .connect = self, let header = try? readFixedHeader(packet, maxPacketSize: .max) else { return nil }
        let body = packet.extracting(droppingFirst: header.headerLength)
        guard case .supported(let version) = ConnectPacket.announcement(in: body) else { return nil }
        return version
    }

    /// The model without what an encoder may change: the order of a PUBLISH's own properties, and option bits that 3.1
    /// does not use.
    fileprivate func comparable(_ version: ProtocolVersion) -> PacketModel {
        switch self {
        case .publish(var model):
            let own = model.properties.filter { !$0.id.passesThrough }
            let order: [PropertyID] = [.topicAlias, .messageExpiryInterval, .subscriptionIdentifier]
            model.properties =
                order.flatMap { id in own.filter { $0.id == id } } + model.properties.filter { $0.id.passesThrough }
            return .publish(model)
        case .subscribe(let packetID, let entries, let properties) where version == .v31:
            let plain = entries.map { SubscriptionModel($0.filter, SubscribeOptions(qos: $0.options.qos)) }
            return .subscribe(packetID, plain, properties)
        default: return self
        }
    }
}
