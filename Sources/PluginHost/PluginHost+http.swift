// SPDX-License-Identifier: Apache-2.0
import HTTPClient

/// What the plugins' HTTP requests add up to.
extension PluginHost {
    /// Ends an instance's clients: no callback of theirs is called any more.
    func cancelRequests(of instance: PluginInstance) {
        for client in instance.http.cancelAll() { remember(client.pool.snapshot()) }
    }

    /// Counters go on when the client they counted for is gone.
    func remember(_ stats: HTTPStats) { endedHTTP.add(stats) }

    /// Empty until a plugin has made a client.
    func httpMetrics() -> [Metric] {
        guard http.isInUse else { return [] }
        var total = endedHTTP
        for client in running.flatMap(\.http.clients) {
            let stats = client.pool.snapshot()
            total.add(stats)
            total.open += stats.open
            total.queued += stats.queued
        }
        var rows: [Metric] = [
            row("open", .gauge, Int64(total.open), "Requests waiting and under way."),
            row("queued", .gauge, Int64(total.queued), "Requests that wait for a connection."),
            row("requests", .counter, Int64(total.requests), "Requests plugins have made."),
            row("responses", .counter, Int64(total.responses), "Whole responses, whatever their status."),
            row("busy", .counter, Int64(total.busy), "Requests refused because too many were open."),
            row("cancelled", .counter, Int64(total.cancelled), "Requests cancelled before their response."),
            row("retries", .counter, Int64(total.retries), "Requests made again."),
            row("connections", .counter, Int64(total.connections), "Connections made."),
        ]
        for kind in HTTPFailure.allCases {
            rows.append(
                row("failed/\(kind.rawValue)", .counter, Int64(total.failures[kind] ?? 0), "Requests that failed."))
        }
        return rows
    }

    private func row(_ name: String, _ kind: MetricKind, _ value: Int64, _ help: String) -> Metric {
        Metric(name: "httpc/\(name)", kind: kind, help: help, value: value)
    }

    /// Pairs for `plugins show NAME`, one for each client.
    func httpFacts(_ instance: PluginInstance) -> [(key: String, value: String)] {
        instance.http.clients.map { ("httpc \($0.name)", text($0.pool.snapshot())) }
    }

    private func text(_ stats: HTTPStats) -> String {
        let failures = HTTPFailure.allCases.compactMap { kind in
            stats.failures[kind].map { "\(kind.rawValue)=\($0)" }
        }
        return "open=\(stats.open), queued=\(stats.queued), requests=\(stats.requests), "
            + "responses=\(stats.responses), failed=\(stats.failed)"
            + (failures.isEmpty ? "" : " (\(failures.joined(separator: ", ")))")
            + ", busy=\(stats.busy), cancelled=\(stats.cancelled), retries=\(stats.retries), "
            + "connections=\(stats.connections), p50=\(stats.latency.percentile(0.5))us, "
            + "p99=\(stats.latency.percentile(0.99))us"
    }
}
