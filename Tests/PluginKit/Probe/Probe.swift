// SPDX-License-Identifier: Apache-2.0
import PluginKit

@c @implementation public func martlet_plugin_entry() -> UnsafePointer<martlet_entry> {
    pluginEntry(id: "probe", version: "0.1.0", description: "Uses all of PluginKit", after: ["retainer"]) { host, out in
        run(host, out) { (host) throws(PluginError) in try Probe(checking: host) }
    }
}

/// Uses what the shipped plugins do not; kit.c looks at what comes out.
final class Probe: Plugin {
    private var carried = "fresh"
    private let lock = Lock()
    private var ticks = 0
    private var kept: StoredMessage?
    private var timer: Registration?

    init(checking host: Host) throws(PluginError) {
        super.init(host)
        guard host.brokerName == "Fake", host.nodeName == "fake@127.0.0.1" else {
            throw PluginError(.invalid, "This is not the host I know.")
        }
    }
    deinit { if let kept { host.messages.release(kept) } }

    override var keepsState: Bool { true }
    override func exportState(_ out: StateWriter) throws(PluginError) {
        out.write("carried:")
        out.write([UInt8]("\(ticks)".utf8))
    }
    override func importState(_ state: Bytes) throws(PluginError) {
        guard state.hasPrefix("carried:") else { throw PluginError(.invalid, "This state is not mine.") }
        carried = String(state)
    }

    override func start() throws(PluginError) {
        try host.config.declare([
            .bool("probe.flag", default: "on", help: "A bool."),
            .bytes("probe.size", default: "64KB", help: "A size."),
            .duration("probe.wait", default: "2m", help: "A duration."),
            .choice("probe.kind", "ram|disc|disc_only", default: "disc", help: "A choice."),
            .percent("probe.share", default: "60%", help: "A percentage."),
            .int("probe.none", help: "A number without default."),
        ])
        if try !host.config.bool("probe.flag") {
            _ = try host.config.int("probe.none")
        }
        try hooks()
        try run()
        try serve()
        try command()
    }

    private func hooks() throws(PluginError) {
        try host.hooks.onMessagePublish(filter: "probe/#") { [self] event in
            let message = event.message
            switch message.payload.at(0) {
            case UInt8(ascii: "s"): return .stop
            case UInt8(ascii: "r"):
                let changed = "replaced".withBytes { host.messages.copy(message, payload: $0) }
                guard let changed else { return .next }
                return .replace(changed)
            case UInt8(ascii: "i"): return .replace(message.keep())
            case UInt8(ascii: "k"):
                if let kept { host.messages.release(kept) }
                kept = message.keep().leak()
                return .next
            case UInt8(ascii: "d"):
                guard let answer = event.later() else { return .next }
                let later = message.keep().leak()
                event.host.exec.blocking { [host] in
                    let message = host.messages.adopt(later)
                    let isStop = message.view.payload.hasSuffix("stop")
                    answer.resume(isStop ? .stop : .replace(message.keep()))
                }
                return .deferred
            default: return .next
            }
        }
        try host.hooks.onClientSubscribe { event in
            guard let first = event[0], event[2] == nil else { return .stop }
            if let second = event[1] {
                guard second.filter == "second" else { return .stop }
                second.refuse()
            }
            if first.filter == "refuse/me" { first.refuse() }
            if first.filter == "rename/me" { event.setFilter(0, Bytes("renamed")) }
            if first.filter == "lower/me" { first.lower(qos: 0) }
            return .next
        }
        try host.hooks.onSessionSubscribed { [self] event in
            guard let made = event.subscription, made.isNew, made.filter == "stored/#" else { return }
            host.pubsub.feed(event.session, Countdown(host, from: 3), qos: made.qos, retain: true)
            host.pubsub.feed(Session(id: 99), Countdown(host, from: 1), qos: 0, retain: false)
            if let kept { host.pubsub.deliver(host.messages.keep(kept), to: event.session, qos: 1, retain: false) }
            host.pubsub.subscribe(event.session, filter: Bytes("more/#"), qos: 1)
        }
    }

