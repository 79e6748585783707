// SPDX-License-Identifier: Apache-2.0
import MQTTCodec
import Testing

@testable import Broker

@Suite("Reason strings")
struct ReasonTextTests {
    private static let refusing: [PacketType] = [
        .connack, .puback, .pubrec, .pubrel, .pubcomp, .suback, .unsuback, .disconnect,
    ]

    @Test("Each code a server may refuse with has a sentence of its own")
    func everyCode() {
        var seen: [String: UInt8] = [:]
        for raw in UInt8(0x80)...0xFF {
            let code = ReasonCode(rawValue: raw)
            let sentence = text(ReasonText(code).bytes)
            guard Self.refusing.contains(where: { code.isAllowed(in: $0, from: .server) }) else { continue }
            #expect(sentence.hasSuffix(".") && sentence.first?.isUppercase == true, "0x\(String(raw, radix: 16))")
            #expect(seen.updateValue(raw, forKey: sentence) == nil, "0x\(String(raw, radix: 16)): \(sentence)")
        }
        #expect(seen.count == 35)
    }

    @Test("A code that may not stand in a packet is replaced by one that may [MQTT-3.2.2-8] [MQTT-3.14.2-1]")
    func replaced() {
        for type in [PacketType.connack, .disconnect, .suback] {
            for raw in UInt8(0)...0xFF {
                let code = ReasonCode(rawValue: raw)
                #expect(code.allowed(in: type).isAllowed(in: type, from: .server))
                if code.isAllowed(in: type, from: .server) { #expect(code.allowed(in: type) == code) }
            }
        }
        #expect(ReasonCode.badUserNameOrPassword.allowed(in: .disconnect) == .notAuthorized)
    }

    @Test("A plugin's words take the place of the code's")
    func plugin() {
        #expect(ReasonText.with(Array("No.".utf8), else: .banned) { text($0.bytes) } == "No.")
        #expect(ReasonText.with([], else: .banned) { text($0.bytes) } == "This client is banned.")
    }
}
