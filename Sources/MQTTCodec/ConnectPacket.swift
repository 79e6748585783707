// SPDX-License-Identifier: Apache-2.0

/// CONNECT (MQTT 5 §3.1, MQTT 3.1 §3.1 for `MQIsdp`).
public struct ConnectPacket: DecodablePacket, Equatable, Sendable {
    public var version: ProtocolVersion
    /// The bridge bit, 0x80 of the protocol level: an extension of 3.x brokers that connect to one another.
    public var isBridge = false
    /// Clean Session in 3.x.
    public var cleanStart = false
    /// In seconds; 0: off.
    public var keepAlive: UInt16 = 0
    public var clientID = ByteRange()
    public var will: Will?
    public var hasUsername = false
    public var username = ByteRange()
    public var hasPassword = false
    public var password = ByteRange()
    /// The raw block without its length, with the user properties; empty before MQTT 5.
    public var properties = ByteRange()

    /// In seconds; 0xFFFFFFFF: never.
    public var sessionExpiry: UInt32 = 0
    public var receiveMaximum: UInt16 = 65_535
    /// In bytes; `UInt32.max` when the client gave none.
    public var maximumPacketSize: UInt32 = .max
    public var topicAliasMaximum: UInt16 = 0
    public var requestResponseInformation = false
    public var requestProblemInformation = true
    public var authMethod: ByteRange?
    public var authData: ByteRange?

    /// The message to publish when the connection ends without a proper DISCONNECT (MQTT 5 §3.1.2.5).
    public struct Will: Equatable, Sendable {
        public var topic = ByteRange()
        public var payload = ByteRange()
        /// 0...2.
        public var qos: UInt8
        public var retain: Bool
        /// The raw block without its length; ``copyPassThroughProperties(from:into:)`` drops delay and expiry.
        public var properties = ByteRange()
        /// In seconds.
        public var delayInterval: UInt32 = 0
        /// In seconds.
        public var messageExpiry: UInt32?
        /// The payload format indicator says UTF-8.
        public var payloadIsText = false
    }
}
