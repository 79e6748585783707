// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// Retained messages: what each costs to store, and how fast one subscriber gets them all.
struct RetainRun {
    let settings: Settings
    let broker: ProcessMeter?

    private var total: UInt64 { settings.count ?? 200_000 }

    func run() throws -> BenchResult {
        var result = BenchResult(settings)
        result.subscribers = 1
        try measure(&result)
        // A broker of the run's own takes its messages with it; any other gets them deleted.
        if settings.spawn == nil && !settings.keepsRetained { try clean() }
        return result
    }

    private func measure(_ result: inout BenchResult) throws {
        let crew = try crew(size: settings.size)
        defer { crew.stop() }
        try store(crew, &result)
        try fetch(crew, &result)
        crew.disconnectAll(patience: 30)
        result.messages.takeOver(crew)
    }

    private func crew(size: Int) throws -> Crew {
        var traffic = Traffic(settings)
        (traffic.retain, traffic.openLoop, traffic.rate, traffic.nap) = (true, true, nil, 0)
        // Acknowledgements tell when all are stored.
        (traffic.qos, traffic.size) = (max(1, settings.qos), size)
        traffic.window = settings.window ?? 256
        traffic.batch = max(1, traffic.window / 4)
        traffic.publisherCount = settings.publishers
        let address = try SocketAddress(host: settings.host, port: settings.port)
        return try Crew(traffic: traffic, address: address, threads: settings.threads)
    }

    /// An empty payload deletes a retained message [MQTT-3.3.1-6].
    private func clean() throws {
        let crew = try crew(size: 0)
        defer { crew.stop() }
        try publishAll(crew, "deletions of retained messages")
        crew.disconnectAll(patience: 30)
    }

    private func prefix(_ publisher: Int) -> String { "\(settings.topicPrefix)/retained/\(publisher)/" }

    /// Returns when the last one was acknowledged, with the time and CPU it began at.
    @discardableResult
    private func publishAll(_ crew: Crew, _ what: String) throws -> (start: UInt64, cpu: ProcessMeter.CPU?) {
        let count = UInt64(settings.publishers)
        crew.add(
            (0..<settings.publishers).map { i in
                let limit = total / count + (UInt64(i) < total % count ? 1 : 0)
                return ClientSpec(
                    name: "bench-retain-\(i)",
                    publishing: .init(index: i, topic: .numbered(prefix: prefix(i)), limit: limit))
            })
        try crew.waitForClients(settings.publishers, subscriptions: 0)
        let cpu = broker?.cpu()
        let start = bench_now()
        crew.startPublishing()
        crew.drain(silence: settings.drain) { crew.sum(.acked) >= total }
        guard crew.sum(.acked) == total else {
            throw BenchError("the broker acknowledged \(crew.sum(.acked)) of \(total) \(what)")
        }
        return (start, cpu)
    }

    private func store(_ crew: Crew, _ result: inout BenchResult) throws {
        let before = broker?.memory()
        let (start, cpu) = try publishAll(crew, "retained messages")
        let seconds = Double(bench_now() - start) / 1e9
        result.figures.append(.init("stored per second", Double(total) / seconds, "1/s", lowerIsBetter: false))
        usleep(500_000)
        if let cpu, let after = broker?.cpu() {
            let each = (after - cpu).total / Double(total) * 1e6
            result.figures.append(.init("broker CPU per stored message", each, "µs CPU"))
        }
        if let before, let after = broker?.memory() {
            let each = Double(after.anonymous - before.anonymous) / Double(total)
            result.figures.append(.init("memory per retained message", each, "B"))
        }
    }

    private func fetch(_ crew: Crew, _ result: inout BenchResult) throws {
        let cpu = broker?.cpu()
        let own = ProcessMeter.own().cpu()
        let start = bench_now()
        crew.add([
            ClientSpec(
                name: "bench-retain-all", filters: ["\(settings.topicPrefix)/retained/#"], subscribeQoS: settings.qos,
                receiver: .collector, hears: 0..<settings.publishers)
        ])
        crew.drain(silence: settings.drain) { crew.sum(.received) >= total || crew.sum(.failed) > 0 }
        try crew.waitForClients(settings.publishers + 1, subscriptions: 1)
        let seconds = Double(max(start, crew.highest(.lastReceived)) - start) / 1e9
        result.seconds = rounded(seconds)
        result.figures.append(.init("all retained to one subscriber", seconds, "s"))
        if let cpu, let after = broker?.cpu() {
            result.brokerCPU = .init(after - cpu, seconds: seconds, messages: total)
        }
        if let own, let after = ProcessMeter.own().cpu() {
            result.generatorCPU = .init(after - own, seconds: seconds, messages: total)
        }
        result.brokerMemoryBytes = broker?.memory()?.resident
        result.messagesPerSecond = rounded(Double(crew.sum(.received)) / max(seconds, 1e-9))
        result.messages.account(crew, sent: total)
    }
}
