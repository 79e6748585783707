// SPDX-License-Identifier: Apache-2.0
import Schedules
import Testing

@testable import WebSocket

/// What a stream of frames amounts to: runs of payload, joined, and what stood between them.
private enum Seen: Equatable {
    case payload([UInt8])
    case ping([UInt8])
    case pong
    case close(CloseCode?)
    case failed(FrameError)
}

/// Decodes the pieces one after the other, up to the first error.
private func decode(_ bytes: [UInt8], cuts: [Int] = []) -> [Seen] {
    var decoder = FrameDecoder()
    var seen: [Seen] = []
    var from = 0
    for to in cuts + [bytes.count] {
        var piece = Array(bytes[from..<to])
        from = to
        let isOver = piece.withUnsafeMutableBytes { decode($0, &decoder, &seen) }
        if isOver { break }
    }
    return seen
}

/// True after an error.
private func decode(
    _ piece: UnsafeMutableRawBufferPointer, _ decoder: inout FrameDecoder, _ seen: inout [Seen]
) -> Bool {
    var rest = piece
    while rest.count > 0 {
        let step = decoder.decode(rest)
        if !step.payload.isEmpty {
            let run = Array(rest[step.payload])
            if case .payload(let before) = seen.last {
                seen[seen.count - 1] = .payload(before + run)
            } else {
                seen.append(.payload(run))
            }
        }
        switch step.event {
        case .none: #expect(step.consumed == rest.count)
        case .ping(let body): seen.append(.ping(body))
        case .pong: seen.append(.pong)
        case .close(let code): seen.append(.close(code))
        case .failed(let error):
            seen.append(.failed(error))
            return true
        }
        rest = UnsafeMutableRawBufferPointer(rebasing: rest[step.consumed...])
    }
    return false
}

/// A frame as a client sends it.
/// - Parameter size: bytes of the long form of the length, 0, 2 or 8; nil: as few as possible
private func frame(
    _ opcode: UInt8, _ payload: [UInt8] = [], final: Bool = true, key: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D],
    size: Int? = nil, length: UInt64? = nil, bits: UInt8 = 0
) -> [UInt8] {
    let length = length ?? UInt64(payload.count)
    let size = size ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8)
    let masked: UInt8 = key == nil ? 0 : 0x80
    let short = size == 0 ? UInt8(length) : size == 2 ? 126 : 127
    let long = (0..<size).map { UInt8(truncatingIfNeeded: length >> UInt64(8 * (size - 1 - $0))) }
    let body = key.map { key in payload.enumerated().map { $1 ^ key[$0 % 4] } } ?? payload
    return [(final ? 0x80 : 0) | bits | opcode, masked | short] + long + (key ?? []) + body
}

private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

/// A stream no client may send.
private struct Wrong: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var error: FrameError
    var stream: [UInt8]

    init(_ what: String, _ error: FrameError, _ stream: [UInt8]) {
        testDescription = what
        self.error = error
        self.stream = stream
    }

    static let all = [
        Wrong("no mask", .unmasked, frame(2, [1], key: nil)),
        Wrong("RSV1", .reservedBits, frame(2, bits: 0x40)),
        Wrong("RSV2", .reservedBits, frame(2, bits: 0x20)),
        Wrong("RSV3", .reservedBits, frame(9, bits: 0x10)),
        Wrong("opcode 3", .reservedOpcode, frame(3)),
        Wrong("opcode 7", .reservedOpcode, frame(7)),
        Wrong("opcode 11", .reservedOpcode, frame(11)),
        Wrong("opcode 15", .reservedOpcode, frame(15)),
        Wrong("a ping in fragments", .badControlFrame, frame(9, final: false)),
        Wrong("a close in fragments", .badControlFrame, frame(8, final: false)),
        Wrong("a ping of 126 bytes", .badControlFrame, frame(9, bytes(126))),
        Wrong("a pong with a long length", .badControlFrame, frame(10, [1], size: 2)),
        Wrong("a continuation of nothing", .badFragment, frame(0, [1])),
        Wrong("a continuation of nothing that goes on", .badFragment, frame(0, [1], final: false)),
        Wrong("a message in a message", .badFragment, frame(2, [1], final: false) + frame(2, [1])),
        Wrong("a text in a message", .badFragment, frame(2, [1], final: false) + frame(1, [1])),
        Wrong("one fragment more", .badFragment, frame(2, [1], final: false) + frame(0, [1]) + frame(0, [1])),
        Wrong("125 in 16 bits", .badLength, frame(2, bytes(125), size: 2)),
        Wrong("126 in 64 bits", .badLength, frame(2, bytes(126), size: 8)),
        Wrong("65535 in 64 bits", .badLength, frame(2, size: 8, length: 65_535)),
        Wrong("the highest bit of 64", .badLength, frame(2, size: 8, length: 1 << 63)),
        Wrong("a close of one byte", .badClose, frame(8, [3])),
        Wrong("a close with 999", .badClose, frame(8, [0x03, 0xE7])),
        Wrong("a close with 1005", .badClose, frame(8, [0x03, 0xED])),
        Wrong("a close that says FF", .closeNotUTF8, frame(8, [0x0B, 0xB8, 0xFF])),
        Wrong("a close that says half a letter", .closeNotUTF8, frame(8, [0x03, 0xE8, 0xC3])),
    ]
}

