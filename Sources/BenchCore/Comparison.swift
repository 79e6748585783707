// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Two brokers in turn, A B A B, and what lies between them. Field names are the keys of the JSON output.
public struct Comparison: Codable, Sendable {
    public struct Row: Codable, Sendable {
        public var run: String
        public var figure: String
        public var unit: String
        public var lowerIsBetter: Bool
        /// One value per round.
        public var first: [Double]
        public var second: [Double]
        /// How many times better the first is: of the medians, and the lowest and highest of all rounds.
        public var ratio: Double
        public var lowestRatio: Double
        public var highestRatio: Double

        init(run: String, figure: BenchResult.Figure, first: [Double], second: [Double]) {
            (self.run, self.first, self.second) = (run, first, second)
            (self.figure, unit, lowerIsBetter) = (figure.name, figure.unit, figure.lowerIsBetter)
            let isLower = figure.lowerIsBetter
            func better(_ a: Double, _ b: Double) -> Double { rounded(isLower ? b / a : a / b) }
            ratio = Self.finite(better(median(first), median(second)))
            let ratios = zip(first, second).map { Self.finite(better($0, $1)) }
            lowestRatio = ratios.min() ?? 0
            highestRatio = ratios.max() ?? 0
        }

        /// JSON has no infinity; a figure of 0 (a broker too quick for the clock) gives no ratio.
        private static func finite(_ value: Double) -> Double { value.isFinite ? value : 0 }
    }

    public var brokers: [String]
    public var rounds: Int
    public var machine: String
    public var rows: [Row] = []
    public var results: [BenchResult] = []
    /// What went wrong: a run that failed, messages that were lost.
    public var complaints: [String] = []

    /// - Parameter adjust: changes the settings of each run (duration, version).
    public static func run(
        _ presets: [Preset], _ first: Contender, _ second: Contender, rounds: Int, adjust: (inout Settings) -> Void
    ) throws -> Comparison {
        var comparison = Comparison(brokers: [first.name, second.name], rounds: rounds, machine: machineText())
        for preset in presets {
            var settings = preset.settings
            adjust(&settings)
            var pairs: [[BenchResult]] = [[], []]
            for round in 1...rounds {
                for (i, contender) in [first, second].enumerated() {
                    say("\(preset.rawValue), \(contender.name), round \(round) of \(rounds)")
                    if let result = comparison.runOnce(preset, contender, settings) { pairs[i].append(result) }
                }
            }
            comparison.results += pairs[0] + pairs[1]
            comparison.addRows(preset, pairs[0], pairs[1])
        }
        return comparison
    }

    private mutating func runOnce(_ preset: Preset, _ contender: Contender, _ settings: Settings) -> BenchResult? {
        do {
            let scratch = try Scratch()
            let broker = try contender.start(scratch: scratch, transport: settings.transport)
            defer { broker.stop() }
            var settings = settings
            (settings.host, settings.port, settings.pid) = ("127.0.0.1", broker.port, broker.pid)
            settings.keepsRetained = true
            var result = try Bench.run(settings)
            (result.name, result.broker) = (preset.rawValue, contender.name)
            if !result.messages.isClean {
                complaints.append("\(preset.rawValue), \(contender.name): \(Report.accounts(result.messages))")
            }
            return result
        } catch {
            complaints.append("\(preset.rawValue), \(contender.name): \(error)")
            return nil
        }
    }

    private mutating func addRows(_ preset: Preset, _ first: [BenchResult], _ second: [BenchResult]) {
        guard let model = first.first ?? second.first else { return }
        for figure in model.comparable {
            func values(_ results: [BenchResult]) -> [Double] {
                results.compactMap { $0.comparable.first { $0.name == figure.name }?.value }
            }
            rows.append(Row(run: preset.rawValue, figure: figure, first: values(first), second: values(second)))
        }
    }

    public var markdown: String {
        var lines = [
            "\(rounds) \(rounds == 1 ? "round" : "rounds") of \(brokers[0]) and \(brokers[1]) in turn on \(machine).",
            "",
            "| run | figure | \(brokers[0]) | \(brokers[1]) | \(brokers[0]) is better by (all rounds) |",
            "| --- | --- | --- | --- | --- |",
        ]
        for row in rows {
            func cell(_ values: [Double]) -> String {
                values.isEmpty ? "–" : "\(Report.number(median(values))) \(row.unit)"
            }
            let spread = "\(Report.number(row.lowestRatio))–\(Report.number(row.highestRatio))"
            let ratio = row.ratio == 0 ? "–" : "\(Report.number(row.ratio)) × (\(spread))"
            lines.append("| \(row.run) | \(row.figure) | \(cell(row.first)) | \(cell(row.second)) | \(ratio) |")
        }
        if !complaints.isEmpty { lines += ["", "Wrong:", ""] + complaints.map { "- \($0)" } }
        return lines.joined(separator: "\n")
    }

    private static func machineText() -> String {
        var name = utsname()
        uname(&name)
        let release = withUnsafePointer(to: &name.release) {
            $0.withMemoryRebound(to: CChar.self, capacity: 65) { String(cString: $0) }
        }
        return "\(sysconf(Int32(_SC_NPROCESSORS_ONLN))) cores, Linux \(release.prefix { $0 != "-" })"
    }
}

func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
