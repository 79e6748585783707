// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Glibc

/// The guard: what a broker executes per message, counted by callgrind, so that neither the machine nor its load
/// matters. A run of N messages is taken from a run of 2N; start, connects and end fall out of the difference.
public struct Counts: Codable, Sendable {
    public static let functions = [
        "malloc", "calloc", "realloc", "posix_memalign", "free", "swift_retain", "swift_release", "swift_allocObject",
    ]

    public var run: String
    public var broker: String
    /// Deliveries between the two runs.
    public var messages: UInt64
    /// Per message, by name: "instructions" and `functions`.
    public var perMessage: [String: Double]
    public var complaints: [String] = []

    init(run: String, broker: String, messages: UInt64, perMessage: [String: Double]) {
        (self.run, self.broker, self.messages, self.perMessage) = (run, broker, messages, perMessage)
    }

    public static func measure(_ preset: Preset, _ contender: Contender, messages: UInt64, version: UInt8) throws
        -> Counts
    {
        let places = ["/usr/bin/valgrind", "/usr/local/bin/valgrind"]
        guard places.contains(where: { access($0, X_OK) == 0 }) else {
            throw BenchError("valgrind is not installed (Debian: apt-get install valgrind)")
        }
        var settings = preset.settings
        settings.version = version
        settings.drain = 60
        // Callgrind slows the broker fifty times: what is on the way to one client must stay below what may be dropped.
        if settings.scenario == .fanin { settings.window = 32 }
        let one = try profile(contender, settings, messages)
        let two = try profile(contender, settings, 2 * messages)
        let extra = two.received - one.received
        func each(_ a: UInt64, _ b: UInt64) -> Double { rounded((Double(b) - Double(a)) / Double(max(1, extra))) }
        var counts = Counts(run: preset.rawValue, broker: contender.name, messages: extra, perMessage: [:])
        counts.perMessage["instructions"] = each(one.profile.instructions, two.profile.instructions)
        for name in functions {
            counts.perMessage[name] = each(one.profile.calls[name] ?? 0, two.profile.calls[name] ?? 0)
        }
        return counts
    }

    /// Measures, and again, thrice at most, while a number is above its threshold: on a loaded machine a run has now and
    /// then more wake-ups than its double, or a buffer that grew, which no number of tries gives to code that became slower.
    public static func judged(by thresholds: Thresholds?, _ measure: () throws -> Counts) rethrows -> Counts {
        var counts = try measure()
        guard let thresholds else { return counts }
        counts.check(thresholds)
        for _ in 1..<3 where !counts.complaints.isEmpty {
            counts = try measure()
            counts.check(thresholds)
        }
        return counts
    }

    private static func profile(
        _ contender: Contender, _ settings: Settings, _ messages: UInt64
    ) throws -> (profile: CallgrindProfile, received: UInt64) {
        say("\(contender.name) under callgrind, \(messages) messages")
        let scratch = try Scratch()
        let valgrind =
            "valgrind -q --vgdb=no --tool=callgrind --trace-children=yes --callgrind-out-file=\(scratch.path)/out.%p "
        let broker = try contender.start(scratch: scratch, transport: settings.transport, patience: 180) {
            valgrind + $0
        }
        var settings = settings
        (settings.host, settings.port, settings.pid) = ("127.0.0.1", broker.port, broker.pid)
        let receivers = settings.scenario == .fanout ? UInt64(settings.subscribers) : 1
        settings.count = max(UInt64(settings.publishers), messages / receivers)
        let outcome = Result { try Bench.run(settings) }
        broker.stop(patience: 120)
        let result = try outcome.get()
        guard result.messages.isClean else {
            throw BenchError("the run under callgrind was not clean: \(Report.accounts(result.messages))")
        }
        guard let text = ProcessMeter.read("\(scratch.path)/out.\(broker.pid)") else {
            let log = ProcessMeter.read("\(scratch.path)/broker.log") ?? "nothing"
            throw BenchError("callgrind left no output for process \(broker.pid); the broker said: \(log)")
        }
        return (CallgrindProfile(text, counting: Set(functions)), result.messages.received)
    }

    /// Adds a complaint for each number above its threshold.
    public mutating func check(_ thresholds: Thresholds) {
        guard let limits = thresholds.brokers[broker]?[run] else {
            complaints.append("\(run): there are no thresholds for \(broker)")
            return
        }
        for (name, limit) in limits.sorted(by: { $0.key < $1.key }) {
            guard let value = perMessage[name] else {
                complaints.append("\(run): \(name) is not counted")
                continue
            }
            if value > limit {
                complaints.append(
                    "\(run): \(Report.number(value)) \(name) per message, and \(Report.number(limit)) is the threshold")
            }
        }
    }

    public static func markdown(_ list: [Counts]) -> String {
        let names = ["instructions"] + functions
        var lines = [
            "| per message | " + names.joined(separator: " | ") + " |",
            "| --- |" + String(repeating: " --- |", count: names.count),
        ]
        for counts in list {
            let cells = names.map { Report.number(counts.perMessage[$0] ?? 0) }
            lines.append("| \(counts.broker), \(counts.run) | " + cells.joined(separator: " | ") + " |")
        }
        for complaint in list.flatMap(\.complaints) { lines += ["", "Above: \(complaint)"] }
        return lines.joined(separator: "\n")
    }
}

/// `tools/bench-thresholds.json`: broker, run, name of the count, highest number per message.
public struct Thresholds: Codable, Sendable {
    public var brokers: [String: [String: [String: Double]]]

    init(brokers: [String: [String: [String: Double]]]) { self.brokers = brokers }

    public init(path: String) throws {
        guard let text = ProcessMeter.read(path) else { throw BenchError("cannot read \(path): \(errorText())") }
        do {
            self = try JSONDecoder().decode(Thresholds.self, from: Data(text.utf8))
        } catch {
            throw BenchError("\(path) is not a threshold file: \(error)")
        }
    }
}
