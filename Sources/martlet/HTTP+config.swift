// SPDX-License-Identifier: Apache-2.0
import Config
import Control
import HTTPHost
import Net
import PluginHost
import Reactor
import TLS

extension HTTPServer {
    /// Nil when no listener is configured: then HTTP costs neither a thread nor memory.
    convenience init?(_ config: ConfigFile, control: EventLoop) {
        let options = HTTPListenerOptions.all(config)
        guard !options.isEmpty else { return nil }
        let status = "Node \(config.string("node.name")) is started\nmartlet is running\n"
        self.init(options, control: control, statusText: status)
    }
}

extension HTTPListenerOptions {
    /// Every `listener.api.NAME = ADDRESS` of the file, and `listener.apis.NAME`.
    static func all(_ config: ConfigFile) -> [HTTPListenerOptions] {
        ["api", "apis"].flatMap { family in
            config.names(matching: "listener.\(family).*").map { name in
                let prefix = "listener.\(family).\(name)"
                let address = config.address(prefix)
                var options = HTTPListenerOptions(
                    family: family, name: name, host: address.host ?? "0.0.0.0", port: UInt16(address.port))
                options.setSocket(config, prefix)
                options.setLimits(config, prefix)
                if family == "apis" { options.setTLS(config, prefix) }
                return options
            }
        }
    }

    private mutating func setSocket(_ config: ConfigFile, _ prefix: String) {
        backlog = config.int("\(prefix).backlog")
        noDelay = config.bool("\(prefix).nodelay")
        reuseAddress = config.bool("\(prefix).reuseaddr")
        receiveBuffer = config.intIfSet("\(prefix).recbuf") ?? 0
        sendBuffer = config.intIfSet("\(prefix).sndbuf") ?? 0
        maxConnections = config.int("\(prefix).max_connections")
        maxConnectionRate = config.int("\(prefix).max_conn_rate")
        access = config.accessRules("\(prefix).access").map(AccessRule.init)
        isProxied = config.bool("\(prefix).proxy_protocol")
        proxyTimeout = config.durationMS("\(prefix).proxy_protocol_timeout")
        let isGivenUp = config.bool("\(prefix).send_timeout_close")
        sendTimeout = isGivenUp ? config.durationMS("\(prefix).send_timeout") : 0
    }

    private mutating func setTLS(_ config: ConfigFile, _ prefix: String) {
        tls = TLSOptions(listener: prefix, config)
        tls?.protocols = ["http/1.1"]
    }

    private mutating func setLimits(_ config: ConfigFile, _ prefix: String) {
        headerTimeout = config.durationMS("\(prefix).header_timeout")
        idleTimeout = config.durationMS("\(prefix).idle_timeout")
        requestTimeout = config.durationMS("\(prefix).request_timeout")
        maxHeader = config.bytes("\(prefix).max_header")
        maxBody = config.bytes("\(prefix).max_body")
        corsOrigins = config.list("\(prefix).cors_origins")
    }
}

/// The doors of MQTT, of HTTP and of plugins as `listeners` shows and commands them.
final class AllListeners: ListenerControl {
    private let mqtt: ListenerSet
    private let http: HTTPServer?
    private let plugins: PluginHost

    init(_ mqtt: ListenerSet, _ http: HTTPServer?, _ plugins: PluginHost) {
        self.mqtt = mqtt
        self.http = http
        self.plugins = plugins
    }

    var infos: [ListenerInfo] {
        mqtt.infos + (http?.doors.map(\.info) ?? []) + plugins.netListeners().map(ListenerInfo.init)
    }

    func start(_ name: String) -> String? {
        guard let door = door(name) else { return mqtt.start(name) }
        do {
            try door.open()
            return nil
        } catch {
            return "\(error)"
        }
    }

    func stop(_ name: String) {
        if let door = door(name) { door.stop() } else { mqtt.stop(name) }
    }

    func reloadCertificates(_ name: String?) -> [(name: String, complaint: String?)] {
        let doors = (http?.doors ?? []).filter { $0.isSecure && (name == nil || $0.options.fullName == name) }
        return mqtt.reloadCertificates(name)
            + doors.map { door in
                do {
                    try door.reloadCertificates()
                    return (door.options.fullName, nil)
                } catch {
                    return (
                        door.options.fullName, "Listener \(door.options.fullName) keeps its certificates: \(error)"
                    )
                }
            } + plugins.reloadNetCertificates(name)
    }

    private func door(_ name: String) -> Door? { http?.doors.first { $0.options.fullName == name } }
}

extension ListenerInfo {
    fileprivate init(_ info: NetListenerInfo) {
        self.init(
            name: info.name, address: info.address, isOpen: info.isOpen, acceptors: info.acceptors,
            maxClients: info.maxClients, currentClients: info.currentClients, pauses: 0, shutdowns: info.shutdowns)
        pluginTransport = info.transport
        certificateEnd = info.certificateEnd
    }
}

extension Door {
    fileprivate var info: ListenerInfo {
        let counts = self.counts
        return ListenerInfo(
            name: options.fullName, address: options.address, isOpen: isOpen, acceptors: isOpen ? 1 : 0,
            maxClients: options.maxConnections, currentClients: counts.current, pauses: counts.pauses,
            shutdowns: counts.shutdowns, certificateEnd: certificateEnd)
    }
}
