// SPDX-License-Identifier: Apache-2.0
public import PluginHost
import CReactor
import Glibc

/// The built-in commands and what they ask. Other parts of the broker add theirs with `register`.
public final class Control {
    public let host: PluginHost
    /// First line of `broker`.
    public let description: String
    /// Unix milliseconds.
    private let startedAt = cr_clock_ms()
    private var numbers: [() -> [Metric]] = []
    private static let retainedName = "messages/retained"

    /// [main]
    public init(host: PluginHost, description: String = "Martlet MQTT Broker") {
        self.host = host
        self.description = description
        host.hasNumber = { [weak self] name in
            name == Control.retainedName || self?.numbers.contains { $0().contains { $0.name == name } } ?? false
        }
        registerBuiltIns()
    }

    /// [main] A command beside the built-in ones; the name must be free.
    public func register(
        _ name: String, _ usage: [CommandUsage], _ handler: @escaping CommandTable.Handler
    ) {
        let isNew = host.commands.register(name, usage, handler)
        precondition(isNew, "the command \(name) is registered twice")
    }

    /// [main] Adds numbers to `broker stats` (gauges) and `broker metrics` (counters).
    public func addNumbers(_ source: @escaping () -> [Metric]) { numbers.append(source) }

    /// [main] The broker's and all plugins' numbers of one kind, by name: what ctl prints and $SYS publishes.
    public func metrics(_ kind: MetricKind) -> [Metric] {
        let all = numbers.flatMap { $0() } + host.metrics()
        let ofKind = all.filter { $0.kind == kind } + (kind == .counter ? [messagesRetained(all)] : [])
        return ofKind.sorted { $0.name < $1.name }
    }

    /// EMQ shows how many messages are retained among the counters of messages, too. The retainer knows the number.
    private func messagesRetained(_ all: [Metric]) -> Metric {
        let retained = all.first { $0.name == "retained/count" }?.value ?? 0
        return Metric(name: Self.retainedName, kind: .counter, help: "Retained messages", value: retained)
    }

    /// `1 days,2 hours, 3 minutes, 4 seconds`, leading units omitted; EMQ's own spacing.
    public var uptime: String { uptimeText(seconds: Int(cr_clock_ms() - startedAt) / 1000) }

    /// `YYYY-MM-DD HH:MM:SS`, local time.
    public var datetime: String { localTime() }

    private func registerBuiltIns() {
        let host = host
        register("ping", []) { call throws(CommandFailure) in call.print("pong\n") }
        register("help", [CommandUsage("help", "Show all commands")]) { call throws(CommandFailure) in
            call.print(fullUsage(host.commands))
        }
        register("status", [CommandUsage("status", "Show broker status.")]) { call throws(CommandFailure) in
            guard call.words.isEmpty else { throw .usage }
            let options = host.options
            call.print("Node '\(options.nodeName)' is started\n")
            call.print("\(options.brokerName.lowercased()) \(options.brokerVersion) is running\n")
        }
        registerBroker()
        registerPlugins()
        registerHooks()
    }

    private func registerBroker() {
        let usage = [
            CommandUsage("broker", "Show broker version, uptime and description"),
            CommandUsage("broker stats", "Show broker statistics of clients, topics, subscribers"),
            CommandUsage("broker metrics", "Show broker metrics"),
        ]
        register("broker", usage) { [unowned self] call throws(CommandFailure) in
            switch call.words {
            case []:
                let facts = [
                    ("sysdescr", description), ("version", host.options.brokerVersion), ("uptime", uptime),
                    ("datetime", localTime()),
                ]
                for (key, value) in facts { call.print("\(padded(key, 10)): \(value)\n") }
            case ["stats"]: for stat in metrics(.gauge) { call.print("\(padded(stat.name, 20)): \(stat.value)\n") }
            case ["metrics"]:
                for metric in metrics(.counter) { call.print("\(padded(metric.name, 24)): \(metric.value)\n") }
            default: throw .usage
            }
        }
    }
}

func uptimeText(seconds: Int) -> String {
    var text = "\(seconds % 60) seconds"
    guard seconds >= 60 else { return text }
    text = "\(seconds / 60 % 60) minutes, " + text
    guard seconds >= 3600 else { return text }
    text = "\(seconds / 3600 % 24) hours, " + text
    return seconds >= 86400 ? "\(seconds / 86400) days," + text : text
}

/// `YYYY-MM-DD HH:MM:SS`.
private func localTime() -> String {
    var now = time(nil)
    var parts = tm()
    localtime_r(&now, &parts)
    var text = [UInt8](repeating: 0, count: 32)
    let count = text.withUnsafeMutableBytes {
        strftime($0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count, "%Y-%m-%d %H:%M:%S", &parts)
    }
    return String(decoding: text.prefix(count), as: UTF8.self)
}
