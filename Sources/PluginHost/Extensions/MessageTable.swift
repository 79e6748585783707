// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import MQTTCodec
import Sessions

/// martlet.message/1. A `martlet_msg *` is a pointer to `Message`.
nonisolated(unsafe) let messageTable = permanent(
    martlet_message_v1(
        size: size(of: martlet_message_v1.self),
        read: { message, out in writeSized(fields(of: MessageRef(message)), to: out) },
        make: { host, fields in
            let instance = instance(host)
            guard instance.phase != .gone else { return nil }
            guard let fields = readSized(fields) else {
                instance.setError(statusInvalid, "message.make: the fields have the wrong size")
                return nil
            }
            if let wrong = mistake(in: fields, instance.host.options) {
                instance.setError(statusInvalid, "message.make: \(wrong)")
                return nil
            }
            return OpaquePointer(makeMessage(fields, instance.host.broker))
        },
        retain: { message in OpaquePointer(MessageRef(message).own()) },
        release: { message in if isPresent(message) { MessageRef(message).release() } }))

private func fields(of message: MessageRef) -> martlet_msg_fields {
    let flags = message.pointee.flags
    return martlet_msg_fields(
        size: size(of: martlet_msg_fields.self), qos: message.pointee.qos, retain: flags.contains(.retain),
        dup: flags.contains(.dup), sys: flags.contains(.sys), topic: martlet_bytes(message.pointee.topic),
        payload: martlet_bytes(message.pointee.payload), from_clientid: martlet_bytes(message.pointee.clientID),
        from_username: martlet_bytes(message.pointee.username), id_hi: 0, id_lo: message.pointee.id,
        timestamp_ms: message.pointee.timestamp, properties: martlet_bytes(message.pointee.properties),
        expiry_s: message.pointee.expiry, has_expiry: flags.contains(.expires))
}

/// What is wrong with the fields, nil when a message can be made of them.
private func mistake(in fields: martlet_msg_fields, _ options: PluginHostOptions) -> String? {
    guard let topic = fields.topic.buffer, isValidTopicName(topic) else {
        return "\"\(fields.topic.line(limit: 80))\" is no valid topic name"
    }
    guard fields.qos <= 2 else { return "QoS \(fields.qos) does not exist" }
    guard let payload = fields.payload.buffer, payload.count <= options.maxPayloadBytes else {
        return "a payload of \(fields.payload.len) bytes is over the limit of \(options.maxPayloadBytes)"
    }
    guard let properties = fields.properties.buffer, isPropertyBlock(properties) else {
        return "the properties are not an MQTT 5 property block of a forwarded message"
    }
    guard let client = fields.from_clientid.buffer, let user = fields.from_username.buffer, client.count <= 65535,
        user.count <= 65535
    else { return "client id or user name is longer than 65535 bytes" }
    return nil
}

private func makeMessage(_ fields: martlet_msg_fields, _ broker: any BrokerPort) -> MessageRef {
    let empty = UnsafeRawBufferPointer(start: nil, count: 0)
    var flags: Message.Flags = []
    if fields.retain { flags.insert(.retain) }
    if fields.dup { flags.insert(.dup) }
    if fields.sys { flags.insert(.sys) }
    if fields.has_expiry { flags.insert(.expires) }
    var message = Message(
        topic: fields.topic.buffer ?? empty, payload: fields.payload.buffer ?? empty,
        properties: fields.properties.buffer ?? empty, qos: fields.qos, flags: flags,
        expiry: fields.has_expiry ? fields.expiry_s : 0,
        timestamp: fields.timestamp_ms == 0 ? cr_unix_ms() : fields.timestamp_ms,
        id: fields.id_lo == 0 ? broker.nextMessageID() : fields.id_lo, clientID: fields.from_clientid.buffer ?? empty,
        username: fields.from_username.buffer ?? empty)
    return withUnsafeMutablePointer(to: &message) { $0.copied() }
}

/// Whether these are whole properties that travel with a forwarded PUBLISH, each as a subscriber must find it, or it
/// would end its connection with us: payload format, content type, response topic, correlation data, at most once;
/// user properties. MQTT 5 §3.3.2.3
func isPropertyBlock(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var at = 0
    var seen: Set<UInt8> = []
    /// A two-byte length and as many bytes; nil when they end before.
    func field() -> UnsafeRawBufferPointer? {
        guard at + 2 <= bytes.count else { return nil }
        let start = at + 2
        let end = start + Int(bytes[at]) << 8 + Int(bytes[at + 1])
        guard end <= bytes.count else { return nil }
        at = end
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }
    // [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    func text() -> Bool { field().map { isValidUTF8($0) && !$0.contains(0) } ?? false }
    while at < bytes.count {
        let id = bytes[at]
        guard seen.insert(id).inserted || id == 0x26 else { return false }
        at += 1
        switch id {
        case 0x01:
            guard at < bytes.count, bytes[at] <= 1 else { return false }
            at += 1
        case 0x03: if !text() { return false }
        // [MQTT-3.3.2-14]
        case 0x08: if !(field().map { isValidTopicName($0) } ?? false) { return false }
        case 0x09: if field() == nil { return false }
        case 0x26: if !text() || !text() { return false }
        default: return false
        }
    }
    return true
}
