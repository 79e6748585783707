// SPDX-License-Identifier: Apache-2.0
import CMartlet
import CReactor
import Glibc
import Reactor
import Sessions
import Synchronization
import Topics

/// The broker: its loops, the table of filters, the registry of client ids, the chains.
public final class Broker: @unchecked Sendable {
    public let settings: BrokerSettings
    let table: FilterTable
    let registry: Registry
    let deferrals = Deferrals()
    private(set) var shards: [Shard] = []
    /// nil: there is one loop.
    public private(set) var group: LoopGroup?
    /// Where the watchdog rests.
    public let rest = Rest()
    /// Pointer to the ChainSet in force, an atomic cell.
    let chainCell: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    /// Those before the first plugin; as the shards, they live as long as the process.
    private let firstChains: UnsafeMutablePointer<ChainSet>
    let zones: UnsafeMutablePointer<Zone>
    let turns: UnsafeMutablePointer<UInt64>
    let listeners = ListenerTable()
    private let threads = Mutex<[pthread_t]>([])
    let responseInformation: [UInt8]
    public let startedAt = cr_unix_ms()
    /// Events for the log, alarms, and others outside; set before `start`.
    public var events = BrokerEvents()
    let bans = BanList()
    let aclEpochs = ACLEpochs()
    /// Set before `start`; without it bans end with the process.
    public weak var banKeeper: (any BanKeeper)?
    /// nil: nobody looks.
    let flapping: Flapping?

    public init(settings: BrokerSettings) {
        self.settings = settings
        flapping = settings.flapping.map { Flapping($0) }
        let count = Self.loopCount(settings.loops)
        var seed: UInt64 = 0
        getentropy(&seed, 8)
        table = FilterTable(shards: count, seed: seed)
        registry = Registry(seed: ~seed)
        chainCell = .allocate(capacity: 8)
        chainCell.initialize(repeating: nil, count: 8)
        let empty = UnsafeMutablePointer<ChainSet>.allocate(capacity: 1)
        empty.initialize(to: ChainSet())
        chainCell.pointee = UnsafeMutableRawPointer(empty)
        firstChains = empty
        zones = .allocate(capacity: settings.zones.count)
        zones.initialize(from: settings.zones, count: settings.zones.count)
        turns = .allocate(capacity: 1024)
        turns.initialize(repeating: 0, count: 1024)
        responseInformation = Array(settings.responseTopicPrefix.utf8)
        for i in 0..<count {
            shards.append(Shard(broker: self, number: i))
        }
        for shard in shards { shard.meet(shards) }
        group = LoopGroup(shards)
    }

    /// Loops that a broker has which is told so many; 0: one for each core that it may use.
    public static func loopCount(_ wanted: Int) -> Int { min(63, wanted > 0 ? wanted : Processors.available) }

    /// Starts the loops' threads.
    public func start() {
        for shard in shards {
            shard.startSweeping()
            let thread = startThread("loop-\(shard.number)") { shard.run() }
            threads.withLock { $0.append(thread) }
        }
    }

    /// Closes every connection with "server shutting down" and stops the loops. Wills and sessions end as they would
    /// with the process.
    public func stop() {
        for shard in shards { shard.sync { shard.closeAll() } }
        for shard in shards { shard.stop() }
        for thread in threads.withLock({ $0 }) { pthread_join(thread, nil) }
        threads.withLock { $0 = [] }
    }

    /// A number for the round-robin strategy, one sequence a group.
    func nextTurn(of group: UInt32) -> UInt64 { cr_add_relaxed_u64(turns + Int(group & 1023), 1) }

    func newClientID(random: UInt64) -> [UInt8] {
        let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
        var entropy: (UInt64, UInt64) = (0, 0)
        getentropy(&entropy, 16)
        var id = Array("martlet_".utf8)
        for value in [entropy.0, entropy.1] {
            var left = value
            for _ in 0..<7 {
                id.append(alphabet[Int(left % 62)])
                left /= 62
            }
        }
        return id
    }

    /// The mountpoint of a client; nil when its names would give it other levels than the template has. `%u` stays where
    /// there is no user name, as in EMQ.
    func expand(_ template: [UInt8], clientID: Bytes, username: Bytes) -> [UInt8]? {
        var out: [UInt8] = []
        let isClean = template.withUnsafeBytes {
            expandPlaceholders($0, clientID: clientID, username: username.isEmpty ? nil : username, into: &out)
        }
        return isClean ? out : nil
    }
}

extension Shard {
    /// Server shutdown: every client is told. MQTT 5 §3.14.2.1, 0x8B.
    func closeAll() {
        forEachConnection { c in
            if c.pointee.phase != .closing { close(c, Refusal(.serverShuttingDown), counted: "shutdown") }
        }
        flushAll()
    }
}

/// What the broker has to say to the outside, away from the data path.
public struct BrokerEvents: Sendable {
    /// Level as MARTLET_LOG_*, text, client id.
    public var log: @Sendable (Int32, String) -> Void = { _, _ in }
    public var alarm: @Sendable (_ id: String, _ raised: Bool, _ title: String, _ summary: String) -> Void = {
        _, _, _, _ in
    }
    /// A plugin answered something its hook does not know, or that it could not decide: owner index, hook number, and
    /// whether it was the latter.
    public var badVerdict: @Sendable (UInt32, Int, Bool) -> Void = { _, _, _ in }

    public init() {}
}

extension Broker {
    /// - Parameters:
    ///   - hook: -1: of the ACL, -2: of authentication.
    ///   - isError: it was MARTLET_ERROR, which those know.
    func reportVerdict(owner: UInt32, hook: Int, isError: Bool = false) { events.badVerdict(owner, hook, isError) }

    func queueAlarm(_ clientID: String, raised: Bool, length: Int, watermark: Int) {
        events.alarm(
            "queue_high_watermark.\(clientID)", raised, "Queue \(clientID) high-water mark",
            "queue len \(length) > high_watermark \(watermark)")
    }
}

/// `mqtt.mqueue.priority`: exact topics with a priority; a higher number is sent first.
public struct TopicPriorities: Sendable {
    private let table: [(topic: [UInt8], lane: Int)]
    let lanes: Int
    private let defaultLane: Int

    /// - Parameter defaultHighest: where topics that are not listed stand: above all, or below.
    public init(_ list: [(topic: String, priority: Int)] = [], defaultHighest: Bool = false) {
        let unlisted = defaultHighest ? Int.max : -1
        let distinct = Set(list.map(\.priority)).union([unlisted]).sorted(by: >)
        lanes = list.isEmpty ? 1 : distinct.count
        defaultLane = list.isEmpty ? 0 : distinct.firstIndex(of: unlisted)!
        table = list.map { (Array($0.topic.utf8), distinct.firstIndex(of: $0.priority)!) }
    }

    func lane(_ topic: Bytes) -> Int {
        guard lanes > 1 else { return 0 }
        for entry in table where entry.topic.count == topic.count {
            if entry.topic.withUnsafeBytes({ sameBytes($0, topic) }) { return entry.lane }
        }
        return defaultLane
    }
}
