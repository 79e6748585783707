// SPDX-License-Identifier: Apache-2.0
import Sessions
import Topics

/// A few messages with one reference each of the test's own, so that every other reference can be counted.
final class Messages {
    private var refs: [MessageRef] = []

    /// - Parameter payloads: sizes in bytes, one message each.
    init(payloads: [Int]) {
        for size in payloads {
            let payload = [UInt8](repeating: 0x78, count: size)
            payload.withUnsafeBytes { payload in
                withTopic("a/b") { topic in
                    var borrowed = Message(topic: topic, payload: payload)
                    refs.append(withUnsafeMutablePointer(to: &borrowed) { $0.copied() })
                }
            }
        }
    }

    deinit { for ref in refs { ref.release() } }

    var count: Int { refs.count }

    func index(_ ref: MessageRef) -> Int { refs.firstIndex(of: ref)! }

    /// A delivery with a reference of its own. `value` tells it from all others.
    func delivery(_ value: UInt32, qos: UInt8, group: UInt32 = 0) -> Delivery {
        Delivery(refs[Int(value) % count].own(), qos: qos, subscriptionID: value, shareGroup: group)
    }

    func footprint(_ value: UInt32) -> Int {
        refs[Int(value) % count].pointee.footprint + MemoryLayout<Delivery>.stride
    }

    /// Nil when exactly the deliveries of `values` hold references.
    func difference(holding values: some Sequence<UInt32>) -> String? {
        var expected = [UInt32](repeating: 1, count: count)
        for value in values { expected[Int(value) % count] += 1 }
        let actual = refs.map(\.pointee.references)
        return actual == expected ? nil : "references are \(actual) and should be \(expected)"
    }
}

func withTopic<R>(_ text: String, _ body: (Bytes) -> R) -> R {
    var text = text
    return text.withUTF8 { body(Bytes($0)) }
}

func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }
