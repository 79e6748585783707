// SPDX-License-Identifier: Apache-2.0
import PluginKit

/// The plugin to copy from: it joins every hook point and both decision chains, counts what it sees and logs it at
/// level debug.
final class Template: Plugin {
    private let tally: Tally
    private var greeting = ""
    private var deniedUsername: [UInt8] = []

    override init(_ host: Host) {
        tally = Tally(host.exec)
        super.init(host)
    }
    deinit { tally.free() }

    override func start() throws(PluginError) {
        try configure()
        try hookClients()
        try hookSessions()
        try hookMessages(filter: try host.config.string("template.topic"))
        try decide()
        try host.ctl.command("template", usage: [("template", "Show what the plugin template has seen")]) {
            [self] (args, out) throws(PluginError) in
            guard args.count == 1 else { throw .usage }
            report(out)
        }
        try greetOverHTTP()
        try Echo.start(host)
        host.log.info("plugin_template says: \(greeting)")
    }

    private func configure() throws(PluginError) {
        try host.config.declare(
            [
                .string("template.greeting", default: "hello", help: "What `martlet_ctl template` prints first."),
                .string(
                    "template.topic", default: "#", .immutable,
                    help: "Only messages whose topic matches this filter are seen."),
                .string(
                    "template.deny_username", .immutable, example: "mallory",
                    help: "Refuse clients that connect with this user name."),
            ] + Echo.keys
        ) { [self] (key, value) throws(PluginError) in
            guard key == "template.greeting" else { return }
            guard value.count <= 200 else { throw PluginError(.invalid, "A greeting has at most 200 bytes.") }
            greeting = String(value)
        }
        greeting = try host.config.string("template.greeting")
        deniedUsername = [UInt8]((try host.config.optionalString("template.deny_username") ?? "").utf8)
    }

    /// GET /template/hello/:name on the HTTP listener "management".
    private func greetOverHTTP() throws(PluginError) {
        try host.http.route("GET", "/template/hello/:name") { [self] request in
            request.answer("\(greeting), \(String(request.parameter("name")))\n")
        }
    }

    private func hookClients() throws(PluginError) {
        let tally = tally
        try host.hooks.onClientConnected { event in
            tally.count(.clientConnected)
            event.host.log.debug("client.connected \(String(event.clientID))", about: event.client)
        }
        try host.hooks.onClientDisconnected { event in
            tally.count(.clientDisconnected)
            event.host.log.debug("client.disconnected \(String(event.clientID)), reason \(event.reason)")
        }
        try host.hooks.onClientSubscribe { event in
            tally.count(.clientSubscribe)
            for index in 0..<event.count {
                guard let wanted = event[index] else { break }
                event.host.log.debug("client.subscribe \(String(event.clientID)) to \(String(wanted.filter))")
            }
            return .next
        }
        try host.hooks.onClientUnsubscribe { event in
            tally.count(.clientUnsubscribe)
            event.host.log.debug("client.unsubscribe \(String(event.clientID)), \(event.count) filters")
            return .next
        }
    }

    private func hookSessions() throws(PluginError) {
        let tally = tally
        try host.hooks.onSessionCreated { event in
            tally.count(.sessionCreated)
            event.host.log.debug("session.created \(String(event.clientID))")
        }
        try host.hooks.onSessionResumed { event in
            tally.count(.sessionResumed)
            event.host.log.debug("session.resumed \(String(event.clientID))")
        }
        try host.hooks.onSessionTerminated { event in
            tally.count(.sessionTerminated)
            event.host.log.debug("session.terminated \(String(event.clientID))")
        }
        try host.hooks.onSessionSubscribed { event in
            tally.count(.sessionSubscribed)
            guard let made = event.subscription else { return }
            event.host.log.debug(
                "session.subscribed \(String(event.clientID)) to \(String(made.filter)), QoS \(made.qos)")
        }
        try host.hooks.onSessionUnsubscribed { event in
            tally.count(.sessionUnsubscribed)
            guard let ended = event.subscription else { return }
            event.host.log.debug("session.unsubscribed \(String(event.clientID)) from \(String(ended.filter))")
        }
    }

    private func hookMessages(filter: String) throws(PluginError) {
        let tally = tally
        try host.hooks.onMessagePublish(filter: filter) { event in
            tally.count(.messagePublish)
            event.host.log.debug("message.publish \(describe(event.message))", about: event.client)
            return .next
        }
        try host.hooks.onMessageDelivered(filter: filter) { event in
            tally.count(.messageDelivered)
            event.host.log.debug("message.delivered to \(String(event.clientID)): \(describe(event.message))")
        }
        try host.hooks.onMessageAcked(filter: filter) { event in
            tally.count(.messageAcked)
            event.host.log.debug("message.acked by \(String(event.clientID)): \(describe(event.message))")
        }
        try host.hooks.onMessageDropped(filter: filter) { event in
            tally.count(.messageDropped)
            event.host.log.debug("message.dropped (\(event.raw.pointee.code)): \(describe(event.message))")
        }
    }

    private func decide() throws(PluginError) {
        let tally = tally
        let denied = deniedUsername
        try host.auth.add { request in
            tally.count(.auth)
            request.host.log.debug("auth \(String(request.clientID)) from \(String(request.peer))")
            guard !denied.isEmpty, let username = request.username, username == denied else { return .ignore }
            return .deny
        }
        try host.acl.add { request in
            tally.count(.acl)
            request.host.log.debug(describe(request))
            return .ignore
        }
    }

    private func report(_ out: borrowing Output) {
        out.line(greeting)
        for what in Seen.allCases {
            let name = String(Bytes(what.name))
            out.line("\(name)\(String(repeating: " ", count: 22 - name.utf8.count)): \(tally.total(what))")
        }
    }
}

private func describe(_ message: borrowing MessageView) -> String {
    "\(String(message.topic)), QoS \(message.qos), \(message.payload.count) bytes"
}

/// Apart from the callback, so that it is made only when the line is wanted.
private func describe(_ request: borrowing ACLRequest) -> String {
    let verb = request.action == .publish ? "publish" : "subscribe"
    return "acl \(String(request.clientID)) \(verb) \(String(request.topic))"
}
