// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BenchCore
import Glibc

struct Selftest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Checks the generator itself, also against a broker that loses, doubles and swaps on purpose."
    )

    func run() throws {
        let checks = try SelfTest.run()
        for check in checks { print("\(check.isGood ? "ok  " : "FAIL") \(check.name): \(check.detail)") }
        if checks.contains(where: { !$0.isGood }) { throw ExitCode.failure }
    }
}

/// Where the brokers are.
struct ContenderOptions: ParsableArguments {
    @Option(help: "The command that starts Martlet on {port}; default: the release tree in _rel.") var martlet: String?
    @Option(
        help: "The command that starts mosquitto on {port}; default: Debian's, without log, disk, bounds and Nagle.")
    var mosquitto: String?

    func contender(_ name: String) throws -> Contender {
        switch name {
        case "martlet": try .martlet(root: root, command: martlet)
        case "martlet-plugins": try .martlet(root: root, plugins: Contender.usualPlugins)
        case "mosquitto": try .mosquitto(command: mosquitto)
        default: throw ValidationError("--broker must be martlet, martlet-plugins or mosquitto")
        }
    }

    /// The source tree when `tools/bench` started us, else the install tree this program lies in.
    private var root: String {
        if let root = getenv("MARTLET_ROOT") { return String(cString: root) }
        guard let program = realpath("/proc/self/exe", nil) else { return "." }
        defer { free(program) }
        return String(cString: program).split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
            .joined(separator: "/")
    }
}

/// The runs that the command line names; a name that is none is a mistake in the command line.
private func presets(_ names: [String], among all: [Preset] = Preset.allCases) throws -> [Preset] {
    do {
        return try Preset.named(names, among: all)
    } catch let error as BenchError {
        throw ValidationError(error.description)
    }
}

private func check(version: UInt8) throws {
    guard version == 4 || version == 5 else { throw ValidationError("--version must be 4 (MQTT 3.1.1) or 5") }
}

struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs Martlet and mosquitto in turn and prints how many times better Martlet is.",
        discussion: "Runs: " + Preset.allCases.map(\.rawValue).joined(separator: ", ") + " (default: all).")

    @Argument(help: "Which runs.") var runs: [String] = []
    @OptionGroup(title: "Brokers") var brokers: ContenderOptions
    @Option(help: "How often each broker gets its turn.") var rounds = 3
    @Option(help: "Seconds that are measured.") var duration = 5.0
    @Option(help: "4: MQTT 3.1.1, 5: MQTT 5.") var version: UInt8 = 4
    @Option(help: "Threads of the generator.") var threads = 2
    @Flag(help: "JSON, with every single result.") var json = false

    func run() throws {
        guard rounds >= 1 && duration > 0 else { throw ValidationError("--rounds and --duration must be above 0") }
        guard (1...64).contains(threads) else { throw ValidationError("--threads must be 1 to 64") }
        try check(version: version)
        let comparison = try Comparison.run(
            presets(runs), brokers.contender("martlet"), brokers.contender("mosquitto"), rounds: rounds
        ) {
            ($0.duration, $0.version, $0.threads) = (duration, version, threads)
        }
        print(json ? Report.json(comparison) : comparison.markdown)
        if !comparison.complaints.isEmpty { throw ExitCode(2) }
    }
}

struct CountCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "counts",
        abstract:
            "Counts instructions, allocations and retains per message under callgrind, and holds them to thresholds.",
        discussion: "Runs: " + countable.map(\.rawValue).joined(separator: ", ")
            + ". Exit status 1: a threshold is exceeded.")
    private static let countable = Preset.allCases.filter(\.isCountable)

    @Argument(help: "Which runs; default: those with a threshold.") var runs: [String] = []
    @OptionGroup(title: "Brokers") var brokers: ContenderOptions
    @Option(help: "martlet, martlet-plugins (\(Contender.usualPlugins.joined(separator: ", "))) or mosquitto.")
    var broker = "martlet"
    @Option(help: "Messages of the first run; the second has twice as many.") var messages: UInt64 = 50_000
    @Option(help: "4: MQTT 3.1.1, 5: MQTT 5.") var version: UInt8 = 4
    @Option(help: "The threshold file; tools/bench gives its own.") var thresholds: String?
    @Flag(help: "JSON.") var json = false

    func run() throws {
        let limits = try thresholds.map { try Thresholds(path: $0) }
        let names = runs.isEmpty ? (limits?.brokers[broker]?.keys.sorted() ?? []) : runs
        let contender = try brokers.contender(broker)
        var list: [Counts] = []
        try check(version: version)
        for preset in try presets(names, among: Self.countable) {
            list.append(
                try Counts.judged(by: limits) {
                    try Counts.measure(preset, contender, messages: messages, version: version)
                })
        }
        print(json ? Report.json(list) : Counts.markdown(list))
        if list.contains(where: { !$0.complaints.isEmpty }) { throw ExitCode.failure }
    }
}
