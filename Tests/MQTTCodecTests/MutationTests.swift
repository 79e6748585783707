// SPDX-License-Identifier: Apache-2.0

import MQTTCodec
import Testing

/// SplitMix64: the same mutations on every run.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

@Suite("Mutations")
struct MutationTests {
    /// Whatever a peer sends is a packet, an error, or a part of one: nothing traps, no range leaves the body, and
    /// what is accepted survives being written and read again.
    @Test(arguments: [ProtocolVersion.v31, .v311, .v5])
    func randomMutationsAreRefusedOrConsistent(_ version: ProtocolVersion) {
        var random = Seeded(state: 0x4D51_5454 + UInt64(version.rawValue))
        let seeds = validVectors.map { ($0.bytes, $0.sender) } + invalidVectors.map { ($0.bytes, $0.sender) }
        var (accepted, refused, waiting) = (0, 0, 0)
        for _ in 0..<70_000 {
            let (seed, sender) = seeds.randomElement(using: &random)!
            let bytes = mutate(seed, &random)
            do throws(DecodeError) {
                let model = try checkRoundTrip(bytes, version, sender)
                if model != nil { accepted += 1 } else { waiting += 1 }
            } catch {
                refused += 1
            }
        }
        #expect(accepted > 1_000)
        #expect(refused > 10_000)
        #expect(waiting > 1_000)
    }

    /// One to four changes; half of the time the remaining length is put right again, so that the change reaches the
    /// decoder of the body.
    private func mutate(_ seed: [UInt8], _ random: inout Seeded) -> [UInt8] {
        var bytes = seed
        for _ in 0...Int.random(in: 0...3, using: &random) {
            let index = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0...5, using: &random) {
            case 0 where !bytes.isEmpty: bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &random)
            case 1 where !bytes.isEmpty: bytes[index] = UInt8.random(in: 0...255, using: &random)
            case 2 where !bytes.isEmpty: bytes.remove(at: index)
            case 3: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
            case 4: bytes.removeLast(bytes.count - index)
            default: bytes.insert(contentsOf: bytes[index...].prefix(8), at: index)
            }
        }
        if bytes.count >= 2, bytes.count < 130, Bool.random(using: &random) { bytes[1] = UInt8(bytes.count - 2) & 0x7F }
        return bytes
    }
}
