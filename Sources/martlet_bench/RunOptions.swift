// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BenchCore

/// The options of every scenario; what is not given stays as the scenario has it.
struct RunOptions: ParsableArguments {
    @OptionGroup(title: "Broker") var broker: BrokerOptions
    @OptionGroup(title: "Load") var load: LoadOptions
    @OptionGroup(title: "Output") var output: OutputOptions

    func settings(_ scenario: Scenario) throws -> Settings {
        var settings = Settings(scenario)
        broker.apply(to: &settings)
        load.apply(to: &settings)
        settings.showsProgress = !output.quiet
        do {
            try settings.validate()
        } catch let error as BenchError {
            throw ValidationError(error.description)
        }
        return settings
    }
}

struct BrokerOptions: ParsableArguments {
    @Option(help: "Host name or address.") var host = "127.0.0.1"
    @Option(name: .shortAndLong) var port: UInt16 = 1883
    @Option(help: "tcp; ws: WebSocket on the path /mqtt; tls or ssl, whatever the certificate; wss: both.")
    var transport = Transport.tcp
    @Option(help: "The broker's process; default: the one that listens on the port, if it is on this machine.")
    var pid: Int32?
    @Option(help: "Starts the broker with this command, {port} replaced by a free port, and stops it afterwards.")
    var spawn: String?
    @Option(name: [.customShort("u"), .long]) var username: String?
    @Option(name: [.customShort("P"), .long]) var password: String?

    func apply(to settings: inout Settings) {
        (settings.host, settings.port, settings.pid, settings.spawn) = (host, port, pid, spawn)
        settings.transport = transport
        (settings.username, settings.password) = (username, password)
    }
}

extension Beat: ExpressibleByArgument {}

extension Transport: ExpressibleByArgument {
    public init?(argument: String) { self.init(word: argument) }
}

struct LoadOptions: ParsableArguments {
    @Option(
        help:
            "Clients of the scenario: publishers for pub and fanin, subscribers for sub and fanout, pairs, connections."
    )
    var clients: Int?
    @Option(help: "Publishers and as many subscribers.") var pairs: Int?
    @Option(help: "Publishers.") var pubs: Int?
    @Option(help: "Subscribers.") var subs: Int?
    @Option(help: "Payload bytes, 24 of them the stamp (default 64).") var size: Int?
    @Option(
        name: .shortAndLong,
        help: "Quality of service of publishing and subscribing (default 0; offline: 1 or 2, default 1).")
    var qos: UInt8?
    @Option(name: [.customShort("V"), .long], help: "4: MQTT 3.1.1 (default), 5: MQTT 5.") var version: UInt8?
    @Option(help: "Seconds that are measured (default 5).") var duration: Double?
    @Option(help: "Seconds before the measured part (default 1).") var warmup: Double?
    @Option(help: "Messages (conn: connects) in all, instead of a duration.") var count: UInt64?
    @Option(help: "Messages on the way per publisher (default 256; with QoS 1 and 2: 32).") var window: Int?
    @Option(help: "Messages per second of all publishers together; default: as fast as the window lets them.") var rate:
        Double?
    @Option(help: "How they are spread: even, random (clients that know nothing of each other), millisecond (timers).")
    var beat: Beat?
    @Flag(help: "Do not wait for receivers: a broker that cannot keep up will lose messages.") var openLoop = false
    @Option(help: "Threads (default 2).") var threads: Int?
    @Option(help: "First level of every topic (default bench).") var topicPrefix: String?
    @Option(help: "Keep-alive in seconds, 0 for none (default 60).") var keepalive: UInt16?
    @Option(help: "Connects per second; default: as many as the broker answers.") var connectRate: Double?
    @Option(help: "Connects waiting for an answer at one time (default 200).") var parallel: Int?
    @Option(help: "Seconds of silence after which a message counts as lost (default 10).") var drain: Double?
    @Option(help: "Wildcard filters in all (default 100,000).") var filters: Int?
    @Option(help: "Microseconds to sleep after a wake-up that brought little.") var nap: Int?

    func apply(to s: inout Settings) {
        applyNumbers(to: &s)
        set(&s.size, size)
        set(&s.qos, qos)
        set(&s.version, version)
        set(&s.duration, duration)
        set(&s.warmup, warmup)
        set(&s.threads, threads)
        set(&s.topicPrefix, topicPrefix)
        set(&s.keepAlive, keepalive)
        set(&s.parallelConnects, parallel)
        set(&s.drain, drain)
        set(&s.filters, filters)
        set(&s.beat, beat)
        (s.count, s.window, s.rate, s.openLoop) = (count, window, rate, openLoop)
        (s.connectRate, s.nap) = (connectRate, nap)
    }

    private func applyNumbers(to s: inout Settings) {
        switch s.scenario {
        case .pub, .fanin: set(&s.publishers, clients)
        case .pairs:
            set(&s.publishers, clients ?? pairs)
            set(&s.subscribers, clients ?? pairs)
        case .sub, .fanout, .conn, .wildcard: set(&s.subscribers, clients)
        case .retain, .offline: set(&s.publishers, clients)
        }
        set(&s.publishers, pubs)
        set(&s.subscribers, subs)
    }

    private func set<T>(_ target: inout T, _ value: T?) {
        if let value { target = value }
    }
}

struct OutputOptions: ParsableArguments {
    @Flag(help: "The result as JSON.") var json = false
    @Flag(help: "The result as a markdown table.") var markdown = false
    @Flag(help: "No progress line on standard error.") var quiet = false

    func text(for result: BenchResult) -> String {
        json ? Report.json(result) : markdown ? Report.markdown([result]) : Report.plain(result)
    }
}
