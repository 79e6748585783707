// SPDX-License-Identifier: Apache-2.0

public enum Scenario: String, CaseIterable, Sendable, Codable {
    case pub, sub, pairs, fanin, fanout, conn, retain, offline, wildcard
}

/// Everything a run can be told. `Settings(.fanout)` is the scenario as `docs/benchmarks.md` describes it.
public struct Settings: Sendable {
    public var scenario: Scenario
    public var host = "127.0.0.1"
    public var port: UInt16 = 1883
    public var transport = Transport.tcp
    /// The broker's process; nil: the one that listens on `port` here, if it may be seen.
    public var pid: Int32?
    /// A command that starts the broker; `{port}` stands for a free port.
    public var spawn: String?
    public var publishers: Int
    public var subscribers: Int
    /// Payload bytes, at least 24 (the stamp).
    public var size = 64
    public var qos: UInt8 = 0
    /// 4: MQTT 3.1.1; 5: MQTT 5.
    public var version: UInt8 = 4
    /// Seconds.
    public var duration = 5.0
    public var warmup = 1.0
    /// Messages (or connects) in all, instead of a duration.
    public var count: UInt64?
    public var window: Int?
    public var rate: Double?
    /// How the messages of a rate are spread over time.
    public var beat = Beat.even
    public var openLoop = false
    public var threads = 2
    public var topicPrefix = "bench"
    public var username: String?
    public var password: String?
    public var keepAlive: UInt16 = 60
    public var connectRate: Double?
    public var parallelConnects = 200
    /// Seconds of silence after which what has not come is lost.
    public var drain = 10.0
    /// Wildcard filters in all.
    public var filters = 100_000
    /// The broker ends with the run, so its retained messages need not be deleted.
    var keepsRetained = false
    /// A nap after a wake-up that brought little, in microseconds; nil: chosen by the scenario.
    public var nap: Int?
    /// Writes a line per second to standard error.
    public var showsProgress = false

    public init(_ scenario: Scenario) {
        self.scenario = scenario
        (publishers, subscribers) = (100, 100)
        switch scenario {
        case .pub: subscribers = 0
        case .sub: (publishers, subscribers) = (0, 1)
        case .fanin: subscribers = 1
        case .fanout: publishers = 1
        case .pairs: break
        case .conn: (publishers, subscribers) = (0, 10_000)
        case .retain: (publishers, subscribers) = (8, 1)
        case .offline: (publishers, subscribers) = (1, 1)
        case .wildcard: (publishers, subscribers) = (20, 1_000)
        }
        if scenario == .offline { qos = 1 }
    }

    /// Messages on the way per publisher: 256, with acknowledgements 32; large payloads less, so that 2 MiB per
    /// publisher bound it.
    var effectiveWindow: Int { window ?? max(8, min(qos == 0 ? 256 : 32, 2_097_152 / max(1, size) / 16)) }

    /// Microseconds. With thousands of messages on the way a short nap costs no throughput, and each wake-up it saves
    /// is one that the broker need not cause. Runs at a rate measure latency, and do not nap.
    var effectiveNap: Int {
        if let nap { return nap }
        let onTheWay = publishers * effectiveWindow * (scenario == .fanout ? max(1, subscribers) : 1)
        return rate == nil && scenario != .sub && onTheWay >= 1_500 ? 200 : 0
    }

    public func validate() throws {
        func check(_ isFine: Bool, _ complaint: String) throws { if !isFine { throw BenchError(complaint) } }
        try check(size >= Stamp.size && size <= 16 << 20, "--size must be 24 to 16777216 bytes: the stamp takes 24")
        try check(qos <= 2, "--qos must be 0, 1 or 2")
        try check(version == 4 || version == 5, "--version must be 4 (MQTT 3.1.1) or 5")
        try check(threads >= 1 && threads <= 64, "--threads must be 1 to 64")
        try check(publishers >= 0 && subscribers >= 0, "numbers of clients cannot be negative")
        try check(scenario == .sub || scenario == .conn || publishers > 0, "there is nobody to publish")
        try check(
            scenario != .pairs || publishers == subscribers, "pairs need as many subscribers as publishers")
        try check((window ?? 1) >= 1, "--window must be at least 1")
        try check((rate ?? 1) > 0 && (connectRate ?? 1) > 0, "a rate must be above 0")
        try check(duration > 0 && warmup >= 0 && drain >= 0, "durations cannot be negative")
        try check(nap ?? 0 >= 0 && nap ?? 0 <= 100_000, "--nap must be 0 to 100000 µs")
        try check(parallelConnects >= 1, "--parallel must be at least 1")
        if scenario == .retain || scenario == .offline {
            try check((count ?? 1) >= 1 && (count ?? 1) < 10_000_000, "--count must be 1 to 9999999 here")
        }
        if scenario == .wildcard {
            try check(
                subscribers > 0 && filters >= subscribers && filters < 1_000_000, "--filters must be --subs to 999999")
        }
    }
}
