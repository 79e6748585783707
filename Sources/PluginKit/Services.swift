// SPDX-License-Identifier: Apache-2.0
/// martlet.service/1: a C table shared by a header both sides know. Everything on the control thread.
public struct Services {
    let tables: Tables

    /// `table` must stay where it is until the plugin stops. id: "store/1".
    public func provide(_ id: StaticString, _ table: UnsafeRawPointer) throws(PluginError) {
        let service = try tables.need(tables.pointee.service, "martlet.service/1")
        var token: martlet_token = 0
        try Status(service.pointee.provide(tables.host, id.cString, table, &token)).check()
    }
    /// nil when nobody provides it. The provider cannot be unloaded until you give it back or stop.
    public func borrow(_ id: StaticString) -> BorrowedService? {
        guard let service = tables.pointee.service else { return nil }
        var token: martlet_token = 0
        guard let table = service.pointee.borrow(tables.host, id.cString, &token) else { return nil }
        return BorrowedService(table: table, token: token)
    }
    public func giveBack(_ service: BorrowedService) {
        tables.pointee.service?.pointee.give_back(tables.host, service.token)
    }
}

public struct BorrowedService {
    public let table: UnsafeRawPointer
    let token: martlet_token
}

/// martlet.dynamic/1: calls and hook points typed by a signature text such as "i(ss)" (martlet/service.h). A function
/// offered here is a C function of that type with a leading `void *user`.
public struct Dynamic {
    let tables: Tables

    /// [main] Offers `fn` as `name`, "geo.lookup".
    public func define(
        _ name: StaticString, _ signature: StaticString, _ fn: @convention(c) () -> Void,
        user: UnsafeMutableRawPointer?
    ) throws(PluginError) {
        let table = try tables.need(tables.pointee.dynamic, "martlet.dynamic/1")
        var token: martlet_token = 0
        try Status(table.pointee.define(tables.host, name.cString, signature.cString, fn, user, &token)).check()
    }
    /// [any] `.notFound`: nobody offers it; `.invalid`: the signature is not the defined one.
    public func call(
        _ name: StaticString, _ signature: StaticString, _ args: [martlet_value],
        result: UnsafeMutablePointer<martlet_value>? = nil
    ) -> Status {
        guard let table = tables.pointee.dynamic else { return .unsupported }
        return Status(
            table.pointee.call(tables.host, name.cString, signature.cString, args, args.count, result))
    }
    /// [main] A hook point of your own.
    public func defineHook(_ name: StaticString, _ signature: StaticString) throws(PluginError) {
        let table = try tables.need(tables.pointee.dynamic, "martlet.dynamic/1")
        var token: martlet_token = 0
        try Status(table.pointee.define_hook(tables.host, name.cString, signature.cString, &token)).check()
    }
    /// [main] Joins a hook point, defined already or later.
    public func hook(
        _ name: StaticString, _ signature: StaticString, priority: Int32 = 0, _ fn: @convention(c) () -> Void,
        user: UnsafeMutableRawPointer?
    ) throws(PluginError) {
        let table = try tables.need(tables.pointee.dynamic, "martlet.dynamic/1")
        var token: martlet_token = 0
        try Status(table.pointee.hook(tables.host, name.cString, signature.cString, priority, fn, user, &token))
            .check()
    }
    /// [any] Runs all who joined, by priority, until one returns MARTLET_STOP; how many ran, nil for an error.
    public func runHook(_ name: StaticString, _ args: [martlet_value]) -> Int? {
        guard let table = tables.pointee.dynamic else { return nil }
        let ran = table.pointee.run_hook(tables.host, name.cString, args, args.count)
        return ran < 0 ? nil : Int(ran)
    }
}
