// SPDX-License-Identifier: Apache-2.0
public import Net
public import TLS

/// Options of one HTTP listener, as the configuration names them. Times in milliseconds, sizes in bytes.
public struct HTTPListenerOptions: Sendable {
    /// "api", "apis"
    public var family: String
    /// "management": what routes attach to.
    public var name: String
    public var host: String
    public var port: UInt16
    public var backlog = 512
    public var noDelay = true
    public var reuseAddress = true
    /// 0: the system's.
    public var receiveBuffer: Int = 0
    public var sendBuffer: Int = 0
    public var maxConnections = 64
    /// Connections accepted in a second, further ones wait in the kernel's backlog; 0: no limit.
    public var maxConnectionRate = 0
    public var access: [AccessRule] = []
    /// A proxy in front names the client first (PROXY protocol), within this time.
    public var isProxied = false
    public var proxyTimeout = 3_000
    /// A client that takes nothing for so long is closed; 0: never.
    public var sendTimeout = 15_000
    /// From the connection's beginning to the end of its first request's header.
    public var headerTimeout = 10_000
    /// Between an answer and the end of the next request's header.
    public var idleTimeout = 60_000
    /// Until an answer must have begun, and within which a whole body must have come.
    public var requestTimeout = 30_000
    public var maxHeader = 16 << 10
    public var maxBody = 1 << 20
    /// Origins whose scripts may ask; "*": any.
    public var corsOrigins: [String] = []
    /// nil: plain HTTP.
    public var tls: TLSOptions?

    public init(family: String = "api", name: String, host: String, port: UInt16) {
        self.family = family
        self.name = name
        self.host = host
        self.port = port
    }

    /// What routes call it: EMQ's `mgmt` is our `management`.
    public var routesName: String { name == "mgmt" ? "management" : name }

    /// "api:management"
    public var fullName: String { family + ":" + name }

    /// "0.0.0.0:8080", "[::1]:8080"
    public var address: String { host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
