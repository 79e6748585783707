// SPDX-License-Identifier: Apache-2.0
public import Broker
import CReactor
import PluginHost

/// The commands about clients, sessions, subscriptions, topics, listeners and bans. Output lines are EMQ's.
extension Control {
    /// [main]
    public func addBrokerCommands(_ broker: Broker, listeners: any ListenerControl) {
        registerClients(broker)
        registerSessions(broker)
        registerSubscriptions(broker)
        registerTopics(broker)
        registerListeners(listeners)
        registerBans(broker)
        addBrokerNumbers(broker)
    }

    private func registerClients(_ broker: Broker) {
        let usage = [
            CommandUsage("clients list", "List all clients"),
            CommandUsage("clients show <ClientId>", "Show a client"),
            CommandUsage("clients kick <ClientId>", "Kick out a client"),
            CommandUsage("clients redirect <ClientId>|all", "Send a client to mqtt.server_reference"),
        ]
        register("clients", usage) { call throws(CommandFailure) in
            switch (call.words.first, call.words.count) {
            case ("list", 1): broker.forEachClient { call.print(line($0)) }
            case ("show", 2):
                guard let client = broker.client(call.words[1]) else { throw notFound("client", call.words[1]) }
                call.print(line(client) + details(client, broker.session(client.clientID)))
            case ("kick", 2):
                guard broker.kick(clientID: call.words[1]) else { throw notFound("client", call.words[1]) }
            case ("redirect", 2) where call.words[1] == "all":
                let count = broker.redirectAll()
                call.print("\(count) \(count == 1 ? "client" : "clients") sent away.\n")
            case ("redirect", 2):
                guard broker.redirect(clientID: call.words[1]) else { throw notFound("client", call.words[1]) }
            default: throw .usage
            }
        }
    }

    private func registerSessions(_ broker: Broker) {
        let usage = [
            CommandUsage("sessions list", "List all sessions"),
            CommandUsage("sessions list persistent", "List all persistent sessions"),
            CommandUsage("sessions list transient", "List all transient sessions"),
            CommandUsage("sessions show <ClientId>", "Show a session"),
        ]
        register("sessions", usage) { call throws(CommandFailure) in
            switch call.words {
            case ["list"]: broker.forEachSession { call.print(line($0)) }
            case ["list", "persistent"]:
                broker.forEachSession { $0.expiryInterval == 0 || call.print(line($0)) }
            case ["list", "transient"]:
                broker.forEachSession { $0.expiryInterval > 0 || call.print(line($0)) }
            default:
                guard call.words.count == 2, call.words[0] == "show" else { throw .usage }
                guard let session = broker.session(call.words[1]) else { throw notFound("session", call.words[1]) }
                call.print(line(session))
            }
        }
    }

    private func registerSubscriptions(_ broker: Broker) {
        let usage = [
            CommandUsage("subscriptions list", "List all subscriptions"),
            CommandUsage("subscriptions show <ClientId>", "Show subscriptions of a client"),
        ]
        register("subscriptions", usage) { call throws(CommandFailure) in
            switch (call.words.first, call.words.count) {
            case ("list", 1):
                broker.forEachSubscription { call.print("\($0.clientID) -> \($0.topic)\n") }
            case ("show", 2):
                guard broker.session(call.words[1]) != nil else { throw notFound("session", call.words[1]) }
                broker.forEachSubscription(of: call.words[1]) {
                    call.print("\($0.clientID) -> \($0.topic)\n  qos     : \($0.qos)\n")
                }
            default: throw .usage
            }
        }
    }

    private func registerTopics(_ broker: Broker) {
        let node = host.options.nodeName
        for (name, what) in [("topics", "topic"), ("routes", "route")] {
            let usage = [
                CommandUsage("\(name) list", "List all \(name)"),
                CommandUsage("\(name) show <Topic>", "Show a \(what)"),
            ]
            register(name, usage) { call throws(CommandFailure) in
                switch (call.words.first, call.words.count) {
                case ("list", 1):
                    for topic in topics(broker, bytes: call.limit) {
                        call.print(name == "routes" ? "\(topic) -> \(node)\n" : "\(topic)\n")
                    }
                case ("show", 2):
                    guard broker.hasTopic(call.words[1]) else { throw notFound(what, call.words[1]) }
                    call.print("\(call.words[1]) -> \(node)\n")
                default: throw .usage
                }
            }
        }
    }

    private func addBrokerNumbers(_ broker: Broker) {
        var peaks: [String: Int] = [:]
        // Bytes of a connection that closes while all are asked may count twice, once: a counter never falls.
        var counted: [String: UInt64] = [:]
        addNumbers {
            var rows: [ControlMetric.Row] = []
            for counter in broker.metrics() {
                let value = max(counted[counter.name] ?? 0, counter.value)
                counted[counter.name] = value
                rows.append(ControlMetric.make(counter.name, .counter, Int64(value)))
            }
            for stat in broker.stats() {
                rows.append(ControlMetric.make(stat.name, .gauge, Int64(stat.value)))
                let peak = max(peaks[stat.name] ?? 0, stat.value)
                peaks[stat.name] = peak
                let name = stat.name.replacing("/count", with: "/max")
                rows.append(ControlMetric.make(name, .gauge, Int64(peak)))
            }
            return rows
        }
    }
}

/// All topics in their order, or as many as an output of so many bytes can hold.
private func topics(_ broker: Broker, bytes: Int) -> [String] {
    var topics: [String] = []
    var room = bytes
    broker.forEachTopic {
        topics.append($0)
        room -= $0.utf8.count + 1
        return room >= 0
    }
    return topics.sorted()
}

func notFound(_ what: String, _ who: String) -> CommandFailure {
    .sentence("Not Found: there is no \(what) \"\(who)\".")
}

private func line(_ client: ClientRow) -> String {
    "Client(\(client.clientID), clean_sess=\(client.cleanStart), username=\(orUndefined(client.username)), "
        + "peername=\(client.peer), connected_at=\(client.connectedAt / 1000))\n"
}

private func details(_ client: ClientRow, _ session: SessionRow?) -> String {
    var rows: [(String, String)] = [
        ("proto_ver", "\(client.version)"), ("keepalive", "\(client.keepAlive)"), ("listener", client.listener),
        ("zone", client.zone), ("output_pending", "\(client.pending)"), ("slow", "\(client.isSlow)"),
        ("bytes_received", "\(client.bytesIn)"), ("bytes_sent", "\(client.bytesOut)"),
    ]
    if let session {
        rows += [
            ("mqueue_len", "\(session.queueLength)"), ("mqueue_bytes", "\(session.queueBytes)"),
            ("mqueue_dropped", "\(session.dropped)"), ("inflight", "\(session.inflight)"),
        ]
    }
    return rows.map { "  \(padded($0.0, 16)): \($0.1)\n" }.joined()
}

private func line(_ s: SessionRow) -> String {
    let expiry = s.expiryInterval == .max ? "infinity" : "\(s.expiryInterval)"
    return "Session(\(s.clientID), clean_sess=\(s.cleanStart), expiry_interval=\(expiry), "
        + "subscriptions=\(s.subscriptions), max_inflight=\(s.maxInflight), inflight=\(s.inflight), "
        + "mqueue_len=\(s.queueLength), mqueue_dropped=\(s.dropped), awaiting_rel=\(s.awaitingRel), "
        + "deliver_msg=\(s.delivered), enqueue_msg=\(s.enqueued), created_at=\(s.createdAt / 1000))\n"
}

private func orUndefined(_ text: String) -> String { text.isEmpty ? "undefined" : text }
