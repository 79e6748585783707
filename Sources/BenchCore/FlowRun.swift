// SPDX-License-Identifier: Apache-2.0
import CBench
import Glibc

/// pub, sub, pairs, fanin, fanout, wildcard: clients connect, messages flow, everything sent is accounted for.
struct FlowRun {
    let settings: Settings
    let broker: ProcessMeter?

    /// What is read at the beginning and the end of the measured part.
    private struct Mark {
        var time = bench_now()
        var sent: UInt64
        var received: UInt64
        var acked: UInt64
        var broker: ProcessMeter.CPU?
        var own: ProcessMeter.CPU?

        init(_ crew: Crew, _ broker: ProcessMeter?) {
            sent = crew.sum(.sent)
            received = crew.sum(.received)
            acked = crew.sum(.acked)
            self.broker = broker?.cpu()
            own = ProcessMeter.own().cpu()
        }
    }

    func run() throws -> BenchResult {
        var traffic = Traffic(settings)
        if settings.scenario == .pub { traffic.openLoop = true }
        let layout = try FlowLayout(settings, run: traffic.run)
        traffic.publisherCount = settings.publishers
        let crew = try Crew(
            traffic: traffic, address: SocketAddress(host: settings.host, port: settings.port),
            threads: settings.threads,
            rule: layout.rule)
        defer { crew.stop() }
        crew.add(layout.receivers)
        try crew.waitForClients(layout.receivers.count, subscriptions: layout.subscriptions)
        crew.add(layout.publishers)
        try crew.waitForClients(
            layout.receivers.count + layout.publishers.count, subscriptions: layout.subscriptions)
        var result = measure(crew, layout)
        account(crew, layout, &result)
        // Without receivers and acknowledgements, only the broker's closing tells that it has read everything.
        crew.disconnectAll(patience: settings.scenario == .pub ? 60 : 6)
        return result
    }

    private func measure(_ crew: Crew, _ layout: FlowLayout) -> BenchResult {
        var result = BenchResult(settings)
        let progress = ProgressLine(settings, crew)
        if settings.count == nil { warmUp(crew, progress) }
        crew.resetTimes()
        let start = Mark(crew, broker)
        if settings.count != nil {
            crew.startPublishing()
            let all = { Int(crew.sum(.sent)) >= layout.limit && isComplete(crew, layout) }
            runUntil(crew, progress, limit: nil) { all() }
        } else {
            runUntil(crew, progress, limit: settings.duration) { false }
        }
        let end = Mark(crew, broker)
        crew.stopPublishing()
        crew.drain(silence: settings.scenario == .sub ? 0 : settings.drain) { isComplete(crew, layout) }
        fill(&result, crew, start, end)
        return result
    }

    private func warmUp(_ crew: Crew, _ progress: ProgressLine) {
        crew.startPublishing()
        runUntil(crew, progress, limit: settings.warmup) { false }
    }

    /// Shows progress until the time is over, `isDone`, every connection is lost, or (without a limit) nothing moves
    /// any more.
    private func runUntil(_ crew: Crew, _ progress: ProgressLine, limit: Double?, isDone: () -> Bool) {
        let start = bench_now()
        var lastCount: UInt64 = 0
        var lastChange = start
        while !isDone() {
            let now = bench_now()
            if let limit, Double(now - start) >= limit * 1e9 { return }
            let count = crew.sum(.received) + crew.sum(.sent) + crew.sum(.acked)
            if count != lastCount { (lastCount, lastChange) = (count, now) }
            let patience = settings.scenario == .sub ? Double.infinity : settings.drain
            if limit == nil && Double(now - lastChange) > patience * 1e9 { return }
            progress.show(now)
            usleep(limit == nil ? 500 : 2_000)
        }
    }

    private func isComplete(_ crew: Crew, _ layout: FlowLayout) -> Bool {
        if settings.scenario == .sub { return settings.count.map { crew.sum(.received) >= $0 } ?? false }
        let sent = crew.sum(.sent)
        if settings.qos > 0 && crew.sum(.acked) < sent { return false }
        return crew.sum(.received) >= sent * UInt64(layout.receiversPerMessage)
    }

