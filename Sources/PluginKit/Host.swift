// SPDX-License-Identifier: Apache-2.0
/// The tables of the host, looked up once. Plain memory: a callback reads it without touching a reference count.
@usableFromInline struct HostTables {
    let host: UnsafePointer<martlet_host>
    let log: UnsafePointer<martlet_log_v1>
    let message: UnsafePointer<martlet_message_v1>
    let config: UnsafePointer<martlet_config_v1>?
    let client: UnsafePointer<martlet_client_v1>?
    let hooks: UnsafePointer<martlet_hooks_v1>?
    let auth: UnsafePointer<martlet_auth_v1>?
    let acl: UnsafePointer<martlet_acl_v1>?
    let psk: UnsafePointer<martlet_psk_v1>?
    let pubsub: UnsafePointer<martlet_pubsub_v1>?
    let exec: UnsafePointer<martlet_exec_v1>?
    let kv: UnsafePointer<martlet_kv_v1>?
    let metrics: UnsafePointer<martlet_metrics_v1>?
    let alarm: UnsafePointer<martlet_alarm_v1>?
    let ctl: UnsafePointer<martlet_ctl_v1>?
    let service: UnsafePointer<martlet_service_v1>?
    let dynamic: UnsafePointer<martlet_dynamic_v1>?
    let http: UnsafePointer<martlet_http_v1>?
    let httpc: UnsafePointer<martlet_httpc_v1>?
    let net: UnsafePointer<martlet_net_v1>?
    /// Head of the list of closures the host may call. Changed on the control thread only.
    var boxes: Unmanaged<Box>?

    init?(_ host: UnsafePointer<martlet_host>) {
        guard let log: UnsafePointer<martlet_log_v1> = lookUp(host, MARTLET_EXT_LOG),
            let message: UnsafePointer<martlet_message_v1> = lookUp(host, MARTLET_EXT_MESSAGE)
        else { return nil }
        self.host = host
        self.log = log
        self.message = message
        config = lookUp(host, MARTLET_EXT_CONFIG)
        client = lookUp(host, MARTLET_EXT_CLIENT)
        hooks = lookUp(host, MARTLET_EXT_HOOKS)
        auth = lookUp(host, MARTLET_EXT_AUTH)
        acl = lookUp(host, MARTLET_EXT_ACL)
        psk = lookUp(host, MARTLET_EXT_PSK)
        pubsub = lookUp(host, MARTLET_EXT_PUBSUB)
        exec = lookUp(host, MARTLET_EXT_EXEC)
        kv = lookUp(host, MARTLET_EXT_KV)
        metrics = lookUp(host, MARTLET_EXT_METRICS)
        alarm = lookUp(host, MARTLET_EXT_ALARM)
        ctl = lookUp(host, MARTLET_EXT_CTL)
        service = lookUp(host, MARTLET_EXT_SERVICE)
        dynamic = lookUp(host, MARTLET_EXT_DYNAMIC)
        http = lookUp(host, MARTLET_EXT_HTTP)
        httpc = lookUp(host, MARTLET_EXT_HTTPC)
        net = lookUp(host, MARTLET_EXT_NET)
        boxes = nil
    }
}

/// An extension, if the host has it and its table is at least as long as the one this kit was compiled against.
private func lookUp<Table>(_ host: UnsafePointer<martlet_host>, _ id: String) -> UnsafePointer<Table>? {
    var terminated = id + "\0"
    let found = terminated.withUTF8 { text -> UnsafeRawPointer? in
        guard let start = text.baseAddress else { return nil }
        return start.withMemoryRebound(to: CChar.self, capacity: text.count) { host.pointee.get_extension(host, $0) }
    }
    guard let found, Int(found.load(as: UInt32.self)) >= MemoryLayout<Table>.size else { return nil }
    return found.assumingMemoryBound(to: Table.self)
}

/// The broker as a plugin sees it: one small value, free to copy, valid until the plugin is destroyed.
public struct Host {
    let tables: UnsafeMutablePointer<HostTables>

    /// "Martlet".
    public var brokerName: String { String(cString: tables.pointee.host.pointee.broker_name) }
    public var brokerVersion: String { String(cString: tables.pointee.host.pointee.broker_version) }
    /// "martlet@127.0.0.1".
    public var nodeName: String { String(cString: tables.pointee.host.pointee.node_name) }

    public var log: Log { Log(tables: tables) }
    public var config: Config { Config(tables: tables) }
    public var clients: Clients { Clients(tables: tables) }
    public var messages: Messages { Messages(tables: tables) }
    public var hooks: Hooks { Hooks(tables: tables) }
    public var auth: Auth { Auth(tables: tables) }
    public var acl: ACL { ACL(tables: tables) }
    public var psk: PSK { PSK(tables: tables) }
    public var pubsub: PubSub { PubSub(tables: tables) }
    public var exec: Exec { Exec(tables: tables) }
    public var kv: KV { KV(tables: tables) }
    public var metrics: Metrics { Metrics(tables: tables) }
    public var alarms: Alarms { Alarms(tables: tables) }
    public var ctl: Ctl { Ctl(tables: tables) }
    public var services: Services { Services(tables: tables) }
    public var dynamic: Dynamic { Dynamic(tables: tables) }
    public var http: HTTP { HTTP(tables: tables) }
    public var net: Net { Net(tables: tables) }

    /// An extension of your own choice, for tables this kit does not wrap; nil when the host has none of that name.
    public func rawExtension(_ id: StaticString) -> UnsafeRawPointer? {
        tables.pointee.host.pointee.get_extension(tables.pointee.host, id.cString)
    }
    /// The host itself, to call such a table with.
    public var raw: UnsafePointer<martlet_host> { tables.pointee.host }

    func report(_ error: PluginError) -> martlet_status {
        if let sentence = error.sentence {
            let host = tables.pointee.host
            sentence.withBytes { host.pointee.set_error(host, error.status.rawValue, $0.raw) }
        }
        return error.status == .ok ? Status.invalid.rawValue : error.status.rawValue
    }
}

@usableFromInline typealias Tables = UnsafeMutablePointer<HostTables>

extension Tables {
    var host: UnsafePointer<martlet_host> { pointee.host }

    /// A table that this broker must have, or the sentence that says it has not.
    func need<Table>(_ table: UnsafePointer<Table>?, _ id: StaticString) throws(PluginError) -> UnsafePointer<Table> {
        guard let table else {
            throw PluginError(.unsupported, "This broker does not offer \(String(Bytes(id))).")
        }
        return table
    }
}

extension StaticString {
    /// A literal is NUL-terminated and lives as long as the image.
    var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
