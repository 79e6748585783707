// SPDX-License-Identifier: Apache-2.0
/// The fields of a message somebody else holds: valid until the callback returns, or as long as the `Message` they come
/// from. One host call fills it; the accessors are plain loads.
public struct MessageView: ~Copyable {
    /// Everything, as the header shows it.
    public let fields: martlet_msg_fields
    let raw: OpaquePointer
    let tables: Tables

    init(_ raw: OpaquePointer, _ tables: Tables) {
        var fields = martlet_msg_fields()
        fields.size = UInt32(MemoryLayout<martlet_msg_fields>.size)
        tables.pointee.message.pointee.read(raw, &fields)
        self.fields = fields
        self.raw = raw
        self.tables = tables
    }
    @inline(__always) public var topic: Bytes { Bytes(fields.topic) }
    @inline(__always) public var payload: Bytes { Bytes(fields.payload) }
    @inline(__always) public var qos: UInt8 { fields.qos }
    @inline(__always) public var retain: Bool { fields.retain }
    @inline(__always) public var dup: Bool { fields.dup }
    /// Published by the broker under $SYS.
    @inline(__always) public var isSystem: Bool { fields.sys }
    /// Empty when the broker or a plugin published it.
    @inline(__always) public var fromClientID: Bytes { Bytes(fields.from_clientid) }
    @inline(__always) public var fromUsername: Bytes { Bytes(fields.from_username) }
    /// Unix time at arrival, milliseconds.
    @inline(__always) public var timestamp: Int64 { fields.timestamp_ms }
    /// Message expiry interval left, in seconds.
    @inline(__always) public var expiry: UInt32? { fields.has_expiry ? fields.expiry_s : nil }
    /// MQTT 5 properties to pass on, encoded as in the packet without the leading length.
    @inline(__always) public var properties: Bytes { Bytes(fields.properties) }

    /// [any] Keeps the message itself: what you get is yours, on any thread, for as long as you like.
    public func keep() -> Message {
        Message(adopting: tables.pointee.message.pointee.retain(raw), tables)
    }
}

/// One reference of a message; given back when the value ends. Immutable, so it may be shared between threads.
@frozen public struct Message: ~Copyable {
    let raw: OpaquePointer
    let tables: Tables

    init(adopting raw: OpaquePointer, _ tables: Tables) {
        self.raw = raw
        self.tables = tables
    }
    deinit { tables.pointee.message.pointee.release(raw) }

    /// Valid as long as this value.
    public var view: MessageView { MessageView(raw, tables) }
    /// A second reference.
    public func keep() -> Message { Message(adopting: tables.pointee.message.pointee.retain(raw), tables) }
    /// Gives the reference to whoever stores the pointer; `Messages.adopt` takes it back. A collection cannot hold a
    /// `Message`, but it can hold this.
    public consuming func leak() -> StoredMessage {
        let stored = StoredMessage(raw: raw)
        discard self
        return stored
    }
}

/// A message reference under your own care: exactly one `Messages.adopt` or `Messages.release` must follow.
public struct StoredMessage {
    let raw: OpaquePointer
}

/// martlet.message/1: making messages.
public struct Messages {
    let tables: Tables

    /// [any] A new message with a copy of everything; nil when topic or sizes are invalid.
    public func make(
        topic: Bytes, payload: Bytes, qos: UInt8 = 0, retain: Bool = false, properties: Bytes = .empty,
        expiry: UInt32? = nil
    ) -> Message? {
        var fields = martlet_msg_fields()
        fields.qos = qos
        fields.retain = retain
        fields.topic = topic.raw
        fields.payload = payload.raw
        fields.properties = properties.raw
        fields.has_expiry = expiry != nil
        fields.expiry_s = expiry ?? 0
        return make(fields)
    }
    public func make(topic: String, payload: String, qos: UInt8 = 0, retain: Bool = false) -> Message? {
        topic.withBytes { topic in
            payload.withBytes { make(topic: topic, payload: $0, qos: qos, retain: retain) }
        }
    }
    /// [any] The same message with another topic or payload: publisher, time, properties and flags stay.
    public func copy(_ view: borrowing MessageView, topic: Bytes? = nil, payload: Bytes? = nil) -> Message? {
        var fields = view.fields
        if let topic { fields.topic = topic.raw }
        if let payload { fields.payload = payload.raw }
        return make(fields)
    }
    /// [any] From every field of the header.
    public func make(_ fields: martlet_msg_fields) -> Message? {
        var fields = fields
        fields.size = UInt32(MemoryLayout<martlet_msg_fields>.size)
        guard let raw = tables.pointee.message.pointee.make(tables.host, &fields) else { return nil }
        return Message(adopting: raw, tables)
    }
    public func adopt(_ stored: StoredMessage) -> Message { Message(adopting: stored.raw, tables) }
    /// Another reference of a stored message, for handing out.
    public func keep(_ stored: StoredMessage) -> Message {
        Message(adopting: tables.pointee.message.pointee.retain(stored.raw), tables)
    }
    /// Fields of a stored message, valid as long as it is stored.
    public func view(_ stored: StoredMessage) -> MessageView { MessageView(stored.raw, tables) }
    public func release(_ stored: StoredMessage) { tables.pointee.message.pointee.release(stored.raw) }
}