    private func serve() throws(PluginError) {
        try host.http.route("GET", "/probe/:name", HTTP.Options(auth: .any, listener: "*")) { request in
            let words = [
                request.parameter("name"), request.queryField("q") ?? Bytes("-"),
                request.header("X-Header") ?? Bytes("-"),
                request.user, request.body,
            ]
            var text = ""
            for word in words { text += "\(String(word))," }
            let known = HTTPHeader("x-known", "yes")
            _ = text.withBytes { request.exchange.answer($0, status: 201, headers: [known, HTTPHeader("x-n", "1")]) }
            if request.answer("again") != .stale { text = "" }
        }
        try stream()
        let ended = try host.http.route("GET", "/ended") { _ in }
        host.http.remove(ended)
        try host.http.files("/static", folder: "www/\(carried)")
        try host.http.authenticator(priority: 3) { [host] who in
            if who.isBearer { return host.http.isSameSecret(who.token, Bytes("t")) ? .allowAs("robot") : .deny }
            guard who.username == "late" else { return .ignore }
            who.later.judge(.allowAs("later"))
            return .pending
        }
    }

    private func stream() throws(PluginError) {
        var streaming = HTTP.Options()
        streaming.chunk = { exchange, bytes, isLast in
            if isLast {
                exchange.write(Bytes("end"))
                exchange.end()
                return .ok
            }
            exchange.begin(type: "text/x")
            exchange.write(bytes)
            return exchange.resume() == .ok ? .busy : .stale
        }
        streaming.gone = { [host] exchange, why in
            host.log.info("gone \(why == .io) \(exchange.end() == .stale)")
        }
        streaming.writable = { exchange in exchange.send(Bytes("data"), name: Bytes("n"), id: Bytes("7")) }
        try host.http.route("POST", "/stream", streaming) { _ in }
        var events = HTTP.Options()
        events.writable = streaming.writable
        try host.http.route("GET", "/events", events) { request in request.exchange.send(Bytes("first")) }
    }

    private func run() throws(PluginError) {
        timer = try host.exec.timer(first: 1000, every: 1000) { [self] in lock.withLock { ticks += 1 } }
        _ = try host.exec.timer(first: 5, on: .loop(1)) { [self] in
            if host.exec.current == .loop(1) { lock.withLock { ticks += 100 } }
        }
        let counter = try host.metrics.counter("probe/deliveries", help: "Messages of the plugin's own subscription.")
        let heard = try host.pubsub.subscribe("probe/in") { [self] message, filter in
            guard filter == "probe/in" else { return }
            counter.add()
            host.pubsub.publish(topic: "probe/out", payload: String(message.payload), qos: message.qos)
        }
        let short = try host.pubsub.subscribe("probe/never") { _, _ in }
        host.pubsub.unsubscribe(short)
        _ = heard
    }

    private func command() throws(PluginError) {
        try host.ctl.command(
            "probe", usage: [("probe values|kv|clients|http|net|publish|round|once|cancel", "Try a part of the kit")]
        ) {
            [self] (args, out) throws(PluginError) in
            if args[1] == "values" {
                out.line("\(carried) \(ticks)")
                out.line("\(try host.config.int("probe.size")) \(try host.config.int("probe.wait"))")
                out.line("\(try host.config.int("probe.kind")) \(try host.config.int("probe.share"))")
                out.line("\(try host.config.optionalInt("probe.none") ?? -1)")
                out.line("\(args[2].integer ?? -1) \(args[9].isEmpty)")
            } else if args[1] == "kv" {
                try keyValue(out)
            } else if args[1] == "clients" {
                out.line(host.clients.named("c1")?.copy(.peer) ?? "none")
                out.line(host.clients.named("c2")?.copy(.peer) ?? "none")
                out.line("\(host.clients.named("c1")?.kick(reason: 0x98) == .ok)")
            } else if args[1] == "publish" {
                host.pubsub.publish(topic: "probe/in", payload: "hello", qos: 1)
            } else if args[1] == "http" {
                try requests(out)
            } else if args[1] == "net" {
                do throws(PluginError) {
                    try host.net.connect(to: "h:1", name: "n", Peer())
                } catch {
                    out.line("\(error.status == .unsupported)")
                }
            } else if args[1] == "round" {
                host.exec.afterEveryLoop { [self] in lock.withLock { ticks += 1000 } }
            } else if args[1] == "once" {
                try once()
            } else if args[1] == "cancel" {
                guard let timer else { throw PluginError(.wrongState, "The timer is cancelled already.") }
                host.exec.cancel(timer)
                self.timer = nil
            } else {
                throw .usage
            }
        }
    }

