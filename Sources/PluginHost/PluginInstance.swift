// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Config
import Glibc
import Synchronization

/// One running (or starting, or ending) plugin: its image, the object it made, and all it registered. Two instances of
/// one plugin exist for a moment during a reload.
///
/// Functions that plugins call find it through `martlet_host.impl`. An instance whose image is unmapped has no code
/// left to call it and is freed; one whose image stays is kept, in phase `gone`, so that a forgotten thread gets
/// MARTLET_E_STALE and not a crash.
final class PluginInstance: @unchecked Sendable {
    enum Phase: UInt32 {
        /// create and start: registrations are collected, nobody sees them.
        case starting
        case running
        /// Registrations are revoked; its own tasks still run.
        case ending
        case gone
    }

    let name: String
    /// Ascending, never reused, never 0 (the broker itself): names the instance on the broker's side.
    let owner: UInt32
    unowned let host: PluginHost
    /// Of the host's log.
    let logThreshold: Int32
    let image: PluginImage
    let abi: UnsafeMutablePointer<martlet_host>
    /// During a reload: the instance that this one replaces, whose names it may take.
    var predecessor: PluginInstance?

    // The control thread's.
    /// What create filled in; all zero before, which its imported type does not allow as a value.
    let plugin: UnsafeMutablePointer<martlet_plugin>
    var startedAt: Int64 = 0
    var config: PluginConfig?
    /// config.declare shall only tell the keys, and then end the load.
    var onlyDeclares = false
    var declared: (keys: [ConfigKey], hasApply: Bool)?
    /// config.declare found mistakes in the conf file.
    var hasBadConfig = false
    var chains = ChainRegistrations()
    var pollers: [martlet_token: Poller] = [:]
    var commands: [martlet_token: CommandTable.Command] = [:]
    var services: [martlet_token: ServiceTable.Service] = [:]
    var borrows: [martlet_token: ServiceTable.Service] = [:]
    var dynamics: [martlet_token: DynamicTable.Item] = [:]
    var metrics: [MetricTable.Index] = []
    var httpRoutes: [martlet_token: HTTPRoute] = [:]
    var httpAuthenticators: [martlet_token: HTTPAuthenticator] = [:]

    // Any thread's.
    private let phaseCell = Atomic<UInt32>(Phase.starting.rawValue)
    /// Set by host.stopped().
    let isStopped = Atomic<Bool>(false)
    let errors = Mutex<(status: martlet_status, text: String)?>(nil)
    let mainTasks = TaskQueue()
    let loopTasks = Atomic<Int>(0)
    let blockingTasks = TaskQueue()
    let net = PluginNet()
    let slowCallbacks = Atomic<Int>(0)
    let http = HTTPDesk()
    private let complaints = Mutex<(second: Int64, suppressed: Int)>((0, 0))

    init(_ image: PluginImage, owner: UInt32, host: PluginHost) {
        name = image.name
        self.image = image
        self.owner = owner
        self.host = host
        logThreshold = host.log.threshold.rawValue
        plugin = calloc(1, MemoryLayout<martlet_plugin>.stride)!.bindMemory(to: martlet_plugin.self, capacity: 1)
        plugin.pointee.size = UInt32(MemoryLayout<martlet_plugin>.size)
        abi = .allocate(capacity: 1)
        abi.initialize(to: host.makeABI(for: self))
    }

    deinit {
        abi.deinitialize(count: 1)
        abi.deallocate()
        free(plugin)
    }

    var phase: Phase {
        get { Phase(rawValue: phaseCell.load(ordering: .acquiring))! }
        set { phaseCell.store(newValue.rawValue, ordering: .releasing) }
    }

    /// Registrations may be made.
    var isOpen: Bool { phase == .starting || phase == .running }

    /// Every task it submitted has returned.
    var isAtRest: Bool {
        mainTasks.isIdle && blockingTasks.isIdle && loopTasks.load(ordering: .sequentiallyConsistent) == 0
    }

