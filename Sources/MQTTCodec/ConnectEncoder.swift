// SPDX-License-Identifier: Apache-2.0

/// CONNECT as a client sends it (MQTT 5 §3.1). The pointers must stay valid until ``encode(into:)`` returns.
public struct ConnectEncoder {
    public var version: ProtocolVersion
    /// Sets the bridge bit of the protocol level; 3.x only.
    public var isBridge = false
    public var cleanStart = true
    /// In seconds.
    public var keepAlive: UInt16 = 0
    /// At most 65,535 bytes, like every string here.
    public var clientID: UnsafeRawBufferPointer
    public var will: Will?
    /// Nil: none; an empty user name is sent.
    public var username: UnsafeRawBufferPointer?
    /// Before MQTT 5 only with a user name [MQTT311-3.1.2-22].
    public var password: UnsafeRawBufferPointer?
    /// A raw block without its length; ignored before MQTT 5.
    public var properties = noBytes

    public struct Will {
        public var topic: UnsafeRawBufferPointer
        public var payload: UnsafeRawBufferPointer
        /// 0...2.
        public var qos: UInt8
        public var retain: Bool
        /// A raw block without its length; ignored before MQTT 5.
        public var properties: UnsafeRawBufferPointer

        public init(
            topic: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer, qos: UInt8 = 0, retain: Bool = false,
            properties: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
        ) {
            self.topic = topic
            self.payload = payload
            self.qos = qos
            self.retain = retain
            self.properties = properties
        }
    }

    public init(version: ProtocolVersion, clientID: UnsafeRawBufferPointer) {
        self.version = version
        self.clientID = clientID
    }

    private var protocolName: UnsafeRawBufferPointer {
        let name: StaticString = version == .v31 ? "MQIsdp" : "MQTT"
        return UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    }

    private var flags: UInt8 {
        var flags: UInt8 = cleanStart ? 0x02 : 0
        if let will { flags |= 0x04 | will.qos << 3 | (will.retain ? 0x20 : 0) }
        if password != nil { flags |= 0x40 }
        if username != nil { flags |= 0x80 }
        return flags
    }

    private var remainingLength: Int {
        func blockSize(_ block: UnsafeRawBufferPointer) -> Int {
            version == .v5 ? varIntSize(block.count) + block.count : 0
        }
        var length = 2 + protocolName.count + 4 + blockSize(properties) + 2 + clientID.count
        if let will { length += blockSize(will.properties) + 2 + will.topic.count + 2 + will.payload.count }
        if let username { length += 2 + username.count }
        if let password { length += 2 + password.count }
        return length
    }

    /// In bytes.
    public var size: Int { 1 + varIntSize(remainingLength) + remainingLength }

    /// - Parameter destination: room for ``size`` bytes.
    /// - Returns: the bytes written.
    public func encode(into destination: UnsafeMutableRawPointer) -> Int {
        var sink = ByteSink(destination)
        sink.fixedHeader(.connect, remainingLength: remainingLength)
        sink.prefixed(protocolName)
        sink.byte(version.rawValue | (isBridge && version != .v5 ? 0x80 : 0))
        sink.byte(flags)
        sink.uint16(keepAlive)
        if version == .v5 { sink.block(properties) }
        sink.prefixed(clientID)
        if let will {
            if version == .v5 { sink.block(will.properties) }
            sink.prefixed(will.topic)
            sink.prefixed(will.payload)
        }
        if let username { sink.prefixed(username) }
        if let password { sink.prefixed(password) }
        return sink.count
    }
}
