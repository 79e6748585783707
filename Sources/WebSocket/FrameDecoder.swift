// SPDX-License-Identifier: Apache-2.0

/// Reads what a client sends after the opening handshake. Pure: takes bytes as they come, in pieces of any size, and
/// keeps none of a message: its payload is handed on as far as it is there, and neither frames nor messages mean
/// anything to who gets it. [MQTT-6.0.0-2]
///
/// Where it stands in a frame is all its state:
///
///     head      bytes of the head (2 to 14) gather
///     data      `left` bytes of payload to come, of a binary frame
///     control   `left` bytes to come, gathered in `control`
public struct FrameDecoder {
    /// What a call found.
    public struct Step {
        /// Where payload of binary frames lies now in the bytes that were given, in one run.
        public var payload: Range<Int>
        /// Bytes that need no further look.
        public var consumed: Int
        /// What came behind that payload.
        public var event: Event
    }

    public enum Event: Equatable {
        /// Nothing: all bytes are used up.
        case none
        /// To be answered with a pong of the same body.
        case ping([UInt8])
        case pong
        /// The peer's last frame: its code, if it gave one. To be answered with the same.
        case close(CloseCode?)
        case failed(FrameError)
    }

    private enum Stage { case head, data, control }

    private var stage = Stage.head
    private var head: InlineArray<14, UInt8> = InlineArray(repeating: 0)
    private var headCount: UInt8 = 0
    /// Bytes the head has, as far as that is known.
    private var headNeeded: UInt8 = 2
    private var opcode: UInt8 = 0
    /// Between the first and the last fragment of a message.
    private var isInMessage = false
    private var left: UInt64 = 0
    private var mask = Mask()
    private var control: [UInt8] = []

    public init() {}

    private static let longestControl: UInt8 = 125

    /// Decodes in place until a control frame is complete, a rule is broken, or the bytes end. To be called again
    /// with the rest until all are consumed.
    public mutating func decode(_ bytes: UnsafeMutableRawBufferPointer) -> Step {
        guard let base = bytes.baseAddress else { return Step(payload: 0..<0, consumed: 0, event: .none) }
        var at = 0
        // Payload of one frame after the other moves down to one run, so that a packet over many frames, or a frame
        // of its own for each packet, reaches who parses it at once.
        var start = 0
        var end = 0
        while true {
            switch stage {
            case .head:
                if let error = takeHead(UnsafeRawBufferPointer(bytes), &at) {
                    return Step(payload: start..<end, consumed: bytes.count, event: .failed(error))
                }
            case .data:
                let n = Int(min(left, UInt64(bytes.count - at)))
                if start == end {
                    start = at
                    end = at
                }
                mask.uncover(base + at, to: base + end, count: n)
                end += n
                at += n
                left -= UInt64(n)
                if left == 0 { stage = .head }
            case .control:
                gatherControl(base, &at, bytes.count)
                if left == 0 {
                    stage = .head
                    return Step(payload: start..<end, consumed: at, event: controlEvent())
                }
            }
            // A frame without payload is complete with its head, though no bytes follow.
            if at == bytes.count, stage == .head || left > 0 {
                return Step(payload: start..<end, consumed: at, event: .none)
            }
        }
    }

    // MARK: - Heads

    /// Takes bytes of the head; when it is complete, the stage is the frame's. Nil: nothing is wrong so far.
    private mutating func takeHead(_ bytes: UnsafeRawBufferPointer, _ at: inout Int) -> FrameError? {
        while at < bytes.count {
            head[Int(headCount)] = bytes[at]
            headCount += 1
            at += 1
            if headCount == 1, let error = checkFirst() { return error }
            if headCount == 2, let error = checkSecond() { return error }
            guard headCount == headNeeded else { continue }
            return enterFrame()
        }
        return nil
    }

    /// FIN, RSV1 to RSV3, opcode. RFC 6455 §5.2
    private mutating func checkFirst() -> FrameError? {
        if head[0] & 0x70 != 0 { return .reservedBits }
        opcode = head[0] & 0x0F
        let isFinal = head[0] & 0x80 != 0
        switch opcode {
        case 0x0:
            if !isInMessage { return .badFragment }
            isInMessage = !isFinal
        case 0x1: return isInMessage ? .badFragment : .textFrame
        case 0x2:
            if isInMessage { return .badFragment }
            isInMessage = !isFinal
        case 0x8, 0x9, 0xA:
            if !isFinal { return .badControlFrame }
        default: return .reservedOpcode
        }
        return nil
    }

    /// MASK and the short length, which tells how long the head is.
    private mutating func checkSecond() -> FrameError? {
        if head[1] & 0x80 == 0 { return .unmasked }
        let short = head[1] & 0x7F
        if opcode >= 0x8, short > Self.longestControl { return .badControlFrame }
        headNeeded = short < 126 ? 6 : short == 126 ? 8 : 14
        return nil
    }

    private mutating func enterFrame() -> FrameError? {
        let short = head[1] & 0x7F
        var length = UInt64(short)
        if short > 125 {
            length = 0
            for i in 2..<(Int(headNeeded) - 4) { length = length << 8 | UInt64(head[i]) }
            let shortest: UInt64 = short == 126 ? 126 : 65_536
            if length < shortest || length > UInt64(Int64.max) { return .badLength }
        }
        let first = Int(headNeeded) - 4
        mask = Mask(head[first], head[first + 1], head[first + 2], head[first + 3])
        left = length
        headCount = 0
        headNeeded = 2
        stage = opcode >= 0x8 ? .control : left > 0 ? .data : .head
        return nil
    }

    // MARK: - Control frames

    private mutating func gatherControl(_ base: UnsafeMutableRawPointer, _ at: inout Int, _ count: Int) {
        let n = Int(min(left, UInt64(count - at)))
        mask.uncover(base + at, to: base + at, count: n)
        control += UnsafeRawBufferPointer(start: base + at, count: n)
        at += n
        left -= UInt64(n)
    }

    private mutating func controlEvent() -> Event {
        let body = control
        control = []
        switch opcode {
        case 0x9: return .ping(body)
        case 0xA: return .pong
        default: return closeEvent(body)
        }
    }

    private func closeEvent(_ body: [UInt8]) -> Event {
        guard body.count > 0 else { return .close(nil) }
        guard body.count > 1 else { return .failed(.badClose) }
        let code = CloseCode(rawValue: UInt16(body[0]) << 8 | UInt16(body[1]))
        guard code.mayBeSent else { return .failed(.badClose) }
        guard String(validating: body[2...], as: UTF8.self) != nil else { return .failed(.closeNotUTF8) }
        return .close(code)
    }
}
