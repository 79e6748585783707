// SPDX-License-Identifier: Apache-2.0
import Glibc

/// How clients reach the broker.
public enum Transport: String, CaseIterable, Codable, Sendable {
    case tcp
    /// MQTT in WebSocket frames, on the path /mqtt.
    case ws
    /// MQTT over TLS, of the version and with the suite that both ends like best.
    case tls
    /// WebSocket frames over TLS.
    case wss

    /// A name, or `ssl`, which is Martlet's for `tls`.
    public init?(word: String) {
        self.init(rawValue: word == "ssl" ? "tls" : word)
    }

    var isWebSocket: Bool { self == .ws || self == .wss }
    var isTLS: Bool { self == .tls || self == .wss }
    /// Martlet's word for a listener of this kind.
    var listener: String { self == .tls ? "ssl" : rawValue }
}

/// The client's side of WebSocket, as cheap as the protocol lets it be: one frame for what one write takes, one masking
/// key for the whole run.
enum WebSocket {
    /// RFC 6455 §4.1. The key is the same for all, as the answer's proof is not what is measured.
    static func request(host: String, port: UInt16) -> [UInt8] {
        Array(
            """
            GET /mqtt HTTP/1.1\r
            Host: \(host):\(port)\r
            Upgrade: websocket\r
            Connection: Upgrade\r
            Sec-WebSocket-Key: bWFydGxldF9iZW5jaCBrZQ==\r
            Sec-WebSocket-Version: 13\r
            Sec-WebSocket-Protocol: mqtt\r
            \r\n
            """.utf8)
    }

    /// What a whole answer says; nil: its end has not come.
    static func answer(_ bytes: UnsafeBufferPointer<UInt8>) -> (count: Int, isAccepted: Bool, status: String)? {
        guard bytes.count >= 4 else { return nil }
        for i in 0...(bytes.count - 4)
        where bytes[i] == 0x0D && bytes[i + 1] == 0x0A && bytes[i + 2] == 0x0D && bytes[i + 3] == 0x0A {
            let text = String(decoding: bytes[..<i], as: UTF8.self)
            let status = String(text.prefix { $0 != "\r\n" })
            return (i + 4, status.hasPrefix("HTTP/1.1 101"), status)
        }
        return nil
    }

    // MARK: Frames

    /// Bytes that a frame's head may have.
    static let headRoom = 14
    private static let key = UInt32.random(in: 1 ... .max)

    /// Masks `count` bytes at `payload` and puts a head of a frame in front of them; returns where it begins, at most
    /// `headRoom` bytes before the payload.
    static func seal(
        _ payload: UnsafeMutablePointer<UInt8>, _ count: Int, opcode: UInt8 = 0x2
    ) -> UnsafeMutablePointer<UInt8> {
        mask(payload, count)
        let size = count < 126 ? 0 : count < 65_536 ? 2 : 8
        let head = payload - (6 + size)
        head[0] = 0x80 | opcode
        head[1] = 0x80 | (size == 0 ? UInt8(count) : size == 2 ? 126 : 127)
        for i in 0..<size { head[2 + i] = UInt8(truncatingIfNeeded: count >> (8 * (size - 1 - i))) }
        UnsafeMutableRawPointer(head + 2 + size).storeBytes(of: key, as: UInt32.self)
        return head
    }

    /// RFC 6455 §5.3
    private static func mask(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        let raw = UnsafeMutableRawPointer(bytes)
        let many = SIMD4<UInt64>(repeating: UInt64(key) << 32 | UInt64(key))
        var at = 0
        while count - at >= 32 {
            let word = raw.loadUnaligned(fromByteOffset: at, as: SIMD4<UInt64>.self)
            raw.storeBytes(of: word ^ many, toByteOffset: at, as: SIMD4<UInt64>.self)
            at += 32
        }
        withUnsafeBytes(of: key) { key in
            for i in at..<count { bytes[i] ^= key[i & 3] }
        }
    }
}

/// Reads a server's frames: payload moves down over their heads to one run, so that what follows reads packets as if
/// there were no frames.
struct FrameReader {
    enum Found: Equatable {
        case data
        /// The server's close frame: its code, 0 without one.
        case closed(Int)
        case malformed
    }

    private var head: InlineArray<10, UInt8> = InlineArray(repeating: 0)
    private var headCount = 0
    private var left = 0
    private var control: [UInt8] = []
    /// Bodies of pings that wait to be answered.
    var pings: [[UInt8]] = []

    private var opcode: UInt8 { head[0] & 0x0F }

    /// `count` bytes at `p` come from the socket; `payload` says how many bytes of payload lie there afterwards.
    mutating func unpack(_ p: UnsafeMutablePointer<UInt8>, _ count: Int, payload: inout Int) -> Found {
        var at = 0
        payload = 0
        while at < count {
            if left == 0 {
                switch takeHead(p[at]) {
                case nil: return .malformed
                case false?:
                    at += 1
                    continue
                case true?: at += 1
                }
                if left == 0 {
                    if let end = finishFrame() { return end }
                    continue
                }
            }
            let n = min(left, count - at)
            if opcode >= 0x8 {
                control += UnsafeBufferPointer(start: p + at, count: n)
            } else {
                if payload != at { memmove(p + payload, p + at, n) }
                payload += n
            }
            at += n
            left -= n
            if left == 0, let end = finishFrame() { return end }
        }
        return .data
    }

    /// True: the head is complete; nil: it breaks a rule.
    private mutating func takeHead(_ byte: UInt8) -> Bool? {
        head[headCount] = byte
        headCount += 1
        guard headCount >= 2 else { return false }
        // Final, binary or continued or a control frame, unmasked. [MQTT-6.0.0-1]
        guard head[0] & 0x70 == 0, head[1] & 0x80 == 0, [0, 2, 8, 9, 10].contains(opcode) else { return nil }
        let size = head[1] == 126 ? 2 : head[1] == 127 ? 8 : 0
        guard headCount == 2 + size else { return false }
        left = size == 0 ? Int(head[1]) : (2..<headCount).reduce(0) { $0 << 8 | Int(head[$1]) }
        return left >= 0 ? true : nil
    }

    private mutating func finishFrame() -> Found? {
        headCount = 0
        guard opcode >= 0x8 else { return nil }
        let body = control
        control = []
        if opcode == 0x9 { pings.append(body) }
        return opcode == 0x8 ? .closed(body.count >= 2 ? Int(body[0]) << 8 | Int(body[1]) : 0) : nil
    }
}
