// SPDX-License-Identifier: Apache-2.0
import Broker
import CReactor
import Config
import Control
import Glibc
import HTTPHost
import Net
import PluginHost
import Reactor

/// The parts of a running broker, in the order they are started: loops, plugins, then listeners; stopped in reverse.
final class Server {
    let config: ConfigFile
    let root: String
    private let environment: [String: String]
    let log: Log
    let loop = EventLoop(index: -1)
    let broker: Broker
    let host: PluginHost
    let control: Control
    private var ctl: CtlServer?
    private let listeners: ListenerSet
    private let http: HTTPServer?
    private let doors: AllListeners
    private var system: SystemTopics?
    private var watchdog: Watchdog?
    private var memory: MemoryKeeper?
    private let bans: Bans
    private var certificates: Certificates?
    private var signals: Int32 = -1

    init(config: ConfigFile, root: String, environment: [String: String]) throws {
        self.config = config
        self.root = root
        self.environment = environment
        log = Log(Log.Options(config))
        let zones = BrokerSettings.zoneNames(config)
        let broker = Broker(settings: BrokerSettings(config, zones: zones))
        self.broker = broker
        host = try PluginHost(
            options: PluginHostOptions(config, root: root, environment: environment), broker: broker, control: loop,
            log: log.hostLog)
        control = Control(host: host)
        listeners = ListenerSet(
            ListenerOptions.all(config, zones: zones), broker: broker, keys: { Broker.sharedKey(of: $0) })
        http = HTTPServer(config, control: loop)
        host.httpServer = http
        host.tlsProfiles = TLSProfiles(config)
        doors = AllListeners(listeners, http, host)
        bans = Bans(host, broker)
        wire()
        control.addBrokerCommands(broker, listeners: doors)
        if let http { control.addNumbers { http.metrics } }
        control.addNumbers { [log] in
            [
                Metric(
                    name: "log/lines_lost", kind: .counter, help: "Lines that the console or the file did not take.",
                    value: Int64(log.linesLost))
            ]
        }
    }

    /// What the broker reports goes to log and alarms; what the alarm table hears goes to `$SYS`.
    private func wire() {
        let host = host
        let log = log
        let alarms = host.alarms
        broker.events.log = { level, text in log.write(HostLog.Level(rawValue: level) ?? .info, text) }
        broker.events.alarm = { id, raised, title, summary in
            if raised {
                alarms.raise(id, .warning, title: title, summary: summary)
            } else {
                _ = alarms.clear(id)
            }
        }
        broker.events.badVerdict = { owner, hook, isError in
            let name = host.pluginName(owner: owner) ?? "a plugin that is gone"
            let place = hook >= 0 ? "hook \(hookNames[hook])" : hook == -1 ? "its ACL module" : "its auth module"
            let what = isError ? "could not decide" : "answered with a verdict that does not exist"
            log.write(.error, "\(name): \(place) \(what).")
        }
    }

    func run() throws {
        blockSignals()
        broker.start()
        bans.start(on: loop, log)
        cr_set_current_loop(-1)
        try bootPlugins()
        if listeners.all.isEmpty {
            log.write(
                .warning,
                "No MQTT client can connect: the configuration has no listener. listener.tcp.NAME = 1883 opens one.")
        }
        for listener in listeners.all where !lacksFirstCertificate(listener) {
            try listeners.open(listener)
            log.write(
                .notice, "Start mqtt:\(listener.options.name) listener on \(listener.options.address) successfully.")
        }
        openHTTP()
        certificates = Certificates(doors, log: log, loop: loop)
        let server = CtlServer(
            path: config.path("ctl.socket"), commands: host.commands, control: loop, log: log.hostLog)
        try server.start()
        ctl = server
        system = SystemTopics(self)
        watchdog = Watchdog(
            broker: broker, host: host, loop: loop, log: log, node: config.string("node.name"))
        memory = MemoryKeeper(broker: broker, loop: loop, makesHugePages: config.bool("node.huge_pages"))
        watchSignals()
        log.write(.notice, "Martlet \(BrokerSettings.release) is running now (\(config.string("node.name"))).")
        loop.run()
        stop()
    }

