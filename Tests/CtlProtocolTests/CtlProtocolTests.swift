// SPDX-License-Identifier: Apache-2.0
import CtlProtocol
import Testing

@Suite struct CtlProtocolTests {
    @Test func aRequestIsLengthCountAndArguments() {
        let bytes = CtlProtocol.request([Array("ab".utf8), []])
        #expect(bytes == [0, 0, 0, 14, 0, 0, 0, 2, 0, 0, 0, 2, 0x61, 0x62, 0, 0, 0, 0])
        #expect(CtlProtocol.arguments(ofRequest: bytes[4...]) == [Array("ab".utf8), []])
    }

    @Test func everyCutOfARequestIsRefused() {
        let body = CtlProtocol.request([Array("plugins".utf8), Array("list".utf8)]).dropFirst(4)
        for length in 0..<body.count {
            #expect(CtlProtocol.arguments(ofRequest: body.prefix(length)) == nil)
        }
        #expect(CtlProtocol.arguments(ofRequest: body + [0]) == nil)
        #expect(CtlProtocol.arguments(ofRequest: [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]) == nil)
    }

    @Test func framesArriveWholeHoweverTheStreamIsCut() throws {
        let long = [UInt8](repeating: 7, count: CtlProtocol.maxFrameBytes + 1)
        let stream = CtlProtocol.frames(.output, long) + CtlProtocol.frames(.error, [1, 2]) + CtlProtocol.exit(3)
        var reader = CtlFrameReader()
        var frames: [CtlFrameReader.Frame] = []
        for start in stride(from: 0, to: stream.count, by: 4099) {
            reader.feed(stream[start..<min(start + 4099, stream.count)])
            while let frame = try reader.next() { frames.append(frame) }
        }
        #expect(frames.map(\.kind) == [.output, .output, .error, .exit])
        #expect(frames[0].payload + frames[1].payload == long)
        #expect(frames[3].payload == [3])
    }

    @Test(
        arguments: [
            [0x41, 0, 0, 0, 0], [0x78, 0, 0, 0, 2, 0, 0], [0x6F, 0, 1, 0, 1],
        ] as [[UInt8]])
    func aStrangeFrameIsRefused(_ bytes: [UInt8]) {
        var reader = CtlFrameReader()
        reader.feed(bytes)
        #expect(throws: CtlFrameReader.Malformed.self) { try reader.next() }
    }
}
