// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BenchCore

@main
struct MartletBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Loads an MQTT broker, accounts for every message, and says what the broker paid for it.",
        discussion: "How to read the numbers: docs/benchmarks.md.",
        subcommands: [
            Pub.self, Sub.self, Pairs.self, Fanin.self, Fanout.self, Conn.self, Retain.self, Offline.self,
            Wildcard.self,
            Compare.self, CountCommand.self, Selftest.self,
        ])
}

/// A subcommand that runs one scenario.
protocol ScenarioCommand: ParsableCommand {
    static var scenario: Scenario { get }
    var options: RunOptions { get }
}

extension ScenarioCommand {
    func run() throws {
        let settings = try options.settings(Self.scenario)
        let result = try Bench.run(settings)
        print(options.output.text(for: result))
        if !result.messages.isClean { throw ExitCode(2) }
    }
}

struct Pub: ScenarioCommand {
    static let scenario = Scenario.pub
    static let configuration = CommandConfiguration(abstract: "Publishers only (100).")
    @OptionGroup var options: RunOptions
}

struct Sub: ScenarioCommand {
    static let scenario = Scenario.sub
    static let configuration = CommandConfiguration(
        abstract: "Subscribers only: counts what `bench pub` sends from elsewhere.")
    @OptionGroup var options: RunOptions
}

struct Pairs: ScenarioCommand {
    static let scenario = Scenario.pairs
    static let configuration = CommandConfiguration(abstract: "Each publisher has one subscriber (100 to 100).")
    @OptionGroup var options: RunOptions
}

struct Fanin: ScenarioCommand {
    static let scenario = Scenario.fanin
    static let configuration = CommandConfiguration(abstract: "Many publishers, one subscriber (100 to 1).")
    @OptionGroup var options: RunOptions
}

struct Fanout: ScenarioCommand {
    static let scenario = Scenario.fanout
    static let configuration = CommandConfiguration(abstract: "One publisher, many subscribers (1 to 100).")
    @OptionGroup var options: RunOptions
}

struct Conn: ScenarioCommand {
    static let scenario = Scenario.conn
    static let configuration = CommandConfiguration(
        abstract: "Memory per idle connection, CPU per connect, 2,000 connects at once.",
        discussion: "--clients: idle connections; --count: connects that are measured.")
    @OptionGroup var options: RunOptions
}

struct Retain: ScenarioCommand {
    static let scenario = Scenario.retain
    static let configuration = CommandConfiguration(
        abstract: "Stores retained messages (--count, 200,000), then one subscriber gets all.")
    @OptionGroup var options: RunOptions
}

struct Offline: ScenarioCommand {
    static let scenario = Scenario.offline
    static let configuration = CommandConfiguration(
        abstract: "Queues messages (--count, 100,000) for an absent persistent session, then resumes it.")
    @OptionGroup var options: RunOptions
}

struct Wildcard: ScenarioCommand {
    static let scenario = Scenario.wildcard
    static let configuration = CommandConfiguration(
        abstract: "100,000 filters a/+/x/N/# on 1,000 clients, each message to another random topic.")
    @OptionGroup var options: RunOptions
}
