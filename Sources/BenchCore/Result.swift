// SPDX-License-Identifier: Apache-2.0

/// What a run found. Field names are the keys of the JSON output.
public struct BenchResult: Codable, Sendable {
    public struct Messages: Codable, Sendable {
        public var sent: UInt64 = 0
        public var acknowledged: UInt64 = 0
        /// Distinct messages, each counted once per receiver that should get it.
        public var received: UInt64 = 0
        public var expected: UInt64 = 0
        public var lost: UInt64 = 0
        public var duplicates: UInt64 = 0
        public var outOfOrder: UInt64 = 0
        /// Not of this run.
        public var foreign: UInt64 = 0
        /// Delivered to a subscriber whose filters do not match.
        public var misrouted: UInt64 = 0
        public var protocolErrors: UInt64 = 0
        public var lostConnections: UInt64 = 0

        /// Nothing lost, doubled, swapped or broken.
        public var isClean: Bool {
            lost + duplicates + outOfOrder + misrouted + protocolErrors + lostConnections == 0
        }
    }

    /// Microseconds.
    public struct Times: Codable, Sendable {
        public var count: UInt64
        public var mean: Double
        public var p50: Double
        public var p90: Double
        public var p99: Double
        public var p999: Double
        public var max: Double

        init?(_ histogram: Histogram) {
            guard histogram.count > 0 else { return nil }
            func microseconds(_ fraction: Double) -> Double { rounded(Double(histogram.quantile(fraction)) / 1000) }
            count = histogram.count
            mean = rounded(histogram.mean / 1000)
            (p50, p90, p99) = (microseconds(0.5), microseconds(0.9), microseconds(0.99))
            (p999, max) = (microseconds(0.999), rounded(Double(histogram.maximum) / 1000))
        }
    }

    public struct Cost: Codable, Sendable {
        public var userSeconds: Double
        public var systemSeconds: Double
        /// Cores kept busy, on average.
        public var cores: Double
        public var userMicrosecondsPerMessage: Double
        public var systemMicrosecondsPerMessage: Double
        public var microsecondsPerMessage: Double

        init(_ cpu: ProcessMeter.CPU, seconds: Double, messages: UInt64) {
            let each = 1e6 / Double(Swift.max(1, messages))
            userSeconds = rounded(cpu.user)
            systemSeconds = rounded(cpu.system)
            cores = rounded(cpu.total / Swift.max(seconds, 1e-9))
            userMicrosecondsPerMessage = rounded(cpu.user * each)
            systemMicrosecondsPerMessage = rounded(cpu.system * each)
            microsecondsPerMessage = rounded(cpu.total * each)
        }
    }

    /// A number of one scenario only.
    public struct Figure: Codable, Sendable {
        public var name: String
        public var value: Double
        public var unit: String
        public var lowerIsBetter: Bool

        init(_ name: String, _ value: Double, _ unit: String, lowerIsBetter: Bool = true) {
            (self.name, self.value, self.unit, self.lowerIsBetter) = (name, rounded(value), unit, lowerIsBetter)
        }
    }

    public var name: String
    public var scenario: Scenario
    public var broker: String?
    public var transport: Transport
    public var mqttVersion: UInt8
    public var qos: UInt8
    public var payloadBytes: Int
    public var publishers: Int
    public var subscribers: Int
    public var window: Int?
    public var targetRate: Double?
    public var threads: Int
    public var seconds = 0.0
    /// Deliveries (without receivers: publishes) per second of the measured part.
    public var messagesPerSecond = 0.0
    public var messages = Messages()
    public var latency: Times?
    public var acknowledgementTime: Times?
    /// How late the generator itself was with scheduled messages.
    public var generatorLag: Times?
    public var brokerCPU: Cost?
    public var brokerMemoryBytes: Int?
    public var generatorCPU: Cost?
    public var figures: [Figure] = []
    public var notes: [String] = []

    init(_ settings: Settings) {
        name = settings.scenario.rawValue
        (scenario, transport) = (settings.scenario, settings.transport)
        (mqttVersion, qos, payloadBytes) = (settings.version, settings.qos, settings.size)
        (publishers, subscribers, threads) = (settings.publishers, settings.subscribers, settings.threads)
        (window, targetRate) = (settings.openLoop ? nil : settings.effectiveWindow, settings.rate)
    }

    /// The numbers worth comparing between brokers, in a fixed order.
    public var comparable: [Figure] {
        var list: [Figure] = []
        if let cost = brokerCPU, figures.allSatisfy({ $0.unit != "µs CPU" }) {
            list.append(Figure("broker CPU per message", cost.microsecondsPerMessage, "µs"))
        }
        if targetRate == nil && messagesPerSecond > 0 {
            list.append(Figure("messages per second", messagesPerSecond, "1/s", lowerIsBetter: false))
        }
        if targetRate != nil, let latency {
            list += [Figure("latency p50", latency.p50, "µs"), Figure("latency p99", latency.p99, "µs")]
            if let cost = brokerCPU { list.append(Figure("broker cores", cost.cores, "")) }
        }
        return list + figures
    }
}

/// Four significant digits: more would claim a precision that is not there.
func rounded(_ value: Double) -> Double {
    guard value != 0 && value.isFinite else { return value }
    var scale = 1.0
    while value.magnitude * scale < 1000 { scale *= 10 }
    while value.magnitude * scale >= 10_000 { scale /= 10 }
    return scale >= 1 ? (value * scale).rounded() / scale : (value * scale).rounded() * (1 / scale)
}
