// SPDX-License-Identifier: Apache-2.0

/// SUBSCRIBE and UNSUBSCRIBE as a client sends them (MQTT 5 §3.8, §3.10). The pointers must stay valid until
/// ``encode(into:)`` returns.
public struct SubscribeEncoder {
    public struct Entry {
        public var filter: UnsafeRawBufferPointer
        /// Not sent with UNSUBSCRIBE; before MQTT 5 only the QoS is.
        public var options: SubscribeOptions

        public init(_ filter: UnsafeRawBufferPointer, _ options: SubscribeOptions = SubscribeOptions(qos: 0)) {
            self.filter = filter
            self.options = options
        }
    }

    public var type: PacketType
    public var version: ProtocolVersion
    public var packetID: UInt16
    /// At least one [MQTT-3.8.3-2] [MQTT-3.10.3-2].
    public var entries: UnsafeBufferPointer<Entry>
    /// A raw block without its length; ignored before MQTT 5.
    public var properties: UnsafeRawBufferPointer

    /// - Parameter type: `.subscribe` or `.unsubscribe`.
    public init(
        _ type: PacketType, version: ProtocolVersion, packetID: UInt16, entries: UnsafeBufferPointer<Entry>,
        properties: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        precondition(type == .subscribe || type == .unsubscribe)
        self.type = type
        self.version = version
        self.packetID = packetID
        self.entries = entries
        self.properties = properties
    }

    private var remainingLength: Int {
        var length = 2
        if version == .v5 { length += varIntSize(properties.count) + properties.count }
        for entry in entries { length += 2 + entry.filter.count + (type == .subscribe ? 1 : 0) }
        return length
    }

    /// In bytes.
    public var size: Int { 1 + varIntSize(remainingLength) + remainingLength }

    /// - Parameter destination: room for ``size`` bytes.
    /// - Returns: the bytes written.
    public func encode(into destination: UnsafeMutableRawPointer) -> Int {
        var sink = ByteSink(destination)
        // [MQTT-3.8.1-1] [MQTT-3.10.1-1]
        sink.fixedHeader(type, flags: 0x02, remainingLength: remainingLength)
        sink.uint16(packetID)
        if version == .v5 { sink.block(properties) }
        for entry in entries {
            sink.prefixed(entry.filter)
            if type == .subscribe { sink.byte(version == .v5 ? entry.options.rawValue : entry.options.qos) }
        }
        return sink.count
    }
}
