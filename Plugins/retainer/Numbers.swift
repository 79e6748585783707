// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// What operators see: gauges as in `broker stats`, and one counter for each limit.
struct Numbers {
    private let count: Gauge
    private let max: Gauge
    /// New topics refused because the table was full.
    let tableFull: Counter
    /// Messages refused because of their payload.
    let tooBig: Counter

    init(_ metrics: Metrics) throws(PluginError) {
        count = try metrics.gauge("retained/count", help: "Retained messages")
        max = try metrics.gauge("retained/max", help: "The most retained messages so far")
        tableFull = try metrics.counter(
            "retained/dropped/table_full", help: "Messages not retained because max_message_num was reached")
        tooBig = try metrics.counter(
            "retained/dropped/payload_size", help: "Messages not retained because of max_payload_size")
    }

    /// [any] Two loops may come here in the wrong order; the next tick puts that right.
    func show(_ store: Store) {
        let levels = store.levels()
        count.set(Int64(levels.live))
        max.set(Int64(levels.peak))
    }
}
