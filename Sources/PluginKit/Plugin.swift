// SPDX-License-Identifier: Apache-2.0
public import CPluginKit

/// What you subclass. One instance per load; all state lives in it, none in globals (rule 9 of martlet/plugin.h).
///
/// ```swift
/// final class Greeter: Plugin {
///     override func start() throws(PluginError) {
///         try host.hooks.onClientConnected { event in ... }
///     }
/// }
/// ```
/// Life: `init` → `importState` (only in a reload) → `start` → `stop` → `deinit`, all on the control thread.
open class Plugin {
    public let host: Host

    public init(_ host: Host) { self.host = host }

    /// [main] Register everything here. What throws is rolled back, and its sentence is what `plugins load` prints.
    open func start() throws(PluginError) {}

    /// [main] Nothing of the plugin is called any more. Answer `.later` when threads of your own still work, and call
    /// `finishStopping()` when they rest.
    open func stop() -> StopAnswer { .now }

    /// [any] After `stop` answered `.later`.
    public final func finishStopping() {
        let raw = host.tables.pointee.host
        raw.pointee.stopped(raw)
    }

    /// Answer true to take part in `plugins reload` with `exportState` and `importState`.
    open var keepsState: Bool { false }
    /// [main] The old image, still running: write what the new one needs.
    open func exportState(_ out: StateWriter) throws(PluginError) {}
    /// [main] The new image, before `start`. Throwing keeps the old image running.
    open func importState(_ state: Bytes) throws(PluginError) {}
}

public enum StopAnswer { case now, later }

/// Where `exportState` writes.
public struct StateWriter {
    let write: @convention(c) (UnsafeMutableRawPointer?, martlet_bytes) -> Void
    let to: UnsafeMutableRawPointer?

    public func write(_ bytes: Bytes) { write(to, bytes.raw) }
    public func write(_ bytes: [UInt8]) { bytes.withBytes { write(to, $0.raw) } }
    public func write(_ text: String) { text.withBytes { write(to, $0.raw) } }
}

/// Describes the plugin to the host. The whole Entry.swift of a plugin is:
///
/// ```swift
/// import PluginKit
/// @c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
///     pluginEntry(id: "greeter", version: "1.0.0", description: "Greets every client") { host, out in
///         run(host, out) { Greeter($0) }
///     }
/// }
/// ```
/// - Parameters:
///   - id: the name `plugins load` uses, equal to the file's name.
///   - needs: ids of extensions that must exist, "martlet.kv/1"; at most 28.
///   - after: ids of plugins that must run first if they are enabled; at most 30.
///   - resident: never unmap this image.
public func pluginEntry(
    id: StaticString, version: StaticString, description: StaticString, needs: [StaticString] = [],
    after: [StaticString] = [], resident: Bool = false,
    create: @convention(c) (UnsafePointer<martlet_host>, UnsafeMutablePointer<martlet_plugin>) -> martlet_status
) -> UnsafePointer<martlet_entry> {
    let needed = pluginkit_needs_storage()
    needed[0] = ("martlet.log/1" as StaticString).cString
    needed[1] = ("martlet.message/1" as StaticString).cString
    let last = PLUGINKIT_IDS - 1
    for (index, name) in needs.enumerated() where index + 2 < last { needed[index + 2] = name.cString }
    let earlier = pluginkit_after_storage()
    for (index, name) in after.enumerated() where index < last { earlier[index] = name.cString }
    let entry = pluginkit_entry_storage().assumingMemoryBound(to: martlet_entry.self)
    entry.initialize(
        to: martlet_entry(
            size: UInt32(MemoryLayout<martlet_entry>.size), abi_major: MARTLET_ABI_MAJOR, abi_minor: MARTLET_ABI_MINOR,
            flags: resident ? UInt32(MARTLET_PF_RESIDENT) : 0, id: id.cString, version: version.cString,
            description: description.cString, needs: UnsafePointer(needed), after: UnsafePointer(earlier),
            create: create))
    return UnsafePointer(entry)
}

/// Makes the instance behind `create`: see `pluginEntry`.
public func run(
    _ host: UnsafePointer<martlet_host>, _ out: UnsafeMutablePointer<martlet_plugin>,
    _ make: (Host) throws(PluginError) -> Plugin
) -> martlet_status {
    guard let found = HostTables(host) else { return Status.unsupported.rawValue }
    let tables = Tables.allocate(capacity: 1)
    tables.initialize(to: found)
    let plugin: Plugin
    do throws(PluginError) {
        plugin = try make(Host(tables: tables))
    } catch {
        let status = Host(tables: tables).report(error)
        Box.dropAll(tables)
        tables.deallocate()
        return status
    }
    out.pointee.size = UInt32(MemoryLayout<martlet_plugin>.size)
    out.pointee.state = Unmanaged.passRetained(plugin).toOpaque()
    out.pointee.start = { state in
        attempt(state) { (plugin) throws(PluginError) in try plugin.start() }
    }
    out.pointee.stop = { state in
        instance(state).stop() == .now ? Status.ok.rawValue : Status.busy.rawValue
    }
    out.pointee.destroy = { state in
        let tables = instance(state).host.tables
        Unmanaged<Plugin>.fromOpaque(state.unsafelyUnwrapped).release()
        Box.dropAll(tables)
        tables.deinitialize(count: 1)
        tables.deallocate()
    }
    out.pointee.get_extension = { state, id in
        guard instance(state).keepsState, strcmp(id, MARTLET_EXT_UPGRADE) == 0 else { return nil }
        return UnsafeRawPointer(upgradeTable())
    }
    return Status.ok.rawValue
}

private func instance(_ state: UnsafeMutableRawPointer?) -> Plugin {
    Unmanaged<Plugin>.fromOpaque(state.unsafelyUnwrapped).takeUnretainedValue()
}

private func attempt(
    _ state: UnsafeMutableRawPointer?, _ body: (Plugin) throws(PluginError) -> Void
) -> martlet_status {
    let plugin = instance(state)
    do throws(PluginError) {
        try body(plugin)
        return Status.ok.rawValue
    } catch { return plugin.host.report(error) }
}

private func upgradeTable() -> UnsafeMutablePointer<martlet_upgrade_v1> {
    let table = pluginkit_upgrade_storage().assumingMemoryBound(to: martlet_upgrade_v1.self)
    table.initialize(
        to: martlet_upgrade_v1(
            size: UInt32(MemoryLayout<martlet_upgrade_v1>.size),
            export_state: { state, write, to in
                attempt(state) { (plugin) throws(PluginError) in
                    try plugin.exportState(StateWriter(write: write, to: to))
                }
            },
            import_state: { state, bytes in
                attempt(state) { (plugin) throws(PluginError) in try plugin.importState(Bytes(bytes)) }
            }))
    return table
}