@Suite("Frames from a client")
struct FrameTests {
    @Test("The masked frame of RFC 6455 §5.7 reads Hello")
    func example() {
        let hello: [UInt8] = [0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]
        #expect(decode(hello) == [.payload(Array("Hello".utf8))])
    }

    @Test("Payloads of every length and place come out as they went in")
    func lengths() {
        for count in [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 125, 126, 127, 1000, 65_535, 65_536, 70_001] {
            let body = bytes(count)
            #expect(decode(frame(2, body)) == (count == 0 ? [] : [.payload(body)]))
            // The second run moves down over its own head.
            #expect(decode(frame(2, [1]) + frame(2, body)) == [.payload([1] + body)])
        }
    }

    @Test("[MQTT-6.0.0-2] Fragments, empty frames and messages join into one run")
    func joins() {
        let stream =
            frame(2, [1, 2], final: false) + frame(0, [], final: false) + frame(0, [3], final: false)
            + frame(9, [9]) + frame(0, [4, 5]) + frame(2) + frame(2, [6])
        #expect(decode(stream) == [.payload([1, 2, 3]), .ping([9]), .payload([4, 5, 6])])
    }

    @Test("[MQTT-6.0.0-2] Wherever a stream is cut, it means the same")
    func cuts() {
        let stream =
            frame(2, bytes(200), final: false) + frame(9, bytes(125)) + frame(0, bytes(3)) + frame(10, [1])
            + frame(2, bytes(130), key: [1, 2, 3, 4]) + frame(2) + frame(8, [0x03, 0xE8] + Array("bye".utf8))
        let whole = decode(stream)
        #expect(whole.count == 6)
        for cut in 0...stream.count { #expect(decode(stream, cuts: [cut]) == whole) }
        #expect(decode(stream, cuts: Array(0...stream.count)) == whole)
    }

    @Test("Control frames are told apart", arguments: [0, 1, 125])
    func control(_ count: Int) {
        #expect(decode(frame(9, bytes(count))) == [.ping(bytes(count))])
        #expect(decode(frame(10, bytes(count))) == [.pong])
    }

    @Test("A rule that is broken is named, by the first byte that shows it", arguments: Wrong.all)
    fileprivate func errors(_ wrong: Wrong) {
        #expect(decode(wrong.stream).last == .failed(wrong.error))
        // Byte by byte, and nothing changes.
        #expect(decode(wrong.stream, cuts: Array(0...wrong.stream.count)).last == .failed(wrong.error))
        #expect(wrong.error.code == (wrong.error == .closeNotUTF8 ? .invalidPayload : .protocolError))
    }

    @Test("[MQTT-6.0.0-1] A text frame is refused by its first byte, with a code of its own")
    func text() {
        #expect(decode([0x81]) == [.failed(.textFrame)])
        #expect(decode([0x01]) == [.failed(.textFrame)])
        #expect(FrameError.textFrame.code == .unsupportedData)
    }

    @Test(
        "Codes of a close frame",
        arguments: [
            (0, false), (999, false), (1000, true), (1003, true), (1004, false), (1005, false), (1006, false),
            (1007, true), (1011, true), (1014, true), (1015, false), (1016, false), (2999, false), (3000, true),
            (4999, true), (5000, false), (65_535, false),
        ])
    func codes(_ code: UInt16, _ isValid: Bool) {
        let close = frame(8, [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)])
        #expect(decode(close) == [isValid ? .close(CloseCode(rawValue: code)) : .failed(.badClose)])
    }

