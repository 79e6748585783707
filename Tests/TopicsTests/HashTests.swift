// SPDX-License-Identifier: Apache-2.0
import Testing
import Topics

@Suite("The hash")
struct HashTests {
    @Test("Equal bytes hash alike wherever they lie, and nothing beyond them counts")
    func placement() {
        var dice = Dice(state: 7)
        for length in 0...80 {
            let bytes = (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &dice) }
            let expected = bytes.withUnsafeBytes { hash($0, seed: 42) }
            for offset in 0..<9 {
                let padded = (0..<offset).map { _ in UInt8(1) } + bytes + [UInt8](repeating: 0xee, count: 16)
                let moved = padded.withUnsafeBytes { hash(Bytes(rebasing: $0[offset..<offset + length]), seed: 42) }
                #expect(moved == expected, "length \(length), offset \(offset)")
            }
        }
    }

    @Test("Each byte, the length and the seed change it")
    func sensitivity() {
        for length in 0...70 {
            var bytes = [UInt8](repeating: 0, count: length)
            let base = bytes.withUnsafeBytes { hash($0, seed: 1) }
            var seen: Set<UInt64> = [base, bytes.withUnsafeBytes { hash($0, seed: 2) }]
            bytes.append(0)
            seen.insert(bytes.withUnsafeBytes { hash($0, seed: 1) })
            bytes.removeLast()
            for index in bytes.indices {
                bytes[index] = 1
                seen.insert(bytes.withUnsafeBytes { hash($0, seed: 1) })
                bytes[index] = 0
            }
            #expect(seen.count == length + 3, "length \(length)")
        }
    }

    @Test("Numbered topics spread evenly over buckets by upper and by lower bits", arguments: [0, 52] as [UInt64])
    func spread(shift: UInt64) {
        var buckets = [Int](repeating: 0, count: 4096)
        for number in 0..<40_960 {
            let value = withBytes("site/\(number)/temperature") { hash($0, seed: 99) }
            buckets[Int((value >> shift) & 4095)] += 1
        }
        // Mean 10 and Poisson: more than 40 has a probability below 1e-10 per bucket.
        #expect(buckets.max()! <= 40)
        #expect(buckets.filter { $0 == 0 }.count <= 10)
    }
}
