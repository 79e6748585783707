// SPDX-License-Identifier: Apache-2.0
import CMartlet

/// martlet.metrics/1
nonisolated(unsafe) let metricsTable = permanent(
    martlet_metrics_v1(
        size: size(of: martlet_metrics_v1.self),
        define: { host, kind, name, help, out in
            registering(host, "metrics.define", out) { instance throws(RegistrationError) in
                guard kind == Int32(MARTLET_COUNTER) || kind == Int32(MARTLET_GAUGE) else {
                    throw RegistrationError(statusInvalid, "there is no kind of metric \(kind)")
                }
                let name = try registeredName(name)
                guard !instance.host.hasNumber(name) else {
                    throw RegistrationError(statusExists, "the metric \(name) is the broker's own")
                }
                return try instance.host.metricTable.define(
                    name, cText(help, limit: 1024) ?? "", kind == Int32(MARTLET_COUNTER) ? .counter : .gauge,
                    for: instance)
            }
        },
        add: { host, token, delta in _ = metrics(host).add(token, delta) },
        set: { host, token, value in _ = metrics(host).set(token, value) }))

/// Without counting references: this is called on the message path.
private func metrics(_ host: HostPointer) -> MetricTable {
    Unmanaged<PluginInstance>.fromOpaque(host.pointee.impl)._withUnsafeGuaranteedRef { $0.host.metricTable }
}

/// martlet.alarm/1
nonisolated(unsafe) let alarmTable = permanent(
    martlet_alarm_v1(
        size: size(of: martlet_alarm_v1.self),
        raise: { host, id, severity, title, summary in
            let instance = instance(host)
            guard instance.phase != .gone else { return }
            let severity = Alarm.Severity(rawValue: severity) ?? .critical
            instance.host.alarms.raise(
                id.line(limit: 256), severity, title: title.line(limit: 256), summary: summary.line(limit: 2048),
                by: instance.name)
        },
        clear: { host, id in
            let instance = instance(host)
            guard instance.phase != .gone else { return }
            instance.host.alarms.clear(id.line(limit: 256), by: instance.name)
        }))