    @Test("A close frame may be empty, or say why")
    func closes() {
        #expect(decode(frame(8)) == [.close(nil)])
        #expect(decode(frame(8, [0x03, 0xE8] + Array("Grüße".utf8))) == [.close(.normal)])
    }

    @Test("A frame longer than any memory is read as it comes")
    func endless() {
        var decoder = FrameDecoder()
        var head = frame(2, size: 8, length: UInt64(Int64.max))
        #expect(head.withUnsafeMutableBytes { decoder.decode($0).event } == .none)
        for _ in 0..<100 {
            var piece = [UInt8](repeating: 0x37, count: 4096)
            let step = piece.withUnsafeMutableBytes { decoder.decode($0) }
            #expect(step.payload == 0..<4096 && step.consumed == 4096)
        }
    }

    @Test("[MQTT-6.0.0-2] Random streams, cut at random, mean what was put into them")
    func random() {
        for seed in 0..<100 { random(UInt64(seed)) }
    }

    private func random(_ seed: UInt64) {
        var dice = Dice(seed)
        var stream: [UInt8] = []
        var expected: [Seen] = []
        for _ in 0..<dice.below(30) { addMessage(&dice, &stream, &expected) }
        var cuts: [Int] = []
        while (cuts.last ?? 0) < stream.count {
            let piece = 1 + dice.below(dice.pick([1, 10, 1000]))
            cuts.append(min(stream.count, (cuts.last ?? 0) + piece))
        }
        #expect(decode(stream, cuts: cuts) == expected, "seed \(seed)")
    }

    private func addMessage(_ dice: inout Dice, _ stream: inout [UInt8], _ expected: inout [Seen]) {
        let fragments = 1 + dice.below(4)
        for i in 0..<fragments {
            let body = (0..<dice.below(dice.pick([4, 300, 4000]))).map { _ in UInt8(dice.below(256)) }
            let key = (0..<4).map { _ in UInt8(dice.below(256)) }
            stream += frame(i == 0 ? 2 : 0, body, final: i == fragments - 1, key: key)
            if case .payload(let before)? = expected.last {
                expected[expected.count - 1] = .payload(before + body)
            } else if !body.isEmpty {
                expected.append(.payload(body))
            }
            guard dice.oneIn(3) else { continue }
            let ping = (0..<dice.below(126)).map { _ in UInt8(dice.below(256)) }
            stream += frame(9, ping, key: key)
            expected.append(.ping(ping))
        }
    }
}

@Suite("Frames to a client")
struct EncoderTests {
    @Test(
        "[MQTT-6.0.0-1] A message is one final, binary, unmasked frame, its length in as few bytes as will do",
        arguments: [
            (0, [0x82, 0]), (125, [0x82, 125]), (126, [0x82, 126, 0, 126]), (65_535, [0x82, 126, 0xFF, 0xFF]),
            (65_536, [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] as [(Int, [UInt8])])
    func heads(_ count: Int, _ head: [UInt8]) {
        var bytes = [UInt8](repeating: 0xAA, count: FrameEncoder.longestHead)
        let length = bytes.withUnsafeMutableBytes { FrameEncoder.writeHead($0.baseAddress!, payload: count) }
        #expect(Array(bytes[..<length]) == head)
    }

    @Test("Answers to control frames")
    func controls() {
        #expect(FrameEncoder.pong([1, 2]) == [0x8A, 2, 1, 2])
        #expect(FrameEncoder.close(nil) == [0x88, 0])
        #expect(FrameEncoder.close(.unsupportedData) == [0x88, 2, 0x03, 0xEB])
    }
}
