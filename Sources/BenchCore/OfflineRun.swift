// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// Messages queued for a persistent session while its client is away, and their delivery when it comes back.
struct OfflineRun {
    let settings: Settings
    let broker: ProcessMeter?

    private var total: UInt64 { settings.count ?? 100_000 }
    private var topic: String { "\(settings.topicPrefix)/offline" }

    func run() throws -> BenchResult {
        guard settings.qos > 0 else {
            throw BenchError("--qos must be 1 or 2: brokers may drop QoS 0 for absent clients")
        }
        var traffic = Traffic(settings)
        (traffic.openLoop, traffic.rate, traffic.nap) = (true, nil, 0)
        traffic.window = settings.window ?? 256
        traffic.batch = max(1, traffic.window / 4)
        traffic.publisherCount = settings.publishers
        let crew = try Crew(
            traffic: traffic, address: SocketAddress(host: settings.host, port: settings.port),
            threads: settings.threads)
        defer { crew.stop() }
        var result = BenchResult(settings)
        result.subscribers = 1
        try leave(crew)
        try queue(crew, &result)
        try resume(crew, &result)
        try forget(crew)
        result.messages.takeOver(crew)
        return result
    }

    private var subscriber: ClientSpec {
        ClientSpec(
            name: "bench-offline-\(topic)", filters: ["\(topic)/+"], subscribeQoS: settings.qos, persistent: true,
            receiver: .onlyReceiver, hears: 0..<settings.publishers)
    }

    /// Subscribes with a session that stays, and goes.
    private func leave(_ crew: Crew) throws {
        crew.add([subscriber])
        try crew.waitForClients(1, subscriptions: 1)
        guard crew.sum(.sessionsPresent) == 0 else {
            throw BenchError("a session of an earlier run is still there; choose another --topic-prefix")
        }
        crew.disconnectAll()
    }

    private func queue(_ crew: Crew, _ result: inout BenchResult) throws {
        let count = UInt64(settings.publishers)
        let memory = broker?.memory()
        let cpu = broker?.cpu()
        crew.add(
            (0..<settings.publishers).map { i in
                let limit = total / count + (UInt64(i) < total % count ? 1 : 0)
                return ClientSpec(
                    name: "bench-offline-p\(i)",
                    publishing: .init(index: i, topic: .fixed("\(topic)/\(i)"), limit: limit))
            })
        try crew.waitForClients(1 + settings.publishers, subscriptions: 1)
        let start = bench_now()
        crew.startPublishing()
        crew.drain(silence: settings.drain) { crew.sum(.acked) >= total }
        guard crew.sum(.acked) == total else {
            throw BenchError("the broker acknowledged \(crew.sum(.acked)) of \(total) messages for the absent client")
        }
        let seconds = Double(bench_now() - start) / 1e9
        result.figures.append(.init("queued per second", Double(total) / seconds, "1/s", lowerIsBetter: false))
        usleep(300_000)
        if let cpu, let after = broker?.cpu() {
            let each = (after - cpu).total / Double(total) * 1e6
            result.figures.append(.init("broker CPU per queued message", each, "µs CPU"))
        }
        if let memory, let after = broker?.memory() {
            let each = Double(after.anonymous - memory.anonymous) / Double(total)
            result.figures.append(.init("memory per queued message", each, "B"))
        }
    }

    private func resume(_ crew: Crew, _ result: inout BenchResult) throws {
        let cpu = broker?.cpu()
        let own = ProcessMeter.own().cpu()
        let start = bench_now()
        crew.onEach { loop in for client in loop.receivers { loop.resume(client) } }
        crew.drain(silence: settings.drain) { crew.sum(.received) >= total || crew.sum(.failed) > 0 }
        let seconds = Double(max(start, crew.highest(.lastReceived)) - start) / 1e9
        if crew.sum(.sessionsPresent) == 0 { result.notes.append("the broker did not keep the session") }
        result.seconds = rounded(seconds)
        let delivered = crew.sum(.received)
        result.messagesPerSecond = seconds > 0 ? rounded(Double(delivered) / seconds) : 0
        result.figures.append(.init("delivered on resume", seconds, "s"))
        if let cpu, let after = broker?.cpu() {
            result.figures.append(
                .init("broker CPU per resumed message", (after - cpu).total / Double(total) * 1e6, "µs CPU"))
            result.brokerCPU = .init(after - cpu, seconds: seconds, messages: delivered)
        }
        if let own, let after = ProcessMeter.own().cpu() {
            result.generatorCPU = .init(after - own, seconds: seconds, messages: delivered)
        }
        result.brokerMemoryBytes = broker?.memory()?.resident
        result.messages.account(crew, sent: total)
    }

    /// Ends the session, so that a second run starts without it.
    private func forget(_ crew: Crew) throws {
        crew.disconnectAll()
        crew.onEach { loop in
            for client in loop.receivers {
                loop.specs[client.pointee.index].persistent = false
                loop.resume(client)
            }
        }
        try crew.waitForClients(3 + settings.publishers, subscriptions: 1)
        crew.disconnectAll()
    }
}
