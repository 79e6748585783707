// SPDX-License-Identifier: Apache-2.0
import Broker
import CMartlet
import CReactor
import Glibc
import HTTPClient
public import Reactor
import Sockets
import Synchronization

/// Loads, unloads and replaces plugins while the broker runs, and owns everything they register.
///
/// All functions belong to the control thread unless they say otherwise. A start is a transaction: what a plugin
/// registers is collected on its instance and published when start has returned MARTLET_OK; the chains the loops walk
/// are rebuilt and swapped as a whole. An end waits, with the control thread, until no loop, no task and no call is
/// inside the plugin; meanwhile it runs that plugin's own control-thread tasks, so a plugin that needs one to come to
/// rest gets it.
public final class PluginHost: @unchecked Sendable {
    public let options: PluginHostOptions
    public let log: HostLog
    public let broker: any BrokerPort
    /// The loop of the control thread.
    public let control: EventLoop
    public let commands = CommandTable()
    public let alarms = AlarmTable()
    /// Serves the plugins' HTTP routes; nil when no listener is configured for them. Set before the first load.
    public nonisolated(unsafe) var httpServer: (any HTTPPort)?

    /// [main] Whether the broker itself has a number of that name, which no plugin may define then.
    public var hasNumber: (String) -> Bool = { _ in false }
    let metricTable = MetricTable()
    let services = ServiceTable()
    let dynamic: DynamicTable
    let store: KVStore
    let pool: BlockingPool
    let http = HTTPEngine()
    /// Of HTTP clients that are gone.
    var endedHTTP = HTTPStats()
    let folder: PrivateFolder
    /// Connections of all plugins.
    let streams: StreamTable
    /// What plugins' listeners and connections are encrypted with; set before the first plugin is loaded.
    public var tlsProfiles = TLSProfiles()
    /// Deals connections that no loop's callback asked for out to the loops.
    let dealt = Atomic<Int>(0)
    /// In load order.
    var running: [PluginInstance] = []
    var loadedFile: LoadedFile
    var residents: [Resident] = []
    /// What `list` found out about files that are not loaded, until the file changes.
    var probes: [String: Probe] = [:]
    /// While a plugin hands over its state.
    private var pause: LoopPause?
    private var installed: ChainMemory?
    private var lastOwner: UInt32 = 0
    private var lastToken: martlet_token = 0
    private let ownerNames = Mutex<[UInt32: String]>([:])
    private let rest = RestSignal()
    private let brokerName: UnsafeMutablePointer<CChar>
    private let brokerVersion: UnsafeMutablePointer<CChar>
    private let nodeName: UnsafeMutablePointer<CChar>

    /// An image that stays mapped until the process ends.
    struct Resident {
        let name: String
        let version: String
        let reason: String
        /// Kept so that its forgotten threads find somebody who says MARTLET_E_STALE.
        let instance: PluginInstance
    }

    /// Fails when the folder for private copies cannot be had.
    public init(
        options: PluginHostOptions, broker: any BrokerPort, control: EventLoop, log: HostLog = .standardError
    ) throws(PluginError) {
        self.options = options
        self.broker = broker
        self.control = control
        self.log = log
        loadedFile = LoadedFile(options.loadedFile)
        folder = PrivateFolder(options.dataDirectory + "/plugin-images")
        store = KVStore(options.dataDirectory + "/martlet.db")
        brokerName = strdup(options.brokerName)
        brokerVersion = strdup(options.brokerVersion)
        nodeName = strdup(options.nodeName)
        let rest = rest
        pool = BlockingPool(
            threads: options.blockingThreads, start: { Self.startBlocking($0, log) },
            finished: { rest.signal() })
        streams = StreamTable(loops: (0..<broker.loopCount).map { broker.loop($0) })
        dynamic = DynamicTable { rest.signal() }
        try folder.prepare()
    }

    /// What a plugin hears then is that the broker is busy; the operator has to hear why. Once a minute, for who tries to
    /// log in may make it fail as often as they like.
    private static func startBlocking(_ body: @escaping @Sendable () -> Void, _ log: HostLog) -> Bool {
        if startDetachedThread("blocking", body) { return true }
        let reason = systemText(errno)
        let isDue = noThreadToldAt.withLock { last in
            let now = cr_clock_ms()
            guard last == 0 || now >= last + 60_000 else { return false }
            last = now
            return true
        }
        if isDue {
            log.line(
                .error,
                "no thread can be started for plugin work that may wait: \(reason); raise the limit (TasksMax, ulimit -u)"
            )
        }
        return false
    }

