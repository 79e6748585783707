// SPDX-License-Identifier: Apache-2.0
/// martlet.metrics/1: numbers for `broker stats`, `broker metrics` and $SYS.
public struct Metrics {
    let tables: Tables

    /// [main] Ever rising: "greetings/sent".
    public func counter(_ name: StaticString, help: StaticString) throws(PluginError) -> Counter {
        Counter(token: try define(MARTLET_COUNTER, name, help), tables: tables)
    }
    /// [main] Up and down: "retained/count".
    public func gauge(_ name: StaticString, help: StaticString) throws(PluginError) -> Gauge {
        Gauge(token: try define(MARTLET_GAUGE, name, help), tables: tables)
    }
    private func define(_ kind: Int, _ name: StaticString, _ help: StaticString)
        throws(PluginError) -> martlet_token
    {
        let table = try tables.need(tables.pointee.metrics, "martlet.metrics/1")
        var token: martlet_token = 0
        try Status(table.pointee.define(tables.host, Int32(kind), name.cString, help.cString, &token))
            .check()
        return token
    }
}

public struct Counter {
    let token: martlet_token
    let tables: Tables
    /// [any] Lock-free.
    public func add(_ delta: Int64 = 1) { tables.pointee.metrics?.pointee.add(tables.host, token, delta) }
}

public struct Gauge {
    let token: martlet_token
    let tables: Tables
    /// [any] Lock-free.
    public func add(_ delta: Int64) { tables.pointee.metrics?.pointee.add(tables.host, token, delta) }
    /// [any] Lock-free.
    public func set(_ value: Int64) { tables.pointee.metrics?.pointee.set(tables.host, token, value) }
}

/// martlet.alarm/1: raised once, stays until cleared. [any]
public struct Alarms {
    let tables: Tables
    public enum Severity: Int32 { case warning, error, critical }

    public func raise(_ id: StaticString, _ severity: Severity, title: String, summary: String) {
        guard let table = tables.pointee.alarm else { return }
        title.withBytes { title in
            summary.withBytes {
                table.pointee.raise(tables.host, Bytes(id).raw, severity.rawValue, title.raw, $0.raw)
            }
        }
    }
    public func clear(_ id: StaticString) {
        tables.pointee.alarm?.pointee.clear(tables.host, Bytes(id).raw)
    }
}