    private func fill(_ result: inout BenchResult, _ crew: Crew, _ start: Mark, _ end: Mark) {
        result.seconds = rounded(Double(end.time - start.time) / 1e9)
        let messages =
            settings.scenario != .pub
            ? end.received - start.received : settings.qos > 0 ? end.acked - start.acked : end.sent - start.sent
        result.messagesPerSecond = rounded(Double(messages) / result.seconds)
        result.latency = .init(crew.merged { $0.latency })
        result.acknowledgementTime = .init(crew.merged { $0.ackTime })
        result.generatorLag = .init(crew.merged { $0.lag })
        if let a = start.broker, let b = end.broker {
            result.brokerCPU = .init(b - a, seconds: result.seconds, messages: messages)
        }
        if let a = start.own, let b = end.own {
            result.generatorCPU = .init(b - a, seconds: result.seconds, messages: messages)
        }
        result.brokerMemoryBytes = broker?.memory()?.resident
    }

    /// Compares every stream with what its publisher sent, the warm-up included.
    private func account(_ crew: Crew, _ layout: FlowLayout, _ result: inout BenchResult) {
        var sent = [UInt64](repeating: 0, count: settings.publishers)
        for (index, count) in crew.collect(\.sentByPublisher).joined() { sent[index] = count }
        let reports = crew.collect { [sent] in $0.streamReport(sent: sent) }
        var messages = BenchResult.Messages()
        for report in reports {
            messages.received += report.received
            messages.duplicates += report.duplicates
            messages.outOfOrder += report.outOfOrder
            messages.lost += report.lost
        }
        messages.sent = crew.sum(.sent)
        messages.acknowledged = crew.sum(.acked)
        messages.expected = messages.sent * UInt64(layout.receiversPerMessage)
        if settings.scenario == .wildcard {
            messages.lost = messages.expected - min(messages.expected, messages.received)
        }
        if settings.qos > 0 && settings.scenario == .pub { messages.lost += messages.sent - messages.acknowledged }
        messages.takeOver(crew)
        result.messages = messages
    }
}

extension BenchResult.Messages {
    /// Every receiver should have got every one of `total` messages, and all were acknowledged.
    mutating func account(_ crew: Crew, sent total: UInt64) {
        (sent, acknowledged, expected) = (total, total, total)
        for report in crew.collect({ $0.streamReport(sent: nil) }) {
            received += report.received
            duplicates += report.duplicates
            outOfOrder += report.outOfOrder
        }
        lost = total - min(total, received)
    }

    /// The counts that have nothing to do with streams.
    mutating func takeOver(_ crew: Crew) {
        foreign = crew.sum(.foreign)
        misrouted = crew.sum(.misrouted)
        protocolErrors = crew.sum(.protocolErrors)
        lostConnections = crew.sum(.lostConnections)
    }
}

extension Traffic {
    init(_ settings: Settings) {
        self.init(run: UInt32.random(in: 1...UInt32.max))
        (transport, host, port) = (settings.transport, settings.host, settings.port)
        (version, qos, size) = (settings.version, settings.qos, settings.size)
        window = settings.effectiveWindow
        batch = max(1, window / 4)
        (openLoop, rate, beat) = (settings.openLoop, settings.rate, settings.beat)
        (keepAlive, username, password) = (settings.keepAlive, settings.username, settings.password)
        parallelConnects = max(1, settings.parallelConnects / settings.threads)
        connectRate = settings.connectRate.map { $0 / Double(settings.threads) }
        nap = UInt64(settings.effectiveNap) * 1000
    }
}

extension Loop {
    struct StreamReport: Sendable {
        var received: UInt64 = 0
        var duplicates: UInt64 = 0
        var outOfOrder: UInt64 = 0
        var lost: UInt64 = 0

        mutating func add(_ stream: SequenceTracker) {
            received += stream.received
            duplicates += stream.duplicates
            outOfOrder += stream.outOfOrder
        }
    }

    /// Number and messages written, of each publisher of this loop.
    var sentByPublisher: [(Int, UInt64)] {
        ownPublishers.map { ($0.pointee.publisher!.pointee.index, $0.pointee.publisher!.pointee.next) }
    }

    /// `sent`: messages by publisher; nil: what is lost is not asked for.
    func streamReport(sent: [UInt64]?) -> StreamReport {
        var report = StreamReport()
        for client in receivers {
            for i in 0..<client.pointee.streamCount {
                let stream = client.pointee.streams![i]
                report.add(stream)
                let expected = sent?[client.pointee.firstStream + i] ?? 0
                report.lost += expected - min(expected, stream.received)
            }
        }
        for stream in strangers.streams.values {
            report.add(stream)
            report.lost += stream.missing
        }
        return report
    }
}
