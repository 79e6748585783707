// SPDX-License-Identifier: Apache-2.0

/// What a peer did wrong in a frame.
public enum FrameError: Error, Equatable, Sendable {
    /// RFC 6455 §5.1
    case unmasked
    /// Reserved bits belong to extensions, and none was agreed to. RFC 6455 §5.2
    case reservedBits
    case reservedOpcode
    /// [MQTT-6.0.0-1]
    case textFrame
    /// A length in more bytes than it needs, or with its highest bit. RFC 6455 §5.2
    case badLength
    /// A control frame in fragments or of more than 125 bytes. RFC 6455 §5.5
    case badControlFrame
    /// A continuation of nothing, or a new message inside a fragmented one. RFC 6455 §5.4
    case badFragment
    /// A close frame whose body is one byte, or whose code may not be sent. RFC 6455 §7.4
    case badClose
    /// A close frame whose reason is no UTF-8. RFC 6455 §8.1
    case closeNotUTF8

    public var code: CloseCode {
        switch self {
        case .textFrame: .unsupportedData
        case .closeNotUTF8: .invalidPayload
        default: .protocolError
        }
    }

    /// For the counters.
    public var reason: StaticString { self == .textFrame ? "ws_text_frame" : "ws_protocol_error" }
}
