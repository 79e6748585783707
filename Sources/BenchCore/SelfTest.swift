// SPDX-License-Identifier: Apache-2.0

/// Checks the measure itself on this machine: `bench selftest`.
public enum SelfTest {
    public struct Check: Sendable {
        public var name: String
        public var isGood: Bool
        public var detail: String
    }

    public static func run() throws -> [Check] { [histogram(), tracker(), reader()] + (try faults()) }

    private static func histogram() -> Check {
        let histogram = Histogram()
        for i in 1...1_000_000 { histogram.record(UInt64(i) * 100) }
        let wrong = [0.5, 0.9, 0.99, 0.999].map { fraction in
            abs(Double(histogram.quantile(fraction)) / (100_000_000 * fraction) - 1)
        }.max()!
        return Check(
            name: "histogram: quantiles of a million known values", isGood: wrong < 0.01,
            detail: "off by at most \(Report.number(wrong * 100)) %")
    }

    private static func tracker() -> Check {
        var tracker = SequenceTracker()
        for sequence in [0, 1, 2, 5, 3, 5, 9, 9] as [UInt64] { tracker.note(sequence) }
        let found = (tracker.received, tracker.missing, tracker.duplicates, tracker.outOfOrder)
        return Check(
            name: "sequences: gap, late message, duplicate", isGood: found == (6, 4, 2, 1),
            detail: "received, missing, duplicates, out of order: \(found)")
    }

    /// The same packets in one piece and cut at every byte must read the same.
    private static func reader() -> Check {
        var bytes: [UInt8] = []
        for size in [24, 127, 128, 300] {
            let payload = [UInt8](repeating: 1, count: size)
            bytes += Packet.publish("t", payload: payload, qos: 1, retain: false, version: 5)
        }
        func packets(_ part: ArraySlice<UInt8>) -> (count: Int, used: Int) {
            part.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return (0, 0) }
                var (count, used) = (0, 0)
                var view = PacketView(first: 0, body: start, length: 0)
                while used < buffer.count,
                    case .packet(let size) = PacketView.read(start + used, buffer.count - used, into: &view)
                {
                    guard PublishView(view, version: 5) != nil else { return (-1, used) }
                    (count, used) = (count + 1, used + size)
                }
                return (count, used)
            }
        }
        let isGood = (0...bytes.count).allSatisfy { cut in
            let head = packets(bytes[0..<cut])
            let tail = packets(bytes[head.used...])
            return head.count >= 0 && head.count + tail.count == 4
        }
        return Check(name: "reader: packets cut at every byte", isGood: isGood, detail: "\(bytes.count + 1) cuts")
    }

    /// The whole generator against a broker that loses, doubles and swaps, and counts it.
    static func faults() throws -> [Check] {
        let kinds: [(String, FaultyBroker.Faults)] = [
            ("no fault", .init()), ("losses", .init(dropEvery: 97)), ("duplicates", .init(doubleEvery: 89)),
            ("swaps", .init(swapEvery: 83)), ("all three", .init(dropEvery: 97, doubleEvery: 89, swapEvery: 83)),
        ]
        return try kinds.map { name, faults in
            let broker = try FaultyBroker(faults)
            let outcome = Result { try Bench.run(faultSettings(broker.port)) }
            broker.stop()
            let messages = try outcome.get().messages
            // A message held back for a swap whose successor never came is lost as well.
            let unsent = messages.sent - UInt64(broker.forwarded)
            let isGood =
                messages.sent == 20_000 && messages.received == UInt64(broker.forwarded) && messages.lost == unsent
                && messages.duplicates == UInt64(broker.doubled) && messages.outOfOrder == UInt64(broker.swapped)
            return Check(
                name: "accounts: a broker with \(name)", isGood: isGood,
                detail:
                    "counted \(messages.lost) lost, \(messages.duplicates) duplicates, \(messages.outOfOrder) out of "
                    + "order; it says \(unsent), \(broker.doubled), \(broker.swapped)")
        }
    }

    private static func faultSettings(_ port: UInt16) -> Settings {
        var settings = Settings(.pairs)
        (settings.port, settings.publishers, settings.subscribers) = (port, 4, 4)
        (settings.count, settings.drain) = (20_000, 0.5)
        return settings
    }
}
