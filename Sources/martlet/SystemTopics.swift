// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Config
import Control
import Glibc
import PluginHost
import Sessions

/// Publishes `$SYS/brokers/NODE/…`: version, uptime, stats, metrics, alarms. Nothing is retained; who may subscribe
/// is the ACL's business.
final class SystemTopics {
    private unowned let server: Server
    private let prefix: String

    init(_ server: Server) {
        self.server = server
        prefix = "$SYS/brokers/\(server.config.string("node.name"))/"
        let interval = UInt64(server.config.durationMS("broker.sys_interval"))
        let heartbeat = UInt64(server.config.durationMS("broker.sys_heartbeat"))
        if interval > 0 { _ = server.loop.after(1000, every: interval) { [unowned self] in publishAll() } }
        if heartbeat > 0 { _ = server.loop.after(1000, every: heartbeat) { [unowned self] in publishHeartbeat() } }
        let broker = server.broker
        let prefix = prefix
        server.host.alarms.observe { alarm, raised in
            let topic = "\(prefix)alarms/\(alarm.id)/\(raised ? "alert" : "clear")"
            broker.publishSystem(topic, raised ? Self.alert(alarm) : Self.clear(alarm))
        }
    }

    private func publishAll() {
        let node = server.config.string("node.name")
        server.broker.publishSystem("$SYS/brokers", node)
        publish("version", BrokerSettings.release)
        publish("sysdescr", server.control.description)
        for stat in server.control.metrics(.gauge) { publish("stats/\(stat.name)", "\(stat.value)") }
        for metric in server.control.metrics(.counter) { publish("metrics/\(metric.name)", "\(metric.value)") }
    }

    private func publishHeartbeat() {
        publish("uptime", server.control.uptime)
        publish("datetime", server.control.datetime)
    }

    private func publish(_ name: String, _ payload: String) { server.broker.publishSystem(prefix + name, payload) }

    private static func alert(_ alarm: Alarm) -> String {
        "{\"id\":\(quoted(alarm.id)),\"severity\":\"\(alarm.severity)\",\"title\":\(quoted(alarm.title)),"
            + "\"summary\":\(quoted(alarm.summary)),\"ts\":\(alarm.raisedAt / 1000)}"
    }

    private static func clear(_ alarm: Alarm) -> String {
        "{\"id\":\(quoted(alarm.id)),\"ts\":\(cr_unix_ms() / 1000)}"
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            default: if scalar.value < 0x20 { out += " " } else { out.unicodeScalars.append(scalar) }
            }
        }
        return out + "\""
    }
}
