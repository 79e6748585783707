// SPDX-License-Identifier: Apache-2.0
import Glibc
import PluginHost

/// One listener as `listeners` shows it.
public struct ListenerInfo: Sendable {
    /// "tcp:external"
    public var name: String
    /// "0.0.0.0:1883"
    public var address: String
    public var isOpen: Bool
    public var acceptors: Int
    public var maxClients: Int
    public var currentClients: Int
    /// Times accepting was paused.
    public var pauses: Int
    public var shutdowns: [String: Int]
    /// When the first of its certificates ends, seconds since 1970; nil where there is none.
    public var certificateEnd: Int64?
    /// Of WebSocket: pings that got no pong, because the client reads nothing; nil where there is no WebSocket.
    public var unansweredPings: Int?
    /// "tcp" or "udp" of a plugin's listener, which starts and stops with its plugin; nil: the broker's own.
    public var pluginTransport: String?

    public init(
        name: String, address: String, isOpen: Bool, acceptors: Int, maxClients: Int, currentClients: Int, pauses: Int,
        shutdowns: [String: Int], certificateEnd: Int64? = nil
    ) {
        self.name = name
        self.address = address
        self.isOpen = isOpen
        self.acceptors = acceptors
        self.maxClients = maxClients
        self.currentClients = currentClients
        self.pauses = pauses
        self.shutdowns = shutdowns
        self.certificateEnd = certificateEnd
    }

    /// "tcp"
    var type: Substring { name.prefix { $0 != ":" } }
    /// "mqtt", "http" for the listeners of plugins' routes, "tcp" or "udp" for plugins' own.
    var scheme: String { pluginTransport ?? (type.hasPrefix("api") ? "http" : "mqtt") }
}

/// The listeners, for whoever commands them. [main]
public protocol ListenerControl: AnyObject {
    var infos: [ListenerInfo] { get }
    /// Nil when it accepts clients now, otherwise why not, in one sentence.
    func start(_ name: String) -> String?
    /// Takes no more clients; those that are in stay.
    func stop(_ name: String)
    /// Reads the certificates of one TLS listener, or of all, again. What became of each, in their order: nil when it
    /// has new ones, otherwise why it keeps the old ones, in one sentence.
    func reloadCertificates(_ name: String?) -> [(name: String, complaint: String?)]
}

extension Control {
    func registerListeners(_ listeners: any ListenerControl) {
        let usage = [
            CommandUsage("listeners", "List listeners"),
            CommandUsage("listeners start   <Type>:<Name> | <Proto> <Port>", "Start a listener"),
            CommandUsage("listeners stop    <Type>:<Name> | <Proto> <Port>", "Stop a listener, its clients stay"),
            CommandUsage("listeners restart <Type>:<Name> | <Proto> <Port>", "Restart a listener"),
            CommandUsage("listeners reload-certs [<Type>:<Name>]", "Read certificates again, clients stay"),
        ]
        register("listeners", usage) { call throws(CommandFailure) in
            guard let verb = call.words.first else {
                call.print(listeners.infos.map(block).joined())
                return
            }
            if verb == "reload-certs", call.words.count <= 2 {
                return try reloadCertificates(call, listeners, call.words.dropFirst().first)
            }
            guard let change = ListenerChange(rawValue: verb), (2...3).contains(call.words.count) else { throw .usage }
            let (info, place) = try chosen(listeners.infos, Array(call.words.dropFirst()))
            if let why = change.apply(to: info, listeners) {
                throw .sentence(
                    "Failed to \(change.failed) \(info.scheme):\(info.type) listener on \(place), error:\(why)")
            }
            call.print("\(change.done) \(info.scheme):\(info.type) listener on \(place) successfully.\n")
        }
    }
}

