// SPDX-License-Identifier: Apache-2.0
/// martlet.exec/1: threads, timers, file descriptors. A body that runs on another thread must only touch what is safe
/// there: see `Lock`, `RWLock` and `Published`.
public struct Exec {
    let tables: Tables
    public typealias Task = () -> Void

    public enum Place: Equatable {
        /// The control thread.
        case main
        case loop(UInt32)
        /// Only as an answer: a thread the host did not make, or one of the blocking pool.
        case foreign

        var raw: Int32 {
            switch self {
            case .main: return -1
            case .loop(let index): return Int32(bitPattern: index)
            case .foreign: return -2
            }
        }
    }

    /// [any]
    public var loopCount: UInt32 { tables.pointee.exec?.pointee.loop_count(tables.host) ?? 0 }
    /// [any] What this thread is.
    public var current: Place {
        let index = tables.pointee.exec?.pointee.current(tables.host) ?? -2
        return index >= 0 ? .loop(UInt32(index)) : (index == -1 ? .main : .foreign)
    }
    /// [any] Number of the data loop this thread is; nil elsewhere. For per-loop state on the data path.
    @inline(__always) public var loopIndex: Int? {
        guard let table = tables.pointee.exec else { return nil }
        let index = table.pointee.current(tables.host)
        return index >= 0 ? Int(index) : nil
    }
    /// [any] Once, on the control thread.
    @discardableResult public func onMain(_ body: @escaping Task) -> Status {
        guard let table = tables.pointee.exec else { return .unsupported }
        return once(body) { table.pointee.on_main(tables.host, OnceBox.call, $0) }
    }
    /// [any] Once, on that loop.
    @discardableResult public func onLoop(_ index: UInt32, _ body: @escaping Task) -> Status {
        guard let table = tables.pointee.exec else { return .unsupported }
        return once(body) { table.pointee.on_loop(tables.host, index, OnceBox.call, $0) }
    }
    /// [any] Once, on a thread that may block. `.busy` when the plugin's share of the queue is full: the body is not
    /// called then.
    @discardableResult public func blocking(_ body: @escaping Task) -> Status {
        guard let table = tables.pointee.exec else { return .unsupported }
        return once(body) { table.pointee.blocking(tables.host, OnceBox.call, $0) }
    }
    /// [main] After `first` ms, then each `every` ms (0: once).
    @discardableResult public func timer(
        first: UInt32, every: UInt32 = 0, on place: Place = .main, _ body: @escaping Task
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.exec, "martlet.exec/1")
        let box = TaskBox(tables, body)
        box.isOnce = every == 0
        return try Registration.make(box) {
            table.pointee.timer(tables.host, place.raw, first, every, TaskBox.call, $0, $1)
        }
    }

    public struct PollEvents: OptionSet {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static var readable: PollEvents { PollEvents(rawValue: 1) }
        public static var writable: PollEvents { PollEvents(rawValue: 2) }
        /// Only reported, never asked for.
        public static var hangup: PollEvents { PollEvents(rawValue: 4) }
    }
    /// [main] Watches a descriptor, level-triggered. It stays yours: cancel first, then close.
    public func pollFD(
        _ fd: Int32, _ events: PollEvents, on place: Place, _ body: @escaping (Int32, PollEvents) -> Void
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.exec, "martlet.exec/1")
        return try Registration.make(PollBox(tables, body)) {
            table.pointee.poll_fd(tables.host, place.raw, fd, events.rawValue, PollBox.call, $0, $1)
        }
    }
    /// [main] Ends a timer or a watch. When it returns, its body runs nowhere any more. Not from inside that body.
    public func cancel(_ registration: Registration) {
        guard let table = tables.pointee.exec else { return }
        if table.pointee.cancel(tables.host, registration.token) == 0 { registration.end(tables) }
    }

    private func once(_ body: @escaping Task, _ submit: (UnsafeMutableRawPointer) -> martlet_status) -> Status {
        let box = Unmanaged.passRetained(OnceBox(body))
        let status = Status(submit(box.toOpaque()))
        if status != .ok { box.release() }
        return status
    }
}

/// Freed by its one call, which may come on any thread: so it is in no list.
private final class OnceBox {
    let body: Exec.Task
    init(_ body: @escaping Exec.Task) { self.body = body }
    static var call: martlet_task {
        { user in Unmanaged<OnceBox>.fromOpaque(user.unsafelyUnwrapped).takeRetainedValue().body() }
    }
}

private final class TaskBox: Box {
    let body: Exec.Task
    /// There is one call: it is freed after that.
    var isOnce = false
    init(_ tables: Tables, _ body: @escaping Exec.Task) {
        self.body = body
        super.init(tables)
    }
    /// The thread that registered it may still be about to note its token.
    func end() { Exec(tables: tables).onMain { [self] in Box.drop(registered, tables) } }
    static var call: martlet_task {
        { user in
            Box.use(user) { (box: TaskBox) in
                box.body()
                if box.isOnce { box.end() }
            }
        }
    }
}

private final class PollBox: Box {
    let body: (Int32, Exec.PollEvents) -> Void
    init(_ tables: Tables, _ body: @escaping (Int32, Exec.PollEvents) -> Void) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_poll_fn {
        { user, fd, events in
            Box.use(user) { (box: PollBox) in box.body(fd, Exec.PollEvents(rawValue: events)) }
        }
    }
}
