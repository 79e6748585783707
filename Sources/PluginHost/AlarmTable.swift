// SPDX-License-Identifier: Apache-2.0
import CReactor
import Synchronization

/// A warning that stays until it is cleared.
public struct Alarm: Sendable, Equatable {
    public enum Severity: Int32, Sendable { case warning, error, critical }
    public var id: String
    public var severity: Severity
    public var title: String
    public var summary: String
    /// Who raised it; empty: the broker itself.
    public var plugin: String
    /// Unix milliseconds.
    public var raisedAt: Int64
}

/// Active alarms by id, for any thread. What happens when one is raised or cleared ($SYS, log) is told to `observer`.
public final class AlarmTable: Sendable {
    static let limit = 1000
    private struct State {
        var active: [String: Alarm] = [:]
        var observer: (@Sendable (Alarm, Bool) -> Void)?
    }
    private let state = Mutex(State())

    /// Called on the raising thread with the alarm and whether it was raised (or cleared).
    public func observe(_ observer: @escaping @Sendable (Alarm, Bool) -> Void) {
        state.withLock { $0.observer = observer }
    }

    /// Raising an active alarm again changes nothing. False also when there are too many.
    @discardableResult
    public func raise(_ id: String, _ severity: Alarm.Severity, title: String, summary: String, by plugin: String = "")
        -> Bool
    {
        let alarm = Alarm(
            id: id, severity: severity, title: title, summary: summary, plugin: plugin, raisedAt: cr_unix_ms())
        let observer: (@Sendable (Alarm, Bool) -> Void)?? = state.withLock { state in
            guard state.active[id] == nil, state.active.count < Self.limit else { return nil }
            state.active[id] = alarm
            return state.observer
        }
        guard let observer else { return false }
        observer?(alarm, true)
        return true
    }

    /// Clears an alarm that `plugin` raised.
    @discardableResult
    public func clear(_ id: String, by plugin: String = "") -> Bool {
        let found: (Alarm, (@Sendable (Alarm, Bool) -> Void)?)? = state.withLock { state in
            guard let alarm = state.active[id], alarm.plugin == plugin else { return nil }
            state.active[id] = nil
            return (alarm, state.observer)
        }
        guard let found else { return false }
        found.1?(found.0, false)
        return true
    }

    func clearAll(of plugin: String) {
        let ids = state.withLock { $0.active.values.filter { $0.plugin == plugin }.map(\.id) }
        for id in ids { clear(id, by: plugin) }
    }

    /// Oldest first.
    public func list() -> [Alarm] {
        state.withLock { state in
            state.active.values.sorted { ($0.raisedAt, $0.id) < ($1.raisedAt, $1.id) }
        }
    }
}
