// SPDX-License-Identifier: Apache-2.0

import MQTTCodec
import Testing

extension ValidVector: CustomTestStringConvertible {
    var testDescription: String { name }
}

extension InvalidVector: CustomTestStringConvertible {
    var testDescription: String { name }
}

@Suite("Packet vectors")
struct VectorTests {
    @Test("is read", arguments: validVectors)
    func decodes(_ vector: ValidVector) throws {
        #expect(try decode(vector.bytes, vector) == vector.model)
    }

    @Test("is written", arguments: validVectors)
    func encodes(_ vector: ValidVector) throws {
        let bytes = vector.model.encode(vector.version)
        if vector.isCanonical {
            #expect(bytes == vector.bytes)
        } else {
            #expect(bytes != vector.bytes, "the vector is canonical after all")
        }
    }

    @Test("is refused", arguments: invalidVectors)
    func refuses(_ vector: InvalidVector) throws {
        try #require(!vector.clause.isEmpty)
        do throws(DecodeError) {
            let model = try decodeCopy(vector.bytes, vector.version, vector.sender)
            Issue.record("accepted as \(String(describing: model))")
        } catch {
            #expect(error.reason == vector.reason)
            #expect("\(error.clause)" == vector.clause)
            #expect("\(error.text)".hasSuffix("."))
        }
    }

    /// A packet that arrives in pieces is waited for; a body cut short inside a right frame is refused or read as the
    /// shorter packet it then is, but never trapped on.
    @Test("is cut at every length", arguments: validVectors)
    func truncates(_ vector: ValidVector) throws {
        for length in 0..<vector.bytes.count {
            #expect(try decode(Array(vector.bytes[..<length]), vector) == nil)
        }
        let version = vector.model.isConnect ? nil : vector.version
        let header = try #require(
            try vector.bytes.withUnsafeBytes { try readFixedHeader($0, maxPacketSize: 1000, version: version) })
        for length in 0..<header.remainingLength {
            let body = vector.bytes[header.headerLength...].prefix(length)
            let cut = [vector.bytes[0], UInt8(length)] + body
            do throws(DecodeError) {
                let model = try decodeCopy(cut, vector.version, vector.sender)
                #expect(model != nil)
                #expect(!vector.isCanonical || model != vector.model)
            } catch {
                #expect(error.reason.isFailure)
            }
        }
    }

    @Test func everyPacketTypeHasVectors() {
        for type in 1...15 as ClosedRange<UInt8> {
            #expect(validVectors.contains { $0.bytes[0] >> 4 == type })
            #expect(invalidVectors.contains { $0.bytes[0] >> 4 == type })
        }
    }

    private func decode(_ bytes: [UInt8], _ vector: ValidVector) throws(DecodeError) -> PacketModel? {
        try decodeCopy(bytes, vector.version, vector.sender)
    }
}

extension PacketModel {
    var isConnect: Bool {
        if case .connect = self { true } else { false }
    }
}
