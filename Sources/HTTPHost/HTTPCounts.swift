// SPDX-License-Identifier: Apache-2.0
public import PluginHost
import Synchronization

/// What the listeners have answered, for `broker metrics` and `$SYS`.
final class HTTPCounts: Sendable {
    private let answers = Atomic<Int>(0)
    private let refused = Atomic<Int>(0)
    private let failed = Atomic<Int>(0)
    private let timeouts = Atomic<Int>(0)

    func count(_ status: Int) {
        answers.add(1, ordering: .relaxed)
        if (400..<500).contains(status) { refused.add(1, ordering: .relaxed) }
        if status >= 500 { failed.add(1, ordering: .relaxed) }
        if status == 504 { timeouts.add(1, ordering: .relaxed) }
    }

    var rows: [(String, Int)] {
        [
            ("http/answers", answers.load(ordering: .relaxed)), ("http/status_4xx", refused.load(ordering: .relaxed)),
            ("http/status_5xx", failed.load(ordering: .relaxed)), ("http/timeouts", timeouts.load(ordering: .relaxed)),
        ]
    }
}

extension HTTPServer {
    public var metrics: [Metric] {
        let auth = failures.totals
        return (counts.rows + [("http/auth_failed", auth.failures), ("http/auth_limited", auth.refusals)]).map {
            Metric(name: $0.0, kind: .counter, help: "", value: Int64($0.1))
        }
    }
}