private func reloadCertificates(
    _ call: CommandCall, _ listeners: any ListenerControl, _ word: String?
) throws(CommandFailure) {
    let name = try word.map { word throws(CommandFailure) in try chosen(listeners.infos, [word]).info.name }
    let outcomes = listeners.reloadCertificates(name)
    guard !outcomes.isEmpty else {
        throw .sentence(name.map { "\($0) is no TLS listener." } ?? "There is no TLS listener.")
    }
    let complaints = outcomes.compactMap(\.complaint)
    for outcome in outcomes where outcome.complaint == nil {
        let end = listeners.infos.first { $0.name == outcome.name }?.certificateEnd
        call.print("The certificates of \(outcome.name) are loaded\(end.map { ", valid until \(date($0))" } ?? "").\n")
    }
    guard complaints.isEmpty else { throw .sentence(complaints.joined(separator: "\n")) }
}

private enum ListenerChange: String {
    case start, stop, restart

    var done: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
    /// EMQ writes one of them with a capital letter.
    var failed: String { self == .start ? "Start" : rawValue }

    /// Nil when it worked.
    func apply(to info: ListenerInfo, _ listeners: any ListenerControl) -> String? {
        if info.pluginTransport != nil { return "it starts and stops with the plugin \(info.type)." }
        switch self {
        case .start where info.isOpen: return "it is running already."
        case .stop where !info.isOpen: return "it is not running."
        case .start: return listeners.start(info.name)
        case .stop:
            listeners.stop(info.name)
            return nil
        case .restart:
            guard info.isOpen else { return listeners.start(info.name) }
            // Certificates that cannot be used would leave it stopped: looked at before, not after.
            if let complaint = listeners.reloadCertificates(info.name).compactMap(\.complaint).first {
                return complaint
            }
            listeners.stop(info.name)
            return listeners.start(info.name)
        }
    }
}

/// The listener that the words name, and its place as the answer repeats it: `tcp:external`, or EMQ's `mqtt:tcp 1883`
/// and `mqtt:tcp 0.0.0.0:1883`.
private func chosen(
    _ infos: [ListenerInfo], _ words: [String]
) throws(CommandFailure) -> (info: ListenerInfo, place: String) {
    if words.count == 1 {
        guard let info = infos.first(where: { $0.name == words[0] }) else {
            let names = infos.map(\.name).joined(separator: ", ")
            throw .sentence("Not Found: there is no listener \"\(words[0])\", only \(names).")
        }
        return (info, info.address)
    }
    let type = words[0].hasPrefix("mqtt:") || words[0].hasPrefix("http:") ? String(words[0].dropFirst(5)) : words[0]
    let found = infos.filter {
        $0.type == type
            && ($0.address == words[1] || $0.address.split(separator: ":").last.map(String.init) == words[1])
    }
    guard let info = found.first else {
        throw .sentence("Not Found: there is no \(type) listener on \"\(words[1])\".")
    }
    guard found.count == 1 else {
        let names = found.map(\.name).joined(separator: " or ")
        throw .sentence("There are several \(type) listeners on \(words[1]): name one, \(names).")
    }
    return (info, words[1])
}

/// A day, "2027-02-24", of seconds since 1970; UTC.
public func date(_ seconds: Int64) -> String {
    var time = time_t(seconds)
    var parts = tm()
    gmtime_r(&time, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
}

private func block(_ l: ListenerInfo) -> String {
    let counts = l.shutdowns.sorted { $0.key < $1.key }.map { "{\($0.key),\($0.value)}" }
    var rows = [
        ("name", l.name), ("running", "\(l.isOpen)"), ("acceptors", "\(l.acceptors)"),
        ("max_clients", "\(l.maxClients)"),
        ("current_clients", "\(l.currentClients)"), ("accept_pauses", "\(l.pauses)"),
        ("shutdown_count", "[\(counts.joined(separator: ","))]"),
    ]
    if let pings = l.unansweredPings { rows.append(("unanswered_pings", "\(pings)")) }
    if let end = l.certificateEnd { rows.append(("cert_not_after", date(end))) }
    return "listener on \(l.scheme):\(l.type):\(l.address)\n" + rows.map { "  \(padded($0.0, 16)): \($0.1)\n" }.joined()
}
