// SPDX-License-Identifier: Apache-2.0

/// Frames as a server sends them: whole messages, unmasked. RFC 6455 §5.1, §5.2
public enum FrameEncoder {
    /// Bytes a head may have.
    public static let longestHead = 10

    /// Writes the head of a binary frame [MQTT-6.0.0-1] with a payload of `count` bytes; returns how many bytes it
    /// has, at most `longestHead`.
    public static func writeHead(_ to: UnsafeMutableRawPointer, payload count: Int) -> Int {
        to.storeBytes(of: 0x82, as: UInt8.self)
        if count < 126 {
            to.storeBytes(of: UInt8(count), toByteOffset: 1, as: UInt8.self)
            return 2
        }
        let size = count < 65_536 ? 2 : 8
        to.storeBytes(of: size == 2 ? 126 : 127, toByteOffset: 1, as: UInt8.self)
        for i in 0..<size {
            to.storeBytes(
                of: UInt8(truncatingIfNeeded: count >> (8 * (size - 1 - i))), toByteOffset: 2 + i, as: UInt8.self)
        }
        return 2 + size
    }

    /// - Parameter body: of the ping, at most 125 bytes
    public static func pong(_ body: [UInt8]) -> [UInt8] { [0x8A, UInt8(body.count)] + body }

    public static func close(_ code: CloseCode?) -> [UInt8] {
        guard let code else { return [0x88, 0] }
        return [0x88, 2, UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
    }
}
