// SPDX-License-Identifier: Apache-2.0
import PluginHost

/// The plugin host's `Metric`, named in a file that does not see the broker's type of the same name.
enum ControlMetric {
    typealias Row = Metric

    static func make(_ name: String, _ kind: MetricKind, _ value: Int64) -> Row {
        Metric(name: name, kind: kind, help: "", value: value)
    }
}
