// SPDX-License-Identifier: Apache-2.0
/// What was typed after `martlet_ctl`: `args[0]` is the command's own name.
public struct Arguments: ~Copyable {
    let start: UnsafePointer<martlet_bytes>
    public let count: Int

    /// Empty past the end.
    public subscript(_ index: Int) -> Bytes {
        index >= 0 && index < count ? Bytes(start[index]) : .empty
    }
}

/// Where a command prints.
public struct Output: ~Copyable {
    let raw: UnsafeMutablePointer<martlet_ctl_out>

    public func print(_ bytes: Bytes) { raw.pointee.print(raw.pointee.impl, bytes.raw) }
    /// One line; the newline is added.
    public func line(_ text: String) {
        text.withBytes { print($0) }
        print(Bytes("\n"))
    }
}

/// martlet.ctl/1: commands for martlet_ctl.
public struct Ctl {
    let tables: Tables
    /// Throw `PluginError.usage` to have the usage printed, any other to fail with its sentence and exit status 1.
    public typealias Command = (borrowing Arguments, borrowing Output) throws(PluginError) -> Void

    /// [main] `usage`: ("retainer info", "Show the count of retained messages") for each form.
    @discardableResult public func command(
        _ name: StaticString, usage: [(StaticString, StaticString)], _ body: @escaping Command
    ) throws(PluginError) -> Registration {
        let table = try tables.need(tables.pointee.ctl, "martlet.ctl/1")
        let lines = usage.map { martlet_ctl_usage(synopsis: $0.0.cString, help: $0.1.cString) }
        return try Registration.make(CtlBox(tables, body)) {
            table.pointee.command(
                tables.host, name.cString, lines, lines.count, CtlBox.call, $0, $1)
        }
    }
}

private final class CtlBox: Box {
    let body: Ctl.Command
    init(_ tables: Tables, _ body: @escaping Ctl.Command) {
        self.body = body
        super.init(tables)
    }
    static var call: martlet_ctl_fn {
        { user, argv, argc, out in
            Box.use(user) { (box: CtlBox) in
                do throws(PluginError) {
                    try box.body(Arguments(start: argv, count: argc), Output(raw: out))
                    return Status.ok.rawValue
                } catch { return Host(tables: box.tables).report(error) }
            }
        }
    }
}
