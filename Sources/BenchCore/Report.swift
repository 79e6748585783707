// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials

/// Results as text: for people, for programs, for documents.
public enum Report {
    public static func json<T: Encodable>(_ value: T) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(value) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    public static func plain(_ r: BenchResult) -> String {
        var lines = ["\(title(r))  \(number(r.seconds)) s"]
        func line(_ name: String, _ text: String) {
            lines.append("  " + name + String(repeating: " ", count: max(1, 14 - name.count)) + text)
        }
        if r.messagesPerSecond > 0 { line("rate", "\(number(r.messagesPerSecond)) messages/s") }
        if r.scenario != .conn { line("messages", accounts(r.messages)) }
        if let t = r.latency { line("latency", times(t)) }
        if let t = r.acknowledgementTime { line("acknowledged", times(t)) }
        if let t = r.generatorLag { line("own lag", times(t)) }
        if let c = r.brokerCPU { line("broker", cost(c) + memory(r)) }
        if let c = r.generatorCPU { line("generator", cost(c)) }
        let widest = r.figures.map(\.name.count).max() ?? 0
        for f in r.figures {
            lines.append(
                "  \(f.name)" + String(repeating: " ", count: widest + 2 - f.name.count)
                    + "\(number(f.value)) \(f.unit)")
        }
        for note in r.notes { line("note", note) }
        return lines.joined(separator: "\n")
    }

    public static func markdown(_ results: [BenchResult]) -> String {
        var rows = [
            "| run | messages/s | lost, double, disordered | latency p50 / p99 / p99.9 / max µs "
                + "| broker CPU µs/message (user + system) | generator CPU µs/message | more |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for r in results {
            let latency =
                r.latency.map { [$0.p50, $0.p99, $0.p999, $0.max].map(number).joined(separator: " / ") } ?? "–"
            let broker =
                r.brokerCPU.map {
                    "\(number($0.microsecondsPerMessage)) "
                        + "(\(number($0.userMicrosecondsPerMessage)) + \(number($0.systemMicrosecondsPerMessage)))"
                } ?? "–"
            let own = r.generatorCPU.map { number($0.microsecondsPerMessage) } ?? "–"
            let more = r.figures.map { "\($0.name) \(number($0.value)) \($0.unit)" }.joined(separator: "; ")
            let rate = r.messagesPerSecond > 0 ? number(r.messagesPerSecond) : "–"
            let wrong = "\(r.messages.lost), \(r.messages.duplicates), \(r.messages.outOfOrder)"
            rows.append("| \(title(r)) | \(rate) | \(wrong) | \(latency) | \(broker) | \(own) | \(more) |")
        }
        return rows.joined(separator: "\n")
    }

    static func title(_ r: BenchResult) -> String {
        var parts = [r.broker.map { "\($0): \(r.name)" } ?? r.name]
        if r.publishers > 0 || r.scenario == .sub { parts.append("\(r.publishers)→\(r.subscribers)") }
        if r.scenario != .conn { parts += ["QoS \(r.qos)", "\(r.payloadBytes) B"] }
        if r.transport != .tcp { parts.append(r.transport.rawValue) }
        parts += [r.mqttVersion == 5 ? "MQTT 5" : "MQTT 3.1.1"]
        return parts.joined(separator: ", ")
    }

    static func accounts(_ m: BenchResult.Messages) -> String {
        var parts = ["\(m.sent) sent", "\(m.received) received", "\(m.lost) lost", "\(m.duplicates) duplicates"]
        parts.append("\(m.outOfOrder) out of order")
        if m.foreign > 0 { parts.append("\(m.foreign) foreign") }
        if m.misrouted > 0 { parts.append("\(m.misrouted) misrouted") }
        if m.protocolErrors > 0 { parts.append("\(m.protocolErrors) protocol errors") }
        if m.lostConnections > 0 { parts.append("\(m.lostConnections) connections lost") }
        return parts.joined(separator: ", ")
    }

    private static func times(_ t: BenchResult.Times) -> String {
        let names = [("p50", t.p50), ("p90", t.p90), ("p99", t.p99), ("p99.9", t.p999), ("max", t.max)]
        return names.map { "\($0.0) \(number($0.1))" }.joined(separator: "  ") + " µs"
    }

    private static func cost(_ c: BenchResult.Cost) -> String {
        "\(number(c.microsecondsPerMessage)) µs CPU per message "
            + "(user \(number(c.userMicrosecondsPerMessage)), system \(number(c.systemMicrosecondsPerMessage))), "
            + "\(number(c.cores)) cores"
    }

    private static func memory(_ r: BenchResult) -> String {
        r.brokerMemoryBytes.map { ", \(number(Double($0) / 1_048_576)) MiB resident" } ?? ""
    }

    /// Three or four significant digits, with thousands set apart.
    public static func number(_ value: Double) -> String {
        let value = rounded(value)
        if value.magnitude >= 1000 || value == value.rounded() { return grouped(Int(value.rounded())) }
        var text = String(value)
        if text.hasSuffix(".0") { text.removeLast(2) }
        return text
    }

    private static func grouped(_ value: Int) -> String {
        let digits = String(abs(value))
        var text = ""
        for (i, digit) in digits.enumerated() {
            if i > 0 && (digits.count - i) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }
}