    /// Two timers of one call each; one of them cancels itself in it.
    private func once() throws(PluginError) {
        try host.exec.timer(first: 1, on: .loop(0)) { [self] in lock.withLock { ticks += 1 } }
        let own = Once()
        own.timer = try host.exec.timer(first: 1) { [self] in
            if let timer = own.timer { host.exec.cancel(timer) }
            own.timer = nil
            lock.withLock { ticks += 10 }
        }
    }

    private func requests(_ out: borrowing Output) throws(PluginError) {
        let web = try host.httpClient("probe")
        var get = HTTPClient.Request(url: "http://h/echo")
        get.header("X-Mine", "value")
        get.header("X-Other", Bytes("a,b"))
        get.followsRedirects = true
        get.timeout = 700
        let answered: (borrowing HTTPClient.Response) -> Void = { [host] response in
            let one = response.header("x-one").map { String($0) } ?? "-"
            let none = response.header("x-on").map { String($0) } ?? "-"
            host.log.info(
                "\(response.httpStatus) \(String(response.body)) of \(one)/\(none) \(response.headerCount)")
        }
        web.send(get, answered)
        var post = HTTPClient.Request("POST", url: "http://h/echo", body: [UInt8]("some body".utf8))
        post.mayRepeat = true
        post.retries = 3
        web.send(post, answered)
        web.send(HTTPClient.Request(url: "http://h/fail")) { [host] response in
            host.log.info(
                "\(response.status.rawValue) \(response.attempts) \(response.attempts) \(String(response.error))")
        }
        let busy = web.send(HTTPClient.Request(url: "http://h/busy")) { [host] _ in host.log.info("cancelled") }
        out.line("\(busy.status == .busy) \(busy.cancel())")
        let cancelled = web.send(HTTPClient.Request(url: "http://h/echo")) { [host] _ in host.log.info("cancelled") }
        out.line("\(cancelled.cancel()) \(cancelled.cancel())")
        web.send(HTTPClient.Request(url: "http://h/never")) { [self] _ in ticks += 1 }
        var options = HTTPClient.Options()
        options.caFile = "none.pem"
        do throws(PluginError) {
            _ = try host.httpClient("wrong", options)
            out.line("a client without its file")
        } catch {
            if error.status != .invalid { out.line("another error") }
        }
    }

    private func keyValue(_ out: borrowing Output) throws(PluginError) {
        try host.kv.put("t", Bytes("k1"), Bytes("one"))
        try host.kv.put("t", Bytes("k2"), Bytes("two"))
        try host.kv.put("t", Bytes("other"), Bytes("three"))
        out.line(String(decoding: try host.kv.get("t", Bytes("k1")) ?? [], as: UTF8.self))
        var seen = ""
        try host.kv.scan("t", prefix: Bytes("k")) { key, value in
            seen += "\(String(key))=\(String(value));"
            return key != "k2"
        }
        out.line(seen)
        out.line("\(try host.kv.delete("t", Bytes("k1"))) \(try host.kv.delete("t", Bytes("k1")))")
        out.line("\(try host.kv.get("t", Bytes("k1")) == nil)")
        try host.kv.change(
            "t",
            [
                KVChange(Array("k3".utf8), Array("3".utf8)), KVChange(Array("k2".utf8), nil),
                KVChange(Array("k4".utf8), []),
            ])
        out.line("\(try host.kv.get("t", Bytes("k3"))?.first ?? 0) \(try host.kv.get("t", Bytes("k2")) == nil)")
    }
}

private final class Countdown: Feed {
    private let host: Host
    private var left: Int
    private var pauses = 1

    init(_ host: Host, from: Int) {
        self.host = host
        left = from
    }
    override func next() -> FeedStep {
        guard left > 0 else { return .end }
        if pauses > 0 {
            pauses -= 1
            return .pause
        }
        left -= 1
        guard let made = host.messages.make(topic: "stored/\(left)", payload: "\(left)") else { return .end }
        return .message(made)
    }
    override func end() { host.log.info("the feed ended with \(left) left") }
}

private final class Once {
    var timer: Registration?
}