    /// Tasks on their way, of every kind.
    var waitingTasks: Int { mainTasks.count + blockingTasks.count + loopTasks.load(ordering: .relaxed) }

    /// [main] Its waiting control-thread tasks; those they submit in turn wait for the next call.
    func runMainTasks() {
        for _ in 0..<mainTasks.count {
            guard let task = mainTasks.take() else { return }
            task.function(task.user)
            mainTasks.done()
        }
    }

    // MARK: - What goes wrong

    func log(_ level: HostLog.Level, _ text: String) { host.log.line(level, "\(name): \(text)") }

    /// The mistakes in a conf file, those that a person will read: what is no conf file at all has one on each line.
    func log(_ mistakes: [Diagnostic]) {
        for mistake in mistakes.prefix(20) { log(.error, mistake.description) }
        if mistakes.count > 20 { log(.error, "\(mistakes.count - 20) more mistakes are not shown") }
    }

    func setError(_ status: martlet_status, _ text: String) {
        errors.withLock { $0 = (status, text) }
    }

    /// The sentence the plugin (or a function it called) left, and forgets it.
    func takeError() -> String? {
        errors.withLock { last in
            let text = last?.text
            last = nil
            return text.flatMap { $0.isEmpty ? nil : $0 }
        }
    }

    /// Refuses a call on a thread its tag does not allow. At most one log line a second: a plugin may err in a loop.
    func wrongThread(_ function: StaticString, wanted: StaticString) -> martlet_status {
        complain("called \(function) on \(threadName()), but it belongs to \(wanted); the call was refused")
        return statusThread
    }

    func wrongPhase(_ function: StaticString) -> martlet_status {
        if phase == .gone { return statusStale }
        complain("called \(function) while it is being stopped; the call was refused")
        return statusState
    }

    func complain(_ text: String) {
        let second = Int64(cr_clock_ms() / 1000) + 1
        let suppressed: Int? = complaints.withLock { state in
            if state.second == second {
                state.suppressed += 1
                return nil
            }
            defer { state = (second, 0) }
            return state.suppressed
        }
        guard let suppressed else { return }
        log(.error, text + (suppressed > 0 ? " (and \(suppressed) more such errors)" : ""))
    }

    /// Runs a callback of the plugin on a loop under the watchdog.
    func watched(_ what: StaticString, _ body: () -> Void) {
        let begin = cr_clock_ms()
        body()
        let took = cr_clock_ms() &- begin
        guard took > host.options.slowCallbackMS, cr_current_loop() >= 0 else { return }
        slowCallbacks.add(1, ordering: .relaxed)
        complain("blocked loop \(cr_current_loop()) for \(took) ms in a \(what); slow work belongs on exec.blocking")
    }
}

func threadName() -> String {
    switch cr_current_loop() {
    case -1: "the control thread"
    case -2: "a thread of its own"
    case let index: "loop \(index)"
    }
}

var isMainThread: Bool { cr_current_loop() == -1 }
var isLoopThread: Bool { cr_current_loop() >= 0 }

let statusOK = martlet_status(MARTLET_OK)
let statusInvalid = martlet_status(MARTLET_E_INVAL)
let statusNoMemory = martlet_status(MARTLET_E_NOMEM)
let statusNotFound = martlet_status(MARTLET_E_NOTFOUND)
let statusExists = martlet_status(MARTLET_E_EXISTS)
let statusDenied = martlet_status(MARTLET_E_DENIED)
let statusTimeout = martlet_status(MARTLET_E_TIMEOUT)
let statusBusy = martlet_status(MARTLET_E_BUSY)
let statusThread = martlet_status(MARTLET_E_THREAD)
let statusState = martlet_status(MARTLET_E_STATE)
let statusUnsupported = martlet_status(MARTLET_E_UNSUPPORTED)
let statusIO = martlet_status(MARTLET_E_IO)
let statusStale = martlet_status(MARTLET_E_STALE)
