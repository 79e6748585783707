// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import BenchCore

@Suite("The generator's WebSocket")
struct BenchWebSocketTests {
    /// What the generator sends, taken apart as RFC 6455 §5.2 has it.
    private func unseal(_ frame: [UInt8]) -> (opcode: UInt8, payload: [UInt8])? {
        guard frame.count >= 6, frame[0] & 0xF0 == 0x80, frame[1] & 0x80 != 0 else { return nil }
        let short = Int(frame[1] & 0x7F)
        let size = short == 126 ? 2 : short == 127 ? 8 : 0
        let length = size == 0 ? short : frame[2..<2 + size].reduce(0) { $0 << 8 | Int($1) }
        let key = Array(frame[(2 + size)..<(6 + size)])
        let body = frame[(6 + size)...]
        guard body.count == length, size == 0 || length > (size == 2 ? 125 : 65_535) else { return nil }
        return (frame[0] & 0x0F, body.enumerated().map { $1 ^ key[$0 % 4] })
    }

    @Test("A frame is masked, and its length as short as it can be")
    func seals() {
        for count in [0, 1, 31, 32, 33, 125, 126, 65_535, 65_536] {
            let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            var room = [UInt8](repeating: 0, count: WebSocket.headRoom) + payload
            let frame = room.withUnsafeMutableBufferPointer { room in
                let start = WebSocket.seal(room.baseAddress! + WebSocket.headRoom, count)
                return Array(UnsafeBufferPointer(start: start, count: room.baseAddress! + room.count - start))
            }
            let read = unseal(frame)
            #expect(read?.opcode == 2 && read?.payload == payload, "\(count) bytes")
        }
    }

    private func server(_ opcode: UInt8, _ payload: [UInt8], isFinal: Bool = true) -> [UInt8] {
        let n = payload.count
        let length: [UInt8] =
            n < 126
            ? [UInt8(n)]
            : n < 65_536
                ? [126, UInt8(n >> 8), UInt8(n & 255)]
                : [127] + (0..<8).map { UInt8(truncatingIfNeeded: n >> (56 - 8 * $0)) }
        return [(isFinal ? 0x80 : 0) | opcode] + length + payload
    }

    private func read(_ stream: [UInt8], cuts: [Int]) -> (payload: [UInt8], pings: [[UInt8]], end: FrameReader.Found) {
        var reader = FrameReader()
        var payload: [UInt8] = []
        var from = 0
        for to in cuts + [stream.count] {
            var piece = Array(stream[from..<to])
            var count = 0
            let found = piece.withUnsafeMutableBufferPointer { piece in
                piece.baseAddress.map { reader.unpack($0, piece.count, payload: &count) } ?? .data
            }
            payload += piece[..<count]
            from = to
            if found != .data { return (payload, reader.pings, found) }
        }
        return (payload, reader.pings, .data)
    }

    @Test("Frames are read the same wherever they are cut")
    func cuts() {
        let body = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        let stream =
            server(2, body) + server(2, [1, 2], isFinal: false) + server(9, [7]) + server(0, [3]) + server(2, [])
            + server(8, [0x03, 0xE9])
        for cut in 0...stream.count {
            let got = read(stream, cuts: [cut])
            #expect(got.payload == body + [1, 2, 3] && got.pings == [[7]] && got.end == .closed(1001), "cut \(cut)")
        }
        #expect(read(server(2, [UInt8](repeating: 5, count: 70_000)), cuts: [5, 6000]).payload.count == 70_000)
    }

    @Test("A masked frame, text, reserved bits and opcodes are malformed")
    func malformed() {
        for stream in [[0x82, 0x80, 0, 0], [0x81, 0], [0xC2, 0], [0x83, 0], [0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0]]
            as [[UInt8]]
        {
            #expect(read(stream, cuts: []).end == .malformed)
        }
    }

    @Test("An answer is read once it is whole")
    func answers() {
        let bytes = Array("HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n".utf8)
        for length in 0..<bytes.count {
            #expect(bytes[..<length].withUnsafeBufferPointer { WebSocket.answer($0) } == nil)
        }
        let answer = (bytes + [0x82]).withUnsafeBufferPointer { WebSocket.answer($0) }
        #expect(answer?.count == bytes.count && answer?.isAccepted == true)
        let refusal = Array("HTTP/1.1 404 Not Found\r\n\r\n".utf8).withUnsafeBufferPointer { WebSocket.answer($0) }
        #expect(refusal?.isAccepted == false && refusal?.status == "HTTP/1.1 404 Not Found")
    }
}