    private func bootPlugins() throws {
        let report = host.boot(first: config.list("plugins.default"))
        guard let missing = host.firstMissing() else { return }
        let why = report.failures.first { $0.plugin == missing }?.sentence ?? "it is not in the list of loaded plugins."
        throw PluginError(.refused, missing, "plugins.required names \(missing), which does not run: \(why)")
    }

    /// The certificate that the shipped file speaks of is made by bin/martlet; a broker that was started without it, on
    /// a machine without openssl, opens its other doors all the same.
    private func lacksFirstCertificate(_ listener: Listener) -> Bool {
        guard let file = listener.options.tls?.certificate?.chain, access(file, F_OK) != 0 else { return false }
        let key = "listener." + listener.options.name.replacing(":", with: ".") + ".certfile"
        guard !config.isSet(key) else { return false }
        log.write(
            .error,
            "Listener \(listener.options.name) is not open: \(file) does not exist. make-certs makes a certificate, "
                + "then: martlet_ctl listeners start \(listener.options.name)")
        return true
    }

    private func stop() {
        log.write(.notice, "Stopping.")
        ctl?.stop()
        listeners.stop()
        for door in http?.doors ?? [] { door.stop() }
        broker.tendBans()
        host.shutdown()
        // Behind the plugins: their open requests have been answered for them.
        http?.shutdown()
        broker.stop()
        log.write(.notice, "Martlet has stopped.")
    }

    /// A port that somebody else has costs this door, not the broker.
    private func openHTTP() {
        for door in http?.doors ?? [] {
            do {
                try door.open()
                log.write(
                    .notice, "Start http:\(door.options.fullName) listener on \(door.options.address) successfully.")
            } catch {
                log.write(
                    .error,
                    "\(error) Its routes cannot be reached until martlet_ctl listeners start "
                        + "\(door.options.fullName) succeeds.")
            }
        }
    }

    // MARK: - Signals

    private func blockSignals() {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
        // Tools made for other brokers send these, and by default they end a process.
        for unused in [SIGUSR1, SIGUSR2] { signal(unused, SIG_IGN) }
        // Beyond a limit of file sizes a write fails like one on a full disc, and is dealt with as such.
        signal(SIGXFSZ, SIG_IGN)
        signals = cr_signalfd_term()
    }

    /// SIGTERM and SIGINT stop; SIGHUP has listeners read their certificates and plugins their conf files, and the files
    /// those name, again, and says what is wrong with martlet.conf or waits there for the next start.
    private func watchSignals() {
        _ = loop.watch(fd: signals, events: UInt32(CR_IN)) { [unowned self] _ in
            let signal = cr_signalfd_read(signals)
            switch signal {
            case SIGTERM, SIGINT: loop.stop()
            case SIGHUP:
                certificates?.reload()
                host.reconfigureAll()
                reviewConfig()
            default: break
            }
        }
    }
}

extension Server {
    fileprivate func reviewConfig() {
        let load = CoreConfig.load(path: config.path, environment: environment, root: root)
        for line in ConfigReview(load, inForce: config).lines {
            switch line.level {
            case .notice: log.write(.notice, line.text)
            case .warning: log.write(.warning, line.text)
            case .error: log.write(.error, line.text)
            }
        }
    }
}

extension Log.Options {
    init(_ config: ConfigFile) {
        self.init()
        let to = config.string("log.to")
        toConsole = to == "console" || to == "both"
        if to == "file" || to == "both" { file = config.path("log.dir") + "/" + config.string("log.file") }
        let names: [String: HostLog.Level] = [
            "debug": .debug, "info": .info, "notice": .notice, "warning": .warning, "error": .error,
            "critical": .critical,
        ]
        level = names[config.string("log.level")] ?? .info
        rotateAt = config.bytes("log.rotation.size")
        keep = config.int("log.rotation.count")
    }
}

extension PluginHostOptions {
    init(_ config: ConfigFile, root: String, environment: [String: String]) {
        self.init(
            directories: [config.path("plugins.dir")], confDirectory: config.path("plugins.etc_dir"),
            dataDirectory: config.path("node.data_dir"), loadedFile: config.path("plugins.loaded_file"), root: root,
            environment: environment)
        brokerVersion = BrokerSettings.release
        nodeName = config.string("node.name")
        required = (config.listIfSet("plugins.required") ?? []).map(canonicalPluginName)
        blockingThreads = config.int("node.blocking_threads")
    }
}