    private static let noThreadToldAt = Mutex<UInt64>(0)

    deinit {
        free(brokerName)
        free(brokerVersion)
        free(nodeName)
    }

    func instance(named name: String) -> PluginInstance? { running.first { $0.name == name } }

    /// [any] The plugin behind an owner index, for log lines of the chain runners.
    public func pluginName(owner: UInt32) -> String? { ownerNames.withLock { $0[owner] } }

    // MARK: - For instances

    func nextToken() -> martlet_token {
        lastToken += 1
        return lastToken
    }

    func makeInstance(_ image: PluginImage) -> PluginInstance {
        lastOwner += 1
        currentBroker = broker
        let instance = PluginInstance(image, owner: lastOwner, host: self)
        ownerNames.withLock { $0[instance.owner] = instance.name }
        return instance
    }

    func forgetOwner(_ instance: PluginInstance) { ownerNames.withLock { $0[instance.owner] = nil } }

    func makeABI(for instance: PluginInstance) -> martlet_host {
        martlet_host(
            size: UInt32(MemoryLayout<martlet_host>.size), abi_major: MARTLET_ABI_MAJOR, abi_minor: MARTLET_ABI_MINOR,
            reserved: 0, impl: Unmanaged.passUnretained(instance).toOpaque(), broker_name: brokerName,
            broker_version: brokerVersion, node_name: nodeName, get_extension: hostGetExtension,
            set_error: hostSetError, stopped: hostStopped)
    }

    // MARK: - Chains

    /// Builds the chains of all running plugins, puts them in force and frees those that were, once no loop is inside.
    func publishChains() {
        let next = ChainMemory(running)
        _ = broker.install(next.set)
        resumeLoops()
        broker.quiesce()
        installed = next
    }

    /// From here to the next swap of the chains, or to `resumeLoops`, no loop runs.
    func pauseLoops() {
        let pause = LoopPause(broker)
        pause.begin()
        self.pause = pause
    }

    func resumeLoops() {
        guard let held = pause?.end() else { return }
        pause = nil
        if held.isBroken {
            log.line(.error, "a reload held the loops for \(held.heldMS) ms; they went on before it was over")
        } else if held.heldMS > options.slowCallbackMS {
            log.line(.warning, "a reload held the loops for \(held.heldMS) ms")
        }
    }

    /// Whoever waits for a loop now would wait in vain.
    var areLoopsPaused: Bool { pause != nil }

    // MARK: - Waiting

    /// [any] Something an end may be waiting for has happened.
    func signalRest() { rest.signal() }

    /// Runs the plugin's control-thread tasks until `done`, at most `limitMS`.
    func wait(for instance: PluginInstance, limitMS: Int, until done: () -> Bool) -> Bool {
        let deadline = cr_clock_ms() + UInt64(limitMS)
        rest.begin()
        defer { rest.end() }
        while true {
            instance.runMainTasks()
            if done() { return true }
            let now = cr_clock_ms()
            if now >= deadline { return false }
            rest.wait(milliseconds: Int(min(deadline - now, 100)))
        }
    }
}

/// The broker behind functions whose arguments name no host: hooks.set_topic and the defer functions.
nonisolated(unsafe) var currentBroker: (any BrokerPort)?

/// Wakes the control thread while it waits for a plugin to come to rest; costs one load when it does not.
final class RestSignal: @unchecked Sendable {
    private let isWaiting = Atomic<Bool>(false)
    private let semaphore = Semaphore()

    func begin() { isWaiting.store(true, ordering: .sequentiallyConsistent) }
    func end() { isWaiting.store(false, ordering: .sequentiallyConsistent) }
    func signal() {
        if isWaiting.load(ordering: .sequentiallyConsistent) { semaphore.signal() }
    }
    func wait(milliseconds: Int) { _ = semaphore.wait(milliseconds: milliseconds) }
}
