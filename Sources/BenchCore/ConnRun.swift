// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// What connections cost: memory of idle ones, CPU of connecting, and the wait of many that come at once.
struct ConnRun {
    static let atOnce = 2_000

    let settings: Settings
    let broker: ProcessMeter?
    private var address: SocketAddress

    init(settings: Settings, broker: ProcessMeter?) throws {
        (self.settings, self.broker) = (settings, broker)
        address = try SocketAddress(host: settings.host, port: settings.port)
    }

    func run() throws -> BenchResult {
        var result = BenchResult(settings)
        (result.publishers, result.window) = (0, nil)
        if settings.subscribers > 0 { try measureIdle(&result) }
        try measureConnects(&result)
        try measureCrowd(&result)
        result.brokerMemoryBytes = broker?.memory()?.resident
        return result
    }

    private func crew(_ change: (inout Traffic) -> Void = { _ in }) throws -> Crew {
        var traffic = Traffic(settings)
        traffic.rate = nil
        traffic.nap = 0
        traffic.sources = try address.sources()
        change(&traffic)
        return try Crew(traffic: traffic, address: address, threads: settings.threads)
    }

    /// First a few connections that make the broker set up what it sets up once, then the difference.
    private func measureIdle(_ result: inout BenchResult) throws {
        let crew = try crew()
        defer { crew.stop() }
        let first = 100
        crew.add(idle(0..<first))
        try crew.waitForClients(first, subscriptions: first)
        settle()
        let before = broker?.memory()
        let total = first + settings.subscribers
        crew.add(idle(first..<total))
        try crew.waitForClients(total, subscriptions: total)
        settle()
        if let before, let after = broker?.memory() {
            let each = Double(after.anonymous - before.anonymous) / Double(settings.subscribers)
            result.figures.append(.init("memory per idle connection", each, "B"))
        }
        crew.disconnectAll(patience: 30)
        settle()
        if let before, let after = broker?.memory() {
            let kept = Double(after.anonymous - before.anonymous) / Double(settings.subscribers)
            result.figures.append(.init("memory per connection kept after they left", kept, "B"))
        }
        result.messages.takeOver(crew)
    }

    private func idle(_ numbers: Range<Int>) -> [ClientSpec] {
        numbers.map { ClientSpec(name: "bench-idle-\($0)", filters: ["\(settings.topicPrefix)/idle/\($0)"]) }
    }

    /// Brokers free and count in the background; the kernel's numbers follow.
    private func settle() { usleep(500_000) }

    /// Connect, CONNECT, CONNACK, DISCONNECT, close, over and over.
    private func measureConnects(_ result: inout BenchResult) throws {
        let crew = try crew()
        defer { crew.stop() }
        let total = settings.count ?? 20_000
        let lanes = min(UInt64(settings.parallelConnects), total)
        let start = (time: bench_now(), broker: broker?.cpu(), own: ProcessMeter.own().cpu())
        crew.add(
            (0..<lanes).map { lane in
                ClientSpec(name: "bench-churn-\(lane)", churn: total / lanes + (lane < total % lanes ? 1 : 0))
            })
        try waitForChurn(crew, total)
        result.seconds = rounded(Double(bench_now() - start.time) / 1e9)
        settle()
        if let before = start.broker, let after = broker?.cpu() {
            let each = (after - before).total / Double(total) * 1e6
            result.figures.append(.init("broker CPU per connect", each, "µs CPU"))
        }
        if let before = start.own, let after = ProcessMeter.own().cpu() {
            result.generatorCPU = .init(after - before, seconds: result.seconds, messages: total)
            result.notes.append("the generator's \"messages\" are connects here")
        }
        let times = crew.merged { $0.connectTime }
        result.figures.append(.init("connects per second", Double(total) / result.seconds, "1/s", lowerIsBetter: false))
        result.figures.append(.init("connect p99", Double(times.quantile(0.99)) / 1000, "µs"))
    }

    private func waitForChurn(_ crew: Crew, _ total: UInt64) throws {
        let isDone = crew.wait(120) { crew.sum(.finished) >= total || crew.sum(.failed) > 0 }
        guard isDone && crew.sum(.failed) == 0 else {
            let complaint = crew.collect { $0.lastComplaint }.compactMap { $0 }.first ?? "the broker stopped answering"
            throw BenchError("\(crew.sum(.finished)) of \(total) connects done, then: \(complaint)")
        }
    }

    /// All connects are under way before the first answer is waited for.
    private func measureCrowd(_ result: inout BenchResult) throws {
        let crew = try crew { $0.parallelConnects = Self.atOnce }
        defer { crew.stop() }
        crew.add((0..<Self.atOnce).map { ClientSpec(name: "bench-crowd-\($0)") })
        try crew.waitForClients(Self.atOnce, subscriptions: 0)
        let times = crew.merged { $0.connectTime }
        for (name, fraction) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let milliseconds = Double(times.quantile(fraction)) / 1e6
            result.figures.append(.init("\(Self.atOnce) connects at once, \(name)", milliseconds, "ms"))
        }
        crew.disconnectAll(patience: 30)
    }
}
